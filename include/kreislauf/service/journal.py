"""Writes predictions, outcomes and reports to the store; what it returns from is on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, event, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from include.kreislauf.requirements.contract import Reported
from include.kreislauf.service.champions import Champion, in_short
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.predicting import Predicted
from include.kreislauf.service.problems import invalid, unavailable
from include.kreislauf.service.schemas import (
    Answer,
    Fault,
    Outcome,
    OutcomeResult,
    Prediction,
    Report,
    ReportResult,
)
from include.kreislauf.store import contracts, observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import predictions, releases

PATIENCE_SECONDS = 5.0
POSTGRESQL_WRITERS = 8


class Journal:
    """The service's side of the store.

    Writers wait in line here and not in SQLite, whose waiting sleeps and is not fair.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        embedded = store.engine.dialect.name == "sqlite"
        self._turn = BoundedSemaphore(1 if embedded else POSTGRESQL_WRITERS)
        if embedded and not event.contains(store.engine, "checkout", _wait_less):
            event.listen(store.engine, "checkout", _wait_less)

    def write_predictions(
        self,
        champion: Champion,
        found: Sequence[Predicted],
        *,
        as_of: datetime,
        period: datetime,
        now: datetime,
    ) -> list[Prediction]:
        """Log predictions in one transaction and give them their ids."""
        use_case = champion.about.use_case
        answers = [
            Prediction(prediction_id=str(uuid4()), entity=one.entity, known=one.known, value=one.value)
            for one in found
        ]
        common = {"use_case": use_case, "release": champion.version}
        times = {"period": period, "as_of": as_of, "created_at": now}
        rows = [
            {"id": one.prediction_id, **one.model_dump(exclude={"prediction_id"}), **common, **times}
            for one in answers
        ]
        with self._write() as db:
            observations.save_predictions(db, rows)
        self._metrics.predictions.labels(use_case).inc(len(rows))
        self._metrics.novelty.labels(use_case).inc(sum(not one.known for one in answers))
        return answers

    def write_outcomes(self, use_case: str, sent: Sequence[Outcome], now: datetime) -> list[OutcomeResult]:
        """Join outcomes to predictions of a use case in one transaction."""
        ids = {one.prediction_id for one in sent}
        query = select(predictions.c.id).where(predictions.c.use_case == use_case, predictions.c.id.in_(ids))
        results = []
        with self._write() as db:
            own = set(db.scalars(query))
            for one in sent:
                answer: Answer = "unknown"
                if one.prediction_id in own:
                    answer = observations.save_outcome(db, one.prediction_id, one.value, one.observed_at, now)
                why = _OUTCOME_REASONS.get(answer)
                results.append(OutcomeResult(prediction_id=one.prediction_id, result=answer, reason=why))
        for name, count in Counter(one.result for one in results).items():
            self._metrics.outcomes.labels(use_case, name).inc(count)
        return results

    def write_reports(self, use_case: str, sent: Sequence[Report], now: datetime) -> list[ReportResult]:
        """Log metric reports of a use case in one transaction.

        Raises
        ------
        RefusedError: a metric is not a reported one of the signed contract.
        """
        known = self._check_metrics(use_case, sent)
        results = []
        with self._write() as db:
            for one in sent:
                row = {**one.model_dump(), "use_case": use_case, "created_at": now}
                answer = observations.save_report(db, row) if one.release in known else "unknown"
                results.append(ReportResult(id=one.id, result=answer, reason=_REPORT_REASONS.get(answer)))
        for name, count in Counter(one.result for one in results).items():
            self._metrics.reports.labels(use_case, name).inc(count)
        return results

    def _check_metrics(self, use_case: str, sent: Sequence[Report]) -> set[int]:
        """Refuse metrics that the signed contract does not have; returns the versions of all releases."""
        with self._guarded(), self._store.read() as db:
            contract = contracts.signed_contract(db, use_case)
            versions = set(db.scalars(select(releases.c.version).where(releases.c.use_case == use_case)))
        metrics = contract.business_metrics if contract else ()
        names = [metric.name for metric in metrics if isinstance(metric, Reported)]
        allowed = ", ".join(names) or "none: the use case's signed contract has no metric of kind 'reported'"
        reason = "is not a reported metric of the signed contract"
        if faults := [
            Fault(field=f"reports.{index}.metric", reason=reason, allowed=allowed)
            for index, one in enumerate(sent)
            if one.metric not in names
        ]:
            raise invalid(faults)
        return versions

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=PATIENCE_SECONDS):
            self._metrics.store_failures.inc()
            raise unavailable("the store is busy: nothing was stored")
        try:
            with self._guarded(), self._store.write() as db:
                yield db
        finally:
            self._turn.release()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, NoFreeConnection) as error:
            self._metrics.store_failures.inc()
            raise unavailable(
                f"the store does not answer, nothing is acknowledged: {in_short(error)}"
            ) from error


_OUTCOME_REASONS = {
    "conflict": "another value is stored for this prediction; the first one stands",
    "unknown": "no prediction of this use case has this id",
}
_REPORT_REASONS = {
    "conflict": "another report is stored under this id; the first one stands",
    "unknown": "this use case has no such release",
}


def _wait_less(connection: Any, _record: Any, _proxy: Any) -> None:
    # A client has given up long before the 30 s that a task of the workflow may wait for the write lock.
    connection.execute(f"PRAGMA busy_timeout={int(PATIENCE_SECONDS * 1000)}")
