"""Ports that nobody listens on."""

from __future__ import annotations

import socket


def free_port(*, udp: bool = False) -> int:
    """A port of this computer that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
