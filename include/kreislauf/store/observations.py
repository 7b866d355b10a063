"""What happened live: predictions, their outcomes, metric reports, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import CompoundSelect, Connection, Row, Select, Subquery, Table, func, select, union_all

from include.kreislauf.store import log_writer
from include.kreislauf.store.database import insert_once
from include.kreislauf.store.log_records import (
    LoggedOutcome,
    LoggedPrediction,
    LoggedReport,
    moment_of,
    stamp,
)
from include.kreislauf.store.log_writer import OutcomeAnswer
from include.kreislauf.store.schema import log_days, log_newest, outcomes, predictions, reports, verdicts

MAX_GAPS = 200
"""With more holes between the days that were rolled up, every row is read: slower, and as right."""

_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_CANDIDATE = ("id", "release", "entity", "known", "value", "period", "as_of", "created_at")


@dataclass(frozen=True)
class Verdict:
    """A judgement of one business metric of one release at one time.

    Parameters
    ----------
    periods: how many matured periods the release has; of a metric with a test, how many observations.
    evidence: see :class:`~include.kreislauf.monitoring.verdicts.Judgement`.
    """

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
    evidence: float | None = None


def save_predictions(db: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Log predictions; keys are the columns of the table. One whose id is there already stays as it is."""
    log_writer.write_predictions(db, [LoggedPrediction(**_stamped(row)) for row in rows])


def save_outcome(
    db: Connection,
    prediction_id: str,
    value: float,
    observed_at: datetime,
    now: datetime,
    client: str | None = None,
) -> OutcomeAnswer:
    """Join what really happened to a prediction; the first outcome stands.

    Parameters
    ----------
    client: id of the API key that sent it; ``None``: there was none.
    """
    use_case = log_writer.owners(db, {prediction_id}).get(prediction_id, "")
    row = LoggedOutcome(use_case, prediction_id, value, stamp(observed_at), stamp(now), client)
    return log_writer.write_outcomes(db, [row])[0]


def save_report(db: Connection, row: Mapping[str, Any]) -> OutcomeAnswer:
    """Log a metric that its users reported; ``id`` makes it idempotent within its use case.

    The same id about something else is a conflict: taken for a duplicate it would be lost without a word.
    """
    return log_writer.insert_report(db, LoggedReport(**_stamped(row)))


def observed(
    db: Connection, use_case: str, until: datetime, *, release: int | None = None, arm: str | None = None,
    periods: int | None = None,
) -> list[Row[Any]]:  # fmt: skip
    """Predictions with their outcome where one was observed by ``until``: the newest per (release, entity, period).

    Days that were rolled up are read from there. What was archived counts only if its day had ended by ``until``.

    Parameters
    ----------
    arm: only what this arm of a rollout answered; default: all, and the newest of them counts.
    periods: only so many periods, the newest; default: all.

    Returns
    -------
    Columns: release, entity, known, value, period, as_of, outcome (``None`` while it is not known).
    """
    found = _candidates(db, use_case, until, release, arm).subquery()
    if periods is not None and (since := _period_before(db, found, periods)):
        # not a plain column: SQLite would take the index that begins with the release, and read all of its periods
        found = select(found).where(func.coalesce(found.c.period, since) >= since).subquery()
    rank = func.row_number().over(
        partition_by=(found.c.release, found.c.entity, found.c.period),
        order_by=(found.c.created_at.desc(), found.c.id),
    )
    newest = select(found, rank.label("rank")).subquery()
    joined = newest.outerjoin(
        outcomes, (outcomes.c.prediction_id == newest.c.id) & (outcomes.c.observed_at <= until)
    )
    columns = newest.c["release", "entity", "known", "value", "period", "as_of"]
    query = select(*columns, outcomes.c.value.label("outcome")).select_from(joined)
    return list(db.execute(query.where(newest.c.rank == 1).order_by(newest.c.period, newest.c.entity)))


def _period_before(db: Connection, found: Subquery, periods: int) -> datetime | None:
    """The first of the newest periods; ``None``: there are not more than so many."""
    newest = select(found.c.period).distinct().order_by(found.c.period.desc())
    since: datetime | None = db.scalar(newest.offset(periods - 1).limit(1))
    return since


def _candidates(
    db: Connection, use_case: str, until: datetime, release: int | None, arm: str | None
) -> CompoundSelect[Any]:
    """The newest of each day that was rolled up, and every row of the other days."""

    def rows_of(table: Table, *where: Any) -> Select[Any]:
        query = select(*table.c[_CANDIDATE]).where(table.c.use_case == use_case, *where)
        if release is not None:
            query = query.where(table.c.release == release)
        return query if arm is None else query.where(table.c.arm == arm)

    # One query per gap: of ranges joined by OR, SQLite reads everything between the first and the last.
    as_of = predictions.c.as_of
    ranges = [
        (as_of >= start, as_of < end if end <= until else as_of <= until)
        for start, end in _not_covered(covered_days(db, use_case, until))
        if start <= until
    ]
    raw = [rows_of(predictions, *where) for where in ranges]
    return union_all(rows_of(log_newest, log_newest.c.as_of <= until), *raw)


def covered_days(db: Connection, use_case: str, until: datetime) -> list[str]:
    """Days that ended by a time, and of which the roll-up misses no row; in their order."""
    last = (until.astimezone(UTC) - timedelta(days=1)).date().isoformat()
    where = (
        log_days.c.use_case == use_case,
        log_days.c.rolled == log_days.c.revision,
        log_days.c.day <= last,
    )
    return list(db.scalars(select(log_days.c.day).where(*where).order_by(log_days.c.day)))


def _not_covered(days: Sequence[str]) -> list[tuple[datetime, datetime]]:
    """From when to when rows are to be read one by one."""
    gaps, start = [], _FIRST
    for day in days:
        begins = moment_of(day)
        if begins > start:
            gaps.append((start, begins))
        start = begins + timedelta(days=1)
    gaps.append((start, _LAST))
    return gaps if len(gaps) <= MAX_GAPS else [(_FIRST, _LAST)]


def _stamped(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: stamp(one) if isinstance(one, datetime) else one for name, one in row.items()}


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


def last_verdict(db: Connection, use_case: str, metric: str, release: int, until: datetime) -> Verdict | None:
    """The newest verdict on a metric of a release, of those as of a time or earlier."""
    columns = [verdicts.c[name] for name in Verdict.__dataclass_fields__]
    key = (verdicts.c.use_case == use_case, verdicts.c.metric == metric, verdicts.c.release == release)
    query = select(*columns).where(*key, verdicts.c.as_of <= until)
    row = db.execute(query.order_by(verdicts.c.as_of.desc()).limit(1)).first()
    return Verdict(**row._mapping) if row else None
