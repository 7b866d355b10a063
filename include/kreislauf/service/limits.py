"""Limits on what a client may send, and on who may send."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from include.kreislauf.service.problems import invalid
from include.kreislauf.service.schemas import Fault

MAX_BODY_BYTES = 1_000_000
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES
CLOCK_TOLERANCE = timedelta(minutes=5)


def limited(receive: Receive) -> Receive:
    """Receive a body of at most ``MAX_BODY_BYTES``; more of it is refused with 413 and never kept."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            await _drain(message, receive)
            # FastAPI lets no other exception through when it reads a body
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return message

    return counted


async def _drain(message: Message, receive: Receive) -> None:
    # A client that is still sending when the connection closes sees a reset instead of the answer.
    drained = 0
    while message.get("more_body") and drained < MAX_DRAINED_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))


def refuse_future(moments: Iterable[tuple[str, datetime]], now: datetime) -> None:
    """Refuse times that have not come yet; clocks may differ by five minutes.

    Raises
    ------
    RefusedError: 422, names each field.
    """
    latest = now + CLOCK_TOLERANCE
    faults = [
        Fault(field=name, reason="lies in the future", allowed=f"up to 5 minutes after {now:%Y-%m-%dT%H:%M:%SZ}")
        for name, moment in moments
        if moment > latest
    ]  # fmt: skip
    if faults:
        raise invalid(faults)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
