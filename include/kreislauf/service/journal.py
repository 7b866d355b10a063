"""The prediction log as the service sees it: what it returns from is on the disk, in the store or in the spool."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.kreislauf.service.group_commit import GroupCommit
from include.kreislauf.service.log_entries import Observed, Records
from include.kreislauf.service.log_sink import LogSink, SpoolMetrics
from include.kreislauf.service.problems import invalid
from include.kreislauf.service.schemas import Fault, OutcomeResult, Report, ReportResult
from include.kreislauf.service.spool import Spool
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import (
    LoggedOutcome,
    LoggedPrediction,
    LoggedReport,
    LoggedShadow,
    new_id,
    stamp,
)
from include.kreislauf.store.log_writer import WrongMetricError

if TYPE_CHECKING:
    from include.kreislauf.service.metrics import Metrics

__all__ = ["Journal", "LoggedPrediction", "LoggedShadow", "new_id", "stamp"]

PATIENCE_SECONDS = 5.0
"""How long a request waits for the store before its records go to the spool."""
SPOOL_BYTES = 64 << 20


class Journal:
    """Makes predictions, outcomes and reports durable before they are acknowledged.

    Parameters
    ----------
    spool_folder: where records are kept while the store is away; made when it is needed.
    spool_bytes: the most that this process keeps there.
    """

    def __init__(
        self, store: Store, spool_folder: Path, metrics: Metrics, spool_bytes: int = SPOOL_BYTES
    ) -> None:
        self._metrics = metrics
        spool = Spool(spool_folder, spool_bytes)
        self._sink = LogSink(store, spool, SpoolMetrics(metrics.registry), PATIENCE_SECONDS)
        self._commit = GroupCommit(self._sink.write)

    def start(self) -> None:
        """Begin; to be called in the running event loop."""
        self._sink.start()
        self._commit.start()

    async def stop(self) -> None:
        """End when everything that was given is durable; nothing may be given any more."""
        await self._commit.stop()
        await asyncio.to_thread(self._sink.stop)

    async def write_predictions(
        self, rows: Sequence[LoggedPrediction], shadow: Sequence[LoggedShadow] = ()
    ) -> None:
        """Return when all of them are durable.

        Raises
        ------
        RefusedError: 503, neither the store nor the spool can take them now; nothing was stored.
        """
        await self._commit.durable(Records(rows, shadow))

    async def write_outcomes(
        self, use_case: str, sent: Sequence[Observed], now: datetime, client: str | None = None
    ) -> list[OutcomeResult]:
        """Join outcomes to predictions of a use case; returns when the answers are final, or ``accepted``.

        Parameters
        ----------
        client: id of the API key that sent them; ``None``: there was none.

        Raises
        ------
        RefusedError: 503, as for predictions.
        """
        at = stamp(now)
        rows = [
            LoggedOutcome(use_case, one.prediction_id, one.value, stamp(one.observed_at), at, client)
            for one in sent
        ]
        answers = await self._commit.durable(Records(outcomes=rows))
        for name, count in Counter(answers).items():
            self._metrics.outcomes.labels(use_case, name).inc(count)
        return [
            OutcomeResult(prediction_id=one.prediction_id, result=answer, reason=_OUTCOME_REASONS.get(answer))
            for one, answer in zip(sent, answers, strict=True)
        ]

    async def write_reports(
        self, use_case: str, sent: Sequence[Report], now: datetime, client: str | None = None
    ) -> list[ReportResult]:
        """Log metric reports of a use case; returns when the answers are final, or ``accepted``.

        Raises
        ------
        RefusedError: 422, a metric is not a reported one of the signed contract; 503, as for predictions.
        """
        at = stamp(now)
        rows = [
            LoggedReport(
                use_case,
                one.id,
                one.metric,
                one.release,
                one.value,
                stamp(one.period),
                stamp(one.observed_at),
                at,
                client,
            )
            for one in sent
        ]
        try:
            answers = await self._commit.durable(Records(reports=rows))
        except WrongMetricError as error:
            raise invalid(_faults(sent, error.allowed)) from error
        for name, count in Counter(answers).items():
            self._metrics.reports.labels(use_case, name).inc(count)
        return [
            ReportResult(id=one.id, result=answer, reason=_REPORT_REASONS.get(answer))
            for one, answer in zip(sent, answers, strict=True)
        ]


def _faults(sent: Sequence[Report], names: Sequence[str]) -> list[Fault]:
    allowed = ", ".join(names) or "none: the use case's signed contract has no metric of kind 'reported'"
    reason = "is not a reported metric of the signed contract"
    return [
        Fault(field=f"reports.{index}.metric", reason=reason, allowed=allowed)
        for index, one in enumerate(sent)
        if one.metric not in names
    ]


_LATER = "the store does not answer now; this is checked when it does"
_OUTCOME_REASONS = {
    "conflict": "another value is stored for this prediction; the first one stands",
    "unknown": "no prediction of this use case has this id",
    "accepted": _LATER,
}
_REPORT_REASONS = {
    "conflict": "another report is stored under this id; the first one stands",
    "unknown": "this use case has no such release",
    "accepted": _LATER,
}
