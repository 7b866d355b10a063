"""Loopback ports for stacks that start at the same time and bind seconds after the choice."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import IO

from include.kreislauf.embedded.processes import StackError

LOOPBACK = "127.0.0.1"
_ATTEMPTS = 50
_POLL = 0.02
LOCK_PATIENCE = 3.0
"""Seconds to wait for the lock of a home whose holder may just have been killed."""


class PortReservation:
    """A free loopback port, kept from other stacks of this user until it is released or the process ends."""

    def __init__(self, port: int, lock: IO[str]) -> None:
        self.port = port
        self._lock = lock

    def release(self) -> None:
        """Give the port back; harmless when repeated."""
        self._lock.close()


def reserve_port(preferred: int) -> PortReservation:
    """Reserve the preferred port, or any free one when somebody holds it.

    Airflow cannot be handed an open socket, and binds five seconds after the choice. A lock per port keeps a
    second stack from choosing it in between.

    Raises
    ------
    StackError: no free port was found.
    """
    for candidate in (preferred, *[0] * _ATTEMPTS):
        port = _bindable(candidate)
        if port and (lock := _try_lock(port)):
            return PortReservation(port, lock)
    raise StackError(
        f"no free port on {LOOPBACK} after {_ATTEMPTS} attempts",
        next_step="stop other stacks, then start again",
    )


def _bindable(port: int) -> int:
    """The port when a server could bind it now (0 asks for any), else 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as the servers do, for which TIME_WAIT is no obstacle
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


def _try_lock(port: int) -> IO[str] | None:
    folder = Path(tempfile.gettempdir()) / f"kreislauf-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return try_lock(folder / str(port))


def try_lock(path: Path, patience: float = 0.0) -> IO[str] | None:
    """Lock a file until it is closed or this process ends; None when another holder keeps it for `patience` seconds.

    A holder that is killed while it starts a process leaves the lock with the child until that has become the other
    program: patience outlives it.
    """
    deadline = time.monotonic() + patience
    lock = path.open("a")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.close()
                return None
            time.sleep(_POLL)
        else:
            return lock
