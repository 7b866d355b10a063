"""The levels at which business metrics stood, as monitoring wrote them down in its verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from include.kreislauf.store.schema import verdicts


@dataclass(frozen=True)
class Level:
    """Where a business metric stood, with the interval that was shown; ends that are not known are ``None``."""

    value: float
    low: float | None = None
    high: float | None = None


def level_of(value: float, low: float | None, high: float | None) -> Level:
    """A level; ends that are not finite are not known."""
    return Level(value, *(end if end is not None and isfinite(end) else None for end in (low, high)))


def level_at(db: Connection, use_case: str, metric: str, as_of: datetime, value: float) -> Level:
    """The level with this value as of a time, with the interval of the verdict that has it, if there is one."""
    query = _levels(use_case, metric).where(verdicts.c.as_of == as_of, verdicts.c.value == value)
    return _first(db, query) or Level(value)


def first_level(
    db: Connection, use_case: str, metric: str, release: int, until: datetime, *, observations: int
) -> Level | None:
    """The level of a release at its first verdict over so many observations, or at an earlier breach."""
    enough = or_(verdicts.c.periods >= observations, verdicts.c.verdict == "breach")
    where = (verdicts.c.release == release, verdicts.c.as_of <= until, verdicts.c.value.is_not(None), enough)
    return _first(db, _levels(use_case, metric).where(*where).order_by(verdicts.c.as_of))


def _levels(use_case: str, metric: str) -> Select[Any]:
    query = select(verdicts.c.value, verdicts.c.low, verdicts.c.high)
    return query.where(verdicts.c.use_case == use_case, verdicts.c.metric == metric)


def _first(db: Connection, query: Select[Any]) -> Level | None:
    row: Row[Any] | None = db.execute(query.limit(1)).first()
    return level_of(row.value, row.low, row.high) if row else None
