"""Where batches of the prediction log go: to the store, and while that is away to the spool."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Event, Thread

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from include.kreislauf.service.group_commit import Result
from include.kreislauf.service.log_entries import Records, decode, encode, marker
from include.kreislauf.service.problems import unavailable
from include.kreislauf.service.spool import Spool, payloads
from include.kreislauf.service.store_writer import AwayError, StoreWriter
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import LoggedOutcome, LoggedReport
from include.kreislauf.store.log_writer import OutcomeAnswer

PAUSE_SECONDS = 0.25
"""Between two attempts to reach a store that is away."""
ADOPT_SECONDS = 5.0
"""Between two looks for files of dead processes."""

log = logging.getLogger("kreislauf.service")


class SpoolMetrics:
    """What is counted of the spool; in requests, one of which may have many records."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.spooled = Counter(
            "kreislauf_spooled", "Requests kept in the spool because the store was away.", registry=registry
        )
        self.drained = Counter(
            "kreislauf_drained", "Requests brought from the spool to the store.", registry=registry
        )
        self.rejected = Counter(
            "kreislauf_spool_rejected",
            "Records of the spool that the store refused, kept in a file.",
            registry=registry,
        )
        self.waiting = Gauge(
            "kreislauf_spool_waiting", "Requests that wait in the spool.", registry=registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.fill = Gauge(
            "kreislauf_spool_fill", "Share of the spool that is taken; with several workers, of the fullest.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip

    def show(self, spool: Spool) -> None:
        """What waits now."""
        self.waiting.set(spool.lines)
        self.fill.set(spool.fill)


class LogSink:
    """Makes batches durable; :meth:`write` belongs to the thread of the group commit.

    While anything of this process waits in the spool, everything goes there, so that the order stays.
    """

    def __init__(self, store: Store, spool: Spool, metrics: SpoolMetrics, patience: float) -> None:
        self._writer = StoreWriter(store, patience)
        self._spool = spool
        self._metrics = metrics
        self._drainer = Drainer(StoreWriter(store, patience), spool, metrics)

    def start(self) -> None:
        """Begin to drain what a process that ended has left."""
        self._drainer.start()

    def stop(self) -> None:
        """End; what is in the spool stays for the next process."""
        self._drainer.stop()
        self._writer.close()
        self._spool.close()

    def write(self, found: Sequence[Records]) -> Sequence[Result]:
        """Return when every item is durable; per item the answers to its outcomes or reports, or an error."""
        if not self._spool.is_empty:
            return self._keep(found, "the store did not answer a moment ago")
        try:
            results = self._writer.write(found)
        except AwayError as error:
            log.warning("the store is away, requests go to the spool: %s", error)
            return self._keep(found, str(error))
        return [self._sure(one, result) for one, result in zip(found, results, strict=True)]

    def _keep(self, found: Sequence[Records], why: str) -> list[Result]:
        try:
            count = self._spool.append([encode(one) for one in found])
            reason = "the spool is full"
        except OSError as error:
            count, reason = 0, f"the spool cannot be written: {error}"
        self._metrics.spooled.inc(count)
        self._metrics.show(self._spool)
        self._drainer.wake()
        refusal = unavailable(f"{why}; {reason}: nothing is acknowledged")
        return [
            [_ACCEPTED] * len(one.outcomes or one.reports) if index < count else refusal
            for index, one in enumerate(found)
        ]

    def _sure(self, one: Records, result: Result) -> Result:
        """The answers, once more for outcomes whose predictions may still sit in another process's spool."""
        if (
            isinstance(result, Exception)
            or not one.outcomes
            or "unknown" not in result
            or not self._spool.exists()
        ):
            return result
        waiting = [
            answer == "unknown" and self._spool.holds(marker(row.use_case, row.prediction_id))
            for row, answer in zip(one.outcomes, result, strict=True)
        ]
        if any(waiting):
            rows = [row for row, waits in zip(one.outcomes, waiting, strict=True) if waits]
            kept = self._keep([Records(outcomes=rows)], "the predictions are not in the store yet")[0]
            if isinstance(kept, Exception):
                return kept
            return [_ACCEPTED if waits else answer for answer, waits in zip(result, waiting, strict=True)]
        # what was in a spool when the store was asked is in the store now
        try:
            again = self._writer.write([Records(outcomes=one.outcomes)])[0]
        except AwayError as error:
            return self._keep([one], str(error))[0]
        if isinstance(again, Exception):
            return again
        return [new if old == "unknown" else old for old, new in zip(result, again, strict=True)]


class Drainer:
    """A thread that brings the spool to the store: its own process's file, and those of dead ones."""

    def __init__(self, writer: StoreWriter, spool: Spool, metrics: SpoolMetrics) -> None:
        self._writer = writer
        self._spool = spool
        self._metrics = metrics
        self._wake = Event()
        self._ends = Event()
        self._thread = Thread(target=self._run, name="spool-drainer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is under way."""
        self._ends.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._writer.close()

    def wake(self) -> None:
        """Something waits."""
        self._wake.set()

    def _run(self) -> None:
        while not self._ends.is_set():
            self._wake.clear()
            try:
                self._spool.adopt()
                self._drain_all()
            except AwayError as error:
                log.debug("the store is still away: %s", error)
            except Exception:
                # This thread must outlive a bug: without it nothing would ever leave the spool.
                log.exception("the spool cannot be drained")
            self._metrics.show(self._spool)
            if self._spool.lines:
                self._ends.wait(PAUSE_SECONDS)
            else:
                self._wake.wait(ADOPT_SECONDS)

    def _drain_all(self) -> None:
        for file in self._spool.files:
            count = 0
            while not self._ends.is_set() and (lines := file.read()):
                if not self._drain(lines, is_end=sum(map(len, lines)) == file.left):
                    break
                file.drained(lines)
                self._metrics.drained.inc(len(lines))
                count += len(lines)
            if count:
                log.info("%s requests came from the spool to the store: %s", count, file.path.name)
            self._spool.forget(file)

    def _drain(self, lines: Sequence[bytes], *, is_end: bool) -> bool:
        """Write lines to the store; true when each of them is there, or among the rejected, or spooled anew.

        Parameters
        ----------
        is_end: whether nothing comes after them; if all of them must wait, they stay where they are.
        """
        rejected: list[tuple[str, object]] = []
        found: list[Records] = []
        for line, payload in zip(lines, payloads(lines), strict=True):
            try:
                found.append(decode(payload if payload is not None else b""))
            except msgspec.MsgspecError:
                rejected.append(("damaged on the disk", line.decode("utf-8", "replace")))
        again: list[Records] = []
        for one, result in zip(found, self._writer.write(found) if found else (), strict=True):
            if isinstance(result, Exception):
                rejected.append((str(result), one))
                continue
            rows: Sequence[LoggedOutcome | LoggedReport] = one.outcomes or one.reports
            for row, answer in zip(rows, result, strict=True):
                if answer == "unknown" and isinstance(row, LoggedOutcome) and self._waits(row):
                    again.append(Records(outcomes=[row]))
                elif answer in ("conflict", "unknown"):
                    rejected.append((answer, row))
        if is_end and len(again) == sum(one.size for one in found) and not rejected:
            return False
        if again and self._spool.append([encode(one) for one in again]) < len(again):
            raise OSError("the spool is full")
        if rejected:
            self._spool.reject(rejected)
            self._metrics.rejected.inc(len(rejected))
            log.warning(
                "%s records of the spool were rejected, the first one: %s", len(rejected), rejected[0][0]
            )
        return True

    def _waits(self, row: LoggedOutcome) -> bool:
        """Whether its prediction sits in another file, which is drained after this one or by another process."""
        return self._spool.holds(marker(row.use_case, row.prediction_id))


_ACCEPTED: OutcomeAnswer = "accepted"
