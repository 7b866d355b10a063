"""What happened live: predictions, their outcomes, metric reports, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from include.kreislauf.store.database import insert_once, insert_rows
from include.kreislauf.store.schema import outcomes, predictions, reports, verdicts

OutcomeAnswer = Literal["stored", "duplicate", "conflict", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """A judgement of one business metric of one release at one time."""

    use_case: str
    metric: str
    release: int
    as_of: datetime
    cycle_id: str
    verdict: Literal["healthy", "breach", "inconclusive"]
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    periods: int
    text: str


def save_predictions(db: Connection, rows: list[dict[str, Any]]) -> None:
    """Log predictions; keys are the columns of the table."""
    insert_rows(db, predictions, rows)


def save_outcome(
    db: Connection, prediction_id: str, value: float, observed_at: datetime, now: datetime
) -> OutcomeAnswer:
    """Join what really happened to a prediction; the first outcome stands."""
    if db.scalar(select(predictions.c.id).where(predictions.c.id == prediction_id)) is None:
        return "unknown"
    row = {"prediction_id": prediction_id, "value": value, "observed_at": observed_at, "created_at": now}
    if insert_once(db, outcomes, row):
        return "stored"
    known = db.scalar(select(outcomes.c.value).where(outcomes.c.prediction_id == prediction_id))
    return "duplicate" if known == value else "conflict"


def save_report(db: Connection, row: dict[str, Any]) -> OutcomeAnswer:
    """Log a metric that its users reported; ``id`` makes it idempotent within its use case.

    The same id about something else is a conflict: taken for a duplicate it would be lost without a word.
    """
    if insert_once(db, reports, row):
        return "stored"
    same = [
        reports.c[name] == row[name] for name in ("use_case", "id", "metric", "release", "period", "value")
    ]
    return "duplicate" if db.scalar(select(reports.c.id).where(*same)) else "conflict"


def observed(db: Connection, use_case: str, until: datetime, *, release: int | None = None) -> list[Row[Any]]:
    """Predictions with their outcome where one was observed by ``until``: the newest per (release, entity, period).

    Columns: release, entity, known, value, period, as_of, outcome (``None`` while it is not known).
    """
    joined = predictions.outerjoin(
        outcomes, (outcomes.c.prediction_id == predictions.c.id) & (outcomes.c.observed_at <= until)
    )
    newest = func.row_number().over(
        partition_by=(predictions.c.release, predictions.c.entity, predictions.c.period),
        order_by=(predictions.c.created_at.desc(), predictions.c.id),
    )
    query = (
        select(*predictions.c["release", "entity", "known", "value", "period", "as_of"],
               outcomes.c.value.label("outcome"), newest.label("rank"))
        .select_from(joined)
        .where(predictions.c.use_case == use_case, predictions.c.as_of <= until)
    )  # fmt: skip
    if release is not None:
        query = query.where(predictions.c.release == release)
    ranked = query.subquery()
    return list(
        db.execute(select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.period, ranked.c.entity))
    )


def reported(db: Connection, use_case: str, metric: str, until: datetime) -> list[Row[Any]]:
    """Reports of a metric observed by ``until``: columns release, value, period."""
    where = (reports.c.use_case == use_case, reports.c.metric == metric, reports.c.observed_at <= until)
    return list(
        db.execute(select(*reports.c["release", "value", "period"]).where(*where).order_by(reports.c.period))
    )


def save_verdicts(db: Connection, rows: Iterable[Verdict], now: datetime) -> None:
    """Write verdicts down; the first one per (metric, release, time) stands."""
    for row in rows:
        insert_once(db, verdicts, {**vars(row), "created_at": now})


def verdicts_of(db: Connection, use_case: str, limit: int = 1000) -> list[Verdict]:
    """The newest verdicts of a use case, oldest first."""
    columns = [verdicts.c[name] for name in Verdict.__dataclass_fields__]
    query = select(*columns).where(verdicts.c.use_case == use_case)
    newest = query.order_by(verdicts.c.as_of.desc(), verdicts.c.created_at.desc()).limit(limit)
    return [Verdict(**row._mapping) for row in db.execute(newest)][::-1]
