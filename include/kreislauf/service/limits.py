"""Limits on what a client may send, and on who may send."""

from __future__ import annotations

import ipaddress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1_000_000
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES


class BodyLimit:
    """ASGI middleware that refuses a body above ``MAX_BODY_BYTES`` with 413, and never keeps more of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                await _drain(message, receive)
                raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
            return message

        await self.app(scope, counted, send)


async def _drain(message: Message, receive: Receive) -> None:
    # A client that is still sending when the connection closes sees a reset instead of the answer.
    drained = 0
    while message.get("more_body") and drained < MAX_DRAINED_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
