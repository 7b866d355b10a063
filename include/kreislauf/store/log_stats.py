"""How large the prediction log is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import case, func, select

from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import log_archives, log_days, log_newest, predictions


@dataclass(frozen=True)
class LogStats:
    """What the log holds of one use case.

    Parameters
    ----------
    rows, first, last: predictions in the store, and the days of the oldest and the newest of them; empty: none.
    days, stale: that were rolled up, and how many of them miss rows that came late.
    newest: rows of the roll-up.
    archived, files: rows that left the store, and the files they are in.
    """

    rows: int
    first: str
    last: str
    days: int
    stale: int
    newest: int
    archived: int
    files: int


def use_cases(store: Store, only: str | None = None) -> list[str]:
    """Use cases that have predictions, or the one that is named."""
    if only is not None:
        return [only]
    found, last = [], ""
    with store.read() as db:
        # one look into the index per use case, whatever the number of predictions
        next_one = select(func.min(predictions.c.use_case))
        while (name := db.scalar(next_one.where(predictions.c.use_case > last))) is not None:
            found.append(name)
            last = name
        rolled = db.scalars(select(log_days.c.use_case).distinct())
        return sorted({*found, *rolled})


def newest_day(store: Store, use_case: str) -> datetime:
    """Start of the day of the newest prediction, by the time it was made for."""
    with store.read() as db:
        found: datetime | None = db.scalar(
            select(func.max(predictions.c.as_of)).where(predictions.c.use_case == use_case)
        )
    moment = found or datetime(1, 1, 2, tzinfo=UTC)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def stats(store: Store, use_case: str) -> LogStats:
    """Count one use case; reads an index of all its rows."""
    times = (func.count(), func.min(predictions.c.as_of), func.max(predictions.c.as_of))
    missing = func.coalesce(func.sum(case((log_days.c.rolled != log_days.c.revision, 1), else_=0)), 0)
    archived = func.coalesce(func.sum(log_archives.c.rows), 0)
    with store.read() as db:
        rows, first, last = db.execute(select(*times).where(predictions.c.use_case == use_case)).one()
        days, stale = db.execute(
            select(func.count(), missing).where(
                log_days.c.use_case == use_case, log_days.c.rolled.is_not(None)
            )
        ).one()
        newest = db.scalar(
            select(func.count()).select_from(log_newest).where(log_newest.c.use_case == use_case)
        )
        away, files = db.execute(
            select(archived, func.count()).where(log_archives.c.use_case == use_case)
        ).one()
    first, last = (f"{one:%Y-%m-%d}" if one else "" for one in (first, last))
    return LogStats(rows, first, last, days, stale, newest or 0, away, files)
