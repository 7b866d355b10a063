"""Group commit: one thread writes whatever waits in one transaction; while it syncs the disk, the next gather."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Thread

from include.kreislauf.service.log_entries import Entry, Records
from include.kreislauf.service.problems import unavailable
from include.kreislauf.store.log_writer import OutcomeAnswer

MAX_WAITING = 10_000
"""Requests that may wait for the disk at once."""
MAX_BATCH = 5_000
"""Records of one transaction; a request is never divided, and may have more."""
GATHER_SECONDS = 0.001
"""How long a batch waits, at the most, for those who were there a moment ago: a sync costs 0.2 ms of CPU for any
number of rows. Whoever is alone never waits."""

Result = list[OutcomeAnswer] | Exception
log = logging.getLogger("kreislauf.service")


class GroupCommit:
    """Hands what waits to a function that makes it durable, in a thread of its own.

    Parameters
    ----------
    write: makes records durable and returns one result per item; whatever it raises, all of them get.
    """

    def __init__(self, write: Callable[[Sequence[Records]], Sequence[Result]]) -> None:
        self._write = write
        self._waiting: deque[Entry] = deque()
        self._wake = Event()
        self._enough = 1  # so many wake the thread
        self._crowd = 0.0  # so many were under way or waiting lately
        self._ends = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin; to be called by the event loop that will wait."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End when everything that waits is durable."""
        self._ends = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    async def durable(self, records: Records) -> list[OutcomeAnswer]:
        """Return when records are durable, with the answers to its outcomes or reports.

        Raises
        ------
        RefusedError: 503, they cannot be made durable now; nothing of them was stored.
        """
        loop = self._loop
        if loop is None or self._ends:
            raise unavailable("the prediction log is closed: nothing was stored")
        if len(self._waiting) >= MAX_WAITING:
            raise unavailable("too many requests wait for the disk: nothing was stored")
        done = loop.create_future()
        self._waiting.append(Entry(records, done))
        if len(self._waiting) >= self._enough:
            self._wake.set()
        found: list[OutcomeAnswer] = await done
        return found

    def _run(self) -> None:
        while not (self._ends and not self._waiting):
            self._gather()
            if not (batch := self._take()):
                continue
            results = self._results([entry.records for entry in batch])
            self._tell(batch, results)
            self._crowd = max(len(batch) + len(self._waiting), self._crowd * 0.9)

    def _gather(self) -> None:
        """Wait for a request, and then, for a moment, for most of the crowd."""
        for enough, seconds in ((1, None), (int(self._crowd * 0.75), GATHER_SECONDS)):
            self._enough = enough
            # what came before _enough was set has woken nobody
            if len(self._waiting) < enough and not self._ends:
                self._wake.wait(seconds)
            self._wake.clear()

    def _take(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        while self._waiting and size < MAX_BATCH:
            batch.append(self._waiting.popleft())
            size += batch[-1].records.size
        return batch

    def _results(self, found: Sequence[Records]) -> Sequence[Result]:
        try:
            return self._write(found)
        except Exception as error:
            # This thread must outlive a bug: without it every request would wait for ever.
            log.exception("the prediction log failed")
            return [error] * len(found)

    def _tell(self, batch: Sequence[Entry], results: Sequence[Result]) -> None:
        assert self._loop is not None  # noqa: S101 - start() made it
        try:
            self._loop.call_soon_threadsafe(_resolve, batch, results)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.warning("%s requests were written when nobody waited for them any more", len(batch))


def _resolve(batch: Sequence[Entry], results: Sequence[Result]) -> None:
    for entry, result in zip(batch, results, strict=True):
        if entry.done.done():  # its client has gone
            continue
        if isinstance(result, Exception):
            entry.done.set_exception(result)
        else:
            entry.done.set_result(result)
