"""Leading signals of a release, and the newest part of its log that they, and the diagnosis, are taken from.

Every read here is bounded by its limit, whatever the log holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Join, Row, Subquery, func, select

from include.kreislauf.store.database import insert_once
from include.kreislauf.store.rollouts import Arm
from include.kreislauf.store.schema import outcomes, predictions, reports, signals

DAY = timedelta(days=1)
SLICES = 16
"""Parts of a day in which requests are looked at where a day has too many."""
OUTCOMES = 10_000
"""Outcomes of a use case among which those of a release are looked for."""
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
    """The newest requests that a release answered, newest first: columns id, entity, known, value, features, as_of.

    Where so many come within less than a day, they are taken in :data:`SLICES` parts of the last day, each without a
    gap: what comes within seconds is no sample of a day.
    """
    found = _requests(db, use_case, release, since, until, limit)
    if len(found) < limit or until - found[-1].as_of >= DAY:
        return found
    ends = [until - number * DAY / SLICES for number in range(SLICES)]
    starts = [max(since, end - DAY / SLICES) for end in ends]
    return [
        row
        for start, end in zip(starts, ends, strict=True)
        if start < end
        for row in _requests(db, use_case, release, start, end, limit // SLICES, open_start=True)
    ]


def first_requests(
    db: Connection, use_case: str, release: int, since: datetime, until: datetime, limit: int
) -> list[Row[Any]]:
    """The first requests that a release answered since it went live; columns as of :func:`newest_requests`."""
    return _requests(db, use_case, release, since, until, limit, first=True)


def _requests(
    db: Connection, use_case: str, release: int, since: datetime, until: datetime, limit: int, *,
    first: bool = False, open_start: bool = False,
) -> list[Row[Any]]:  # fmt: skip
    as_of, id_ = predictions.c.as_of, predictions.c.id
    begins = as_of > since if open_start else as_of >= since
    where = (*_of_release(use_case, release), begins, as_of <= until)
    order = (as_of, id_) if first else (as_of.desc(), id_.desc())
    columns = predictions.c["id", "entity", "known", "value", "features", "as_of"]
    return list(db.execute(select(*columns).where(*where).order_by(*order).limit(limit)))


def newest_outcomes(
    db: Connection, use_case: str, release: int, until: datetime, limit: int
) -> list[Row[Any]]:
    """The newest predictions of a release with an outcome, in the order they were made in.

    They are looked for among the newest :data:`OUTCOMES` of the use case. Columns: entity, value, features, as_of, outcome.
    """
    newest = _newest(use_case, until)
    columns = (*predictions.c["entity", "value", "features", "as_of"], newest.c.value.label("outcome"))
    where = (*_of_release(use_case, release), predictions.c.value.is_not(None))
    query = select(*columns).select_from(_joined(newest)).where(*where)
    ordered = query.order_by(predictions.c.as_of.desc(), predictions.c.id.desc()).limit(limit)
    return list(db.execute(ordered))[::-1]


def newest_feedback(db: Connection, use_case: str, release: int, until: datetime) -> datetime | None:
    """When the last outcome of a release was observed, of those among the newest :data:`OUTCOMES` of the use case."""
    newest = _newest(use_case, until)
    query = select(func.max(newest.c.observed_at)).select_from(_joined(newest))
    found: datetime | None = db.scalar(query.where(*_of_release(use_case, release)))
    return found


def _newest(use_case: str, until: datetime) -> Subquery:
    # the order of their writing, which an index has: that of their predictions would mean reading them all
    known = (
        outcomes.c.use_case == use_case, outcomes.c.logged_at.is_not(None), outcomes.c.observed_at <= until,
    )  # fmt: skip
    return select(outcomes).where(*known).order_by(outcomes.c.logged_at.desc()).limit(OUTCOMES).subquery()


def _joined(newest: Subquery) -> Join:
    return newest.join(predictions, predictions.c.id == newest.c.prediction_id)


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
