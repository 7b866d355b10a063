"""Serves the metrics of the workflow store; answers also while the store is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import HTTPServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import KreislaufError
from include.kreislauf.exporting import metrics
from include.kreislauf.exporting.metrics import Family, Sheet
from include.kreislauf.exporting.reading import read_workflow
from include.kreislauf.exporting.sizes import Maturing, read_sizes
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import HEAD

KEPT_SECONDS = 15.0
"""So long values are told again without a look at the store."""
PATIENCE_SECONDS = 3.0
"""A scrape waits so long for the store; Prometheus gives it 5 s."""

log = logging.getLogger("kreislauf.exporter")


@dataclass(frozen=True)
class Look:
    """What one look at the store came to; without families, it failed."""

    at: datetime
    seconds: float
    families: tuple[Family, ...] = ()


class WorkflowCollector(Collector):
    """Reads the store when Prometheus asks, in a thread of its own, so that a store that hangs holds up no answer.

    Parameters
    ----------
    now: the wall clock.
    stopwatch: tells seconds.
    """

    def __init__(
        self, store: Store, now: Callable[[], datetime], *, kept: float = KEPT_SECONDS,
        patience: float = PATIENCE_SECONDS, stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store, self._now, self._kept, self._patience = store, now, kept, patience
        self._stopwatch = stopwatch
        self._maturing = Maturing()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exporter")
        self._lock = threading.Lock()
        self._running: Future[Look] | None = None
        self._known: Look | None = None
        self._read_at = -float("inf")
        self._errors = 0

    def collect(self) -> Iterable[Family]:
        """All metrics; without an answer of the store in time, only the exporter's own."""
        with self._lock:
            look = self._look()
            sheet = Sheet()
            sheet.put(metrics.STORE_UP, float(bool(look and look.families)))
            sheet.put(metrics.ERRORS, self._errors)
            if look:
                sheet.put(metrics.READ_SECONDS, look.seconds)
                sheet.put(metrics.READ_AT, look.at.timestamp())
        return (*sheet.families(), *(look.families if look else ()))

    def describe(self) -> Iterable[Family]:
        """Names only: registering must not wait for a store that is away."""
        return [metric.family() for metric in metrics.ALL]

    def close(self) -> None:
        """End the thread once its look is over."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Look | None:
        if self._known and self._stopwatch() - self._read_at < self._kept:
            return self._known
        self._running = self._running or self._thread.submit(self._read)
        try:
            found = self._running.result(self._patience)
        except TooLate:
            self._errors += 1
            return None
        self._running = None
        self._errors += not found.families
        # a failure is not kept: the store may be back
        self._known = found if found.families else None
        self._read_at = self._stopwatch()
        return found

    def _read(self) -> Look:
        now, began, sheet = self._now(), self._stopwatch(), Sheet()
        try:
            self._fill(sheet, now)
        except (KreislaufError, SQLAlchemyError) as error:
            log.warning("the store cannot be read: %s", " ".join(str(error).split())[:500])
            sheet = Sheet()
        return Look(now, self._stopwatch() - began, tuple(sheet.families()))

    def _fill(self, sheet: Sheet, now: datetime) -> None:
        revision = self._store.revision() or "none"
        sheet.put(metrics.SCHEMA, 1, revision, "yes" if revision == HEAD else "no")
        if revision != HEAD:
            return
        with self._store.read() as db:
            read_workflow(db, sheet, now)
            read_sizes(db, sheet)
            self._maturing.read(db, sheet, now)


@contextmanager
def serving(store: Store, host: str, port: int, now: Callable[[], datetime]) -> Iterator[int]:
    """Serve the metrics of a store, and of this process, in a thread; the port.

    Raises
    ------
    KreislaufError: the address cannot be had.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    collector = WorkflowCollector(store, now)
    registry.register(collector)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise KreislaufError(
            f"metrics cannot be served: {error.strerror}", where=f"--metrics {host}:{port}",
            next_step="end what listens there, or take another port",
        ) from error  # fmt: skip
    try:
        yield _port(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        collector.close()


def _port(server: HTTPServer) -> int:
    return int(server.server_address[1])
