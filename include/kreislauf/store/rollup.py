"""The roll-up of the prediction log: per closed day, the newest prediction of each (release, arm, entity, period).

A day is that of the predictions' ``as_of``, in UTC. It is covered while ``rolled`` is its ``revision``; a prediction
that comes late raises the revision, and until the next roll-up the day's rows are read one by one again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, text, union, update

from include.kreislauf.store.database import Store, insert_once, insert_rows
from include.kreislauf.store.log_records import moment_of
from include.kreislauf.store.log_writer import LOG_LOCK
from include.kreislauf.store.schema import (
    log_archives,
    log_counts,
    log_days,
    log_newest,
    outcomes,
    predictions,
)

DAY = timedelta(days=1)
LONGEST_HOLE = 31
"""Days without predictions that are closed too; a longer hole costs a reader one more range."""


def roll_up(store: Store, use_case: str, until: datetime, now: datetime) -> list[str]:
    """Roll up every day that ended by a time and is not covered; returns these days."""
    with store.read() as db:
        days = _days_to_roll(db, use_case, until)
    if days:
        _close(store, use_case, days)
    return [day for day in days if _roll(store, use_case, day, now)]


def counts_of(db: Connection, use_case: str, day: str) -> list[dict[str, Any]]:
    """What is counted of the day's rows that are in the store, per release and arm."""
    error = predictions.c.value - outcomes.c.value
    query = (
        select(
            *predictions.c["release", "arm"], func.count().label("rows"),
            func.sum(case((predictions.c.known, 1), else_=0)).label("known"),
            func.sum(case((predictions.c.entity.is_(None), 1), else_=0)).label("anonymous"),
            func.count(outcomes.c.value).label("outcomes"),
            func.coalesce(func.sum(error), 0.0).label("error"),
            func.coalesce(func.sum(func.abs(error)), 0.0).label("absolute_error"),
        )
        .select_from(predictions.outerjoin(outcomes, outcomes.c.prediction_id == predictions.c.id))
        .where(*in_day(use_case, day))
        .group_by(*predictions.c["release", "arm"])
    )  # fmt: skip
    return [{"use_case": use_case, "day": day, **row._mapping} for row in db.execute(query)]


def in_day(use_case: str, day: str) -> tuple[Any, ...]:
    """Condition for the rows of a day."""
    start = moment_of(day)
    as_of = predictions.c.as_of
    return (predictions.c.use_case == use_case, as_of >= start, as_of < start + DAY)


def _days_to_roll(db: Connection, use_case: str, until: datetime) -> list[str]:
    covered = set(
        db.scalars(
            select(log_days.c.day).where(
                log_days.c.use_case == use_case, log_days.c.rolled == log_days.c.revision
            )
        )
    )
    return [day for day in _days_with_rows(db, use_case, until) if day not in covered]


def _days_with_rows(db: Connection, use_case: str, until: datetime) -> Iterator[str]:
    """Days with predictions that ended by a time, and short holes between them."""
    before: datetime | None = None
    start = datetime(1, 1, 2, tzinfo=UTC)
    while True:
        own = (predictions.c.use_case == use_case, predictions.c.as_of >= start)
        first: datetime | None = db.scalar(select(func.min(predictions.c.as_of)).where(*own))
        if first is None:
            return
        day = first.replace(hour=0, minute=0, second=0, microsecond=0)
        if day + DAY > until:
            return
        if before is not None and (day - before).days <= LONGEST_HOLE:
            yield from (f"{before + number * DAY:%Y-%m-%d}" for number in range(1, (day - before).days))
        yield f"{day:%Y-%m-%d}"
        before, start = day, day + DAY


def _close(store: Store, use_case: str, days: list[str]) -> None:
    """From now on, who logs a prediction of these days says so."""
    with store.write() as db:
        if db.dialect.name == "postgresql":  # waits for those who began before and could not know
            db.execute(select(func.pg_advisory_xact_lock(LOG_LOCK)))
        for day in days:
            insert_once(db, log_days, {"use_case": use_case, "day": day, "revision": 0})


def _roll(store: Store, use_case: str, day: str, now: datetime) -> bool:
    """Roll up one day; ``False`` when an archive of it is under way."""
    with store.read() as db:
        state = _state(db, use_case, day)
        if state[1]:
            return False
        newest = [{"use_case": use_case, "day": day, **row} for row in _newest(db, use_case, day)]
        counts = [{**row, "part": ""} for row in counts_of(db, use_case, day)]
    with store.write() as db:
        if _state(db, use_case, day, lock=True)[1:] != state[1:]:
            return False
        own = (log_days.c.use_case == use_case, log_days.c.day == day)
        not_newer = func.coalesce(log_days.c.rolled, -1) <= state[0]
        rolled = update(log_days).where(*own, not_newer).values(rolled=state[0], rolled_at=now)
        if db.execute(rolled).rowcount == 0:  # another process has rolled up more
            return False
        db.execute(delete(log_newest).where(log_newest.c.use_case == use_case, log_newest.c.day == day))
        insert_rows(db, log_newest, newest)
        replace_counts(db, use_case, day, counts)
    return True


def replace_counts(db: Connection, use_case: str, day: str, rows: list[dict[str, Any]]) -> None:
    """Put counts in place of those of the day's rows in the store."""
    of_day = (log_counts.c.use_case == use_case, log_counts.c.day == day, log_counts.c.part == "")
    db.execute(delete(log_counts).where(*of_day))
    if rows:
        db.execute(insert(log_counts), rows)


def _state(db: Connection, use_case: str, day: str, *, lock: bool = False) -> tuple[int, int, int]:
    """The day's revision, and the number of its archives: under way, and all."""
    query = select(log_days.c.revision).where(log_days.c.use_case == use_case, log_days.c.day == day)
    revision = db.execute(query.with_for_update() if lock else query).scalar_one()
    of_day = (log_archives.c.use_case == use_case, log_archives.c.day == day)
    open_ones = func.sum(case((log_archives.c.deleted_at.is_(None), 1), else_=0))
    under_way, parts = db.execute(select(func.coalesce(open_ones, 0), func.count()).where(*of_day)).one()
    return revision, under_way, parts


def _newest(db: Connection, use_case: str, day: str) -> list[dict[str, Any]]:
    """Rows in the store together with what an earlier roll-up found: those may be in an archive by now."""
    columns = [one.name for one in log_newest.c if one.name not in ("use_case", "day")]
    raw = select(*predictions.c[tuple(columns)]).where(*in_day(use_case, day))
    rolled = select(*log_newest.c[tuple(columns)]).where(
        log_newest.c.use_case == use_case, log_newest.c.day == day
    )
    found = union(raw, rolled).subquery()
    rank = func.row_number().over(
        partition_by=found.c["release", "arm", "entity", "period"],
        order_by=(found.c.created_at.desc(), found.c.id),
    )
    ranked = select(found, rank.label("rank")).subquery()
    rows = db.execute(select(*ranked.c[tuple(columns)]).where(text("rank = 1")))
    return [dict(row._mapping) for row in rows]
