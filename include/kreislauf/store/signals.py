"""Leading signals of a release, and the newest part of its log that they, and the diagnosis, are taken from.

Every read here is bounded by its limit, whatever the log holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from include.kreislauf.store.database import insert_once
from include.kreislauf.store.rollouts import Arm
from include.kreislauf.store.schema import outcomes, predictions, reports, signals

ANSWERED = (Arm.CHAMPION, Arm.BASELINE)
"""The parts of the traffic that the live release answers as such."""


@dataclass(frozen=True)
class Signal:
    """What may warn before outcomes are known.

    Parameters
    ----------
    value: ``None``: not known, ``text`` says why.
    limit: above it there is a warning; ``None``: no limit is set.
    warning: the value is *surely* above the limit.
    """

    name: str
    value: float | None
    limit: float | None
    warning: bool
    text: str


def save_signals(
    db: Connection, use_case: str, release: int, as_of: datetime, found: Iterable[Signal], now: datetime
) -> None:
    """Write the signals of a pass down; the first of a name and a time stands."""
    for one in found:
        key = {"use_case": use_case, "release": release, "as_of": as_of}
        insert_once(db, signals, {**key, **vars(one), "created_at": now})


def newest_signals(db: Connection, use_case: str, release: int) -> list[Signal]:
    """The signals of the newest pass over a release, by name."""
    where = (signals.c.use_case == use_case, signals.c.release == release)
    newest = select(func.max(signals.c.as_of)).where(*where).scalar_subquery()
    columns = [signals.c[name] for name in Signal.__dataclass_fields__]
    query = select(*columns).where(*where, signals.c.as_of == newest).order_by(signals.c.name)
    return [Signal(**row._mapping) for row in db.execute(query)]


def newest_requests(
    db: Connection, use_case: str, release: int, since: datetime, until: datetime, limit: int
) -> list[Row[Any]]:
    """The newest requests that a release answered, newest first: columns id, entity, known, value, features."""
    as_of = predictions.c.as_of
    query = (
        select(*predictions.c["id", "entity", "known", "value", "features"])
        .where(*_of_release(use_case, release), as_of >= since, as_of <= until)
        .order_by(as_of.desc(), predictions.c.id.desc())
        .limit(limit)
    )
    return list(db.execute(query))


def first_values(
    db: Connection, use_case: str, release: int, since: datetime, until: datetime, limit: int
) -> list[Row[Any]]:
    """The first predictions of a release since it went live: columns id, entity, value."""
    as_of = predictions.c.as_of
    query = (
        select(*predictions.c["id", "entity", "value"])
        .where(
            *_of_release(use_case, release), as_of >= since, as_of <= until, predictions.c.value.is_not(None)
        )
        .order_by(as_of, predictions.c.id)
        .limit(limit)
    )
    return list(db.execute(query))


def newest_outcomes(
    db: Connection, use_case: str, release: int, until: datetime, limit: int
) -> list[Row[Any]]:
    """Predictions of a release among the newest outcomes of the whole store, in the order they were made in.

    Columns: entity, value, features, as_of, outcome, observed_at.
    """
    known = (outcomes.c.logged_at.is_not(None), outcomes.c.observed_at <= until)
    newest = select(outcomes).where(*known).order_by(outcomes.c.logged_at.desc()).limit(limit).subquery()
    columns = predictions.c["entity", "value", "features", "as_of"]
    query = (
        select(*columns, newest.c.value.label("outcome"), newest.c.observed_at)
        .select_from(newest.join(predictions, predictions.c.id == newest.c.prediction_id))
        .where(*_of_release(use_case, release), predictions.c.value.is_not(None))
        .order_by(predictions.c.as_of, predictions.c.id)
    )
    return list(db.execute(query))


def newest_report(
    db: Connection, use_case: str, metrics: Iterable[str], release: int, until: datetime
) -> datetime | None:
    """When the last report on a release was observed, of those on its newest periods."""
    found = []
    for metric in metrics:
        where = (reports.c.use_case == use_case, reports.c.metric == metric, reports.c.release == release)
        query = select(reports.c.observed_at).where(*where, reports.c.observed_at <= until)
        found += list(db.scalars(query.order_by(reports.c.period.desc()).limit(1000)))
    return max(found, default=None)


def _of_release(use_case: str, release: int) -> tuple[ColumnElement[bool], ...]:
    # Not a plain column: SQLite would take the index that begins with the release, and sort all that it ever answered.
    of_it: ColumnElement[bool] = predictions.c.release + 0 == release
    return (predictions.c.use_case == use_case, of_it, predictions.c.arm.in_(ANSWERED))
