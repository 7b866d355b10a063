"""A client that keeps several connections busy and checks each answer: its version against its output."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

TOLERANCE = 1e-6
"""Versions differ by 1000: what is nearer than this to what a version answers comes from that version."""


class _Prediction(msgspec.Struct):
    value: float | None


class _Answer(msgspec.Struct):
    release: int
    predictions: list[_Prediction]


_decode = msgspec.json.Decoder(_Answer).decode


class Checked:
    """What came of the requests.

    Parameters
    ----------
    expected: what version 0 answers, by row; version ``n`` answers ``n * step`` more.
    seen: answers by the version that they name.
    """

    def __init__(self, expected: Sequence[float], step: float) -> None:
        self.expected, self.step = expected, step
        self.seen: Counter[int] = Counter()
        self.failed, self.mismatched = 0, 0
        self.faults: list[str] = []
        self.ended, self.seconds = array("d"), array("d")

    @property
    def requests(self) -> int:
        """All that were sent and are over."""
        return len(self.seconds) + self.failed

    def answer(self, row: int, status: bytes, content: bytes, since: float) -> None:
        """Take note of an answer."""
        now = time.perf_counter()
        if status != b"200":
            self.fail(f"answered {status!r}: {content[:200]!r}")
            return
        answer = _decode(content)
        value = answer.predictions[0].value
        self.seen[answer.release] += 1
        if value is None or abs(value - answer.release * self.step - self.expected[row]) > TOLERANCE:
            self.mismatched += 1
            self._note(f"release {answer.release} answered {value} for row {row}")
        self.ended.append(now)
        self.seconds.append(now - since)

    def fail(self, why: str) -> None:
        """Take note of a request without a good answer."""
        self.failed += 1
        self._note(why)

    def between(self, begin: float, end: float) -> list[float]:
        """Seconds of the requests that were answered between two moments, in order of size."""
        return sorted(took for took, at in zip(self.seconds, self.ended, strict=True) if begin <= at < end)

    def _note(self, fault: str) -> None:
        if len(self.faults) < 10:
            self.faults.append(fault)


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the one before is answered."""

    def __init__(self, crowd: Crowd, first: int) -> None:
        self._crowd, self._row, self._since = crowd, first, 0.0
        self._content = bytearray()
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        content = self._content
        content += data
        head = content.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _content_length(content[:head])
        if len(content) < head + 4 + length:
            return
        self._waiting = False
        self._crowd.checked.answer(self._row, bytes(content[9:12]), bytes(content[head + 4 :]), self._since)
        content.clear()
        self._row = (self._row + self._crowd.stride) % len(self._crowd.requests)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting:
            self._crowd.checked.fail(f"the connection was lost: {error}")
        self._crowd.lost(self._row)

    def _send(self) -> None:
        if self._crowd.stopped:
            self._transport.close()
            return
        self._waiting, self._since = True, time.perf_counter()
        self._transport.write(self._crowd.requests[self._row])


class Crowd:
    """Connections to one server, each with one request under way at any time.

    Parameters
    ----------
    bodies: one request each, in the order of the rows that ``checked`` knows.
    """

    def __init__(
        self, port: int, path: str, headers: Mapping[str, str], bodies: Sequence[object], checked: Checked, connections: int
    ) -> None:  # fmt: skip
        self.checked, self.stride, self.stopped = checked, connections, False
        self.requests = [_request(path, headers, body) for body in bodies]
        self._port = port
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the connections; requests go on until :meth:`stop`."""
        for first in range(self.stride):
            await self._connect(first)

    async def stop(self) -> None:
        """Send no more, and wait until what is under way is answered."""
        self.stopped = True
        while self._open:
            await asyncio.sleep(0.01)

    def lost(self, row: int) -> None:
        """A connection is over; another takes its place."""
        self._open -= 1
        if not self.stopped:
            task = asyncio.ensure_future(self._connect(row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, row: int) -> None:
        while not self.stopped:
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self, row), "127.0.0.1", self._port
                )
            except OSError as error:
                self.checked.fail(f"no connection: {error}")
                await asyncio.sleep(0.05)
            else:
                self._open += 1
                return


def _request(path: str, headers: Mapping[str, str], body: object) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {len(content)}", *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + content


def _content_length(head: bytearray) -> int:
    found = bytes(head).lower()
    begin = found.index(b"content-length:") + len(b"content-length:")
    return int(found[begin : (found.find(b"\r\n", begin) + 1 or len(found) + 1) - 1])
