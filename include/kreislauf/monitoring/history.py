"""A business metric over the whole history of a use case, period by period, whichever release was live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path

from sqlalchemy import Connection, select

from include.kreislauf.monitoring.measuring import measured
from include.kreislauf.monitoring.observing import Observation
from include.kreislauf.monitoring.verdicts import uplift_by_period
from include.kreislauf.periods import Period, start_of
from include.kreislauf.requirements.business import PerPrediction
from include.kreislauf.requirements.contract import BusinessMetric, Contract, PortfolioUplift, Reported
from include.kreislauf.store import observations
from include.kreislauf.store.schema import outcomes, predictions, reports

UNTIMED: Period = "month"
"""Of use cases without time: what is shown together."""


@dataclass(frozen=True)
class PeriodLine:
    """The metric of what one release answered in one period, over so many observations."""

    period: str
    release: int
    value: float
    observations: int


def history_of(
    db: Connection, contract: Contract, metric: BusinessMetric, until: datetime, folder: Path | None = None
) -> list[PeriodLine]:
    """Every matured period of every release, oldest first; none for a metric that only another system knows.

    Parameters
    ----------
    folder: that of the use case, see :func:`~include.kreislauf.evaluation.business.measure_of`.

    Raises
    ------
    EvaluationError: the use case's own metric cannot be had, or fails.
    """
    if isinstance(metric, PortfolioUplift):
        return _uplifts(db, contract.name, metric, until)
    if isinstance(metric, Reported):
        return _means(_reported(db, contract, metric, until))
    if isinstance(metric, PerPrediction):
        return _means(_measured(db, contract, metric, until, folder))
    return []


def _uplifts(db: Connection, use_case: str, metric: PortfolioUplift, until: datetime) -> list[PeriodLine]:
    rows = observations.observed(db, use_case, until)
    found = []
    for release in sorted({row.release for row in rows}):
        by_period = uplift_by_period([row for row in rows if row.release == release], metric.top)
        found += [PeriodLine(f"{period:%Y-%m-%d}", release, value, 1) for period, value in by_period.items()]
    return sorted(found, key=lambda line: (line.period, line.release))


def _reported(
    db: Connection, contract: Contract, metric: Reported, until: datetime
) -> Iterable[tuple[datetime, int, float]]:
    where = (
        reports.c.use_case == contract.name,
        reports.c.metric == metric.name,
        reports.c.observed_at <= until,
    )
    for row in db.execute(select(*reports.c["period", "release", "value"]).where(*where)):
        yield start_of(row.period, contract.problem.period or UNTIMED), row.release, row.value


def _measured(
    db: Connection, contract: Contract, metric: PerPrediction, until: datetime, folder: Path | None
) -> Iterable[tuple[datetime, int, float]]:
    joined = predictions.join(outcomes, outcomes.c.prediction_id == predictions.c.id)
    columns = (*predictions.c["as_of", "release", "value"], outcomes.c.value.label("outcome"))
    where = (predictions.c.use_case == contract.name, outcomes.c.observed_at <= until)
    rows = db.execute(select(*columns).select_from(joined).where(*where)).all()
    made = [Observation(row.as_of, str(number), row.outcome, row.value) for number, row in enumerate(rows)]
    for one in measured(metric, contract.problem, made, folder):
        if isfinite(one.value):
            period = start_of(one.known_at, contract.problem.period or UNTIMED)
            yield period, rows[int(one.id)].release, one.value


def _means(rows: Iterable[tuple[datetime, int, float]]) -> list[PeriodLine]:
    groups: dict[tuple[datetime, int], list[float]] = defaultdict(list)
    for period, release, value in rows:
        groups[period, release].append(value)
    return [
        PeriodLine(f"{period:%Y-%m-%d}", release, sum(values) / len(values), len(values))
        for (period, release), values in sorted(groups.items())
    ]
