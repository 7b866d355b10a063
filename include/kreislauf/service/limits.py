"""Limits on what a client may send, and on who may send."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import ceil
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from include.kreislauf.service.problems import RefusedError, invalid
from include.kreislauf.service.schemas import Fault

MAX_BODY_BYTES = 1_000_000
MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES
CLOCK_TOLERANCE = timedelta(minutes=5)


class RateLimit:
    """A token bucket for each client: it holds what a minute allows, and fills steadily.

    Parameters
    ----------
    per_minute: what one client may spend in a minute, in the long run; 0: as much as it likes.
    clock: seconds from any beginning.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._left: dict[str | None, tuple[float, float]] = {}

    def spend(self, client: str | None, count: int, name: str) -> None:
        """Take what a request costs from its client's bucket; what costs more than a full one waits for that.

        Parameters
        ----------
        client: id of the API key; all requests without one share a bucket.
        count, name: how many items the request has, and the field they are in.

        Raises
        ------
        RefusedError: 429 and ``Retry-After``; nothing was taken.
        """
        if not self._per_minute:
            return
        full, now = float(self._per_minute), self._clock()
        left, since = self._left.get(client, (full, now))
        left = min(full, left + (now - since) * full / 60)
        if (missing := min(count, full) - left) > 0:
            raise _too_many(name, self._per_minute, ceil(missing * 60 / full))
        self._left[client] = left - count, now


def _too_many(name: str, per_minute: int, seconds: int) -> RefusedError:
    allowed = f"{per_minute} outcomes and reports a minute of one key (KREISLAUF_OUTCOMES_PER_MINUTE)"
    return RefusedError(
        429, f"too many {name} from this client; nothing was stored: send the same again in {seconds} s",
        [Fault(field=name, reason="are more than is left of this minute", allowed=allowed)],
        {"Retry-After": str(seconds)},
    )  # fmt: skip


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
