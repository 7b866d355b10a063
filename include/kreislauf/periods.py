"""Calendar periods: when a period ends, and how far two lie apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

Period = Literal["month", "quarter", "year"]
MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}


def start_of(moment: datetime, period: Period) -> datetime:
    """Start of the period that a moment lies in, in UTC."""
    moment = moment.astimezone(UTC)
    month = (moment.month - 1) // MONTHS[period] * MONTHS[period] + 1
    return datetime(moment.year, month, 1, tzinfo=UTC)


def shift(moment: datetime, period: Period, count: int) -> datetime:
    """A moment ``count`` periods later (earlier when negative); the day of the month is kept, so use starts."""
    months = moment.year * 12 + moment.month - 1 + count * MONTHS[period]
    return moment.replace(year=months // 12, month=months % 12 + 1)


def between(earlier: datetime, later: datetime, period: Period) -> int:
    """Whole periods from the period of ``earlier`` to the period of ``later``."""
    first, last = start_of(earlier, period), start_of(later, period)
    return ((last.year - first.year) * 12 + last.month - first.month) // MONTHS[period]
