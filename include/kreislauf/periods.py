"""Periods of the calendar and of the clock: when one begins and ends, and how far two lie apart. All in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Period = Literal["hour", "day", "week", "month", "quarter", "year"]
MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}
"""Length of those that are months of the calendar."""
LENGTHS: dict[Period, timedelta] = {
    "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1),
}  # fmt: skip
"""Length of the others; a week begins on Monday."""
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


def start_of(moment: datetime, period: Period) -> datetime:
    """Start of the period that a moment lies in, in UTC."""
    moment = moment.astimezone(UTC)
    if period in LENGTHS:
        return _MONDAY + (moment - _MONDAY) // LENGTHS[period] * LENGTHS[period]
    month = (moment.month - 1) // MONTHS[period] * MONTHS[period] + 1
    return datetime(moment.year, month, 1, tzinfo=UTC)


def shift(moment: datetime, period: Period, count: int) -> datetime:
    """A moment ``count`` periods later (earlier when negative); the day of the month is kept, so use starts."""
    if period in LENGTHS:
        return moment + count * LENGTHS[period]
    months = moment.year * 12 + moment.month - 1 + count * MONTHS[period]
    return moment.replace(year=months // 12, month=months % 12 + 1)


def between(earlier: datetime, later: datetime, period: Period) -> int:
    """Whole periods from the period of ``earlier`` to the period of ``later``."""
    first, last = start_of(earlier, period), start_of(later, period)
    if period in LENGTHS:
        return (last - first) // LENGTHS[period]
    return ((last.year - first.year) * 12 + last.month - first.month) // MONTHS[period]


def per_year(period: Period) -> int:
    """About how many periods a year has."""
    if period in LENGTHS:
        return timedelta(days=365) // LENGTHS[period]
    return 12 // MONTHS[period]


def offset(period: Period) -> pd.DateOffset:
    """The length of a period, to be added to a column of times."""
    import pandas as pd

    if period in LENGTHS:
        return pd.DateOffset(seconds=int(LENGTHS[period].total_seconds()))
    return pd.DateOffset(months=MONTHS[period])


def starts_of(times: pd.Series, period: Period) -> pd.Series:
    """Start of the period that each time (without a zone, or in UTC) lies in, without a zone."""
    import pandas as pd

    numbers = numbers_of(times, period)
    if period in LENGTHS:
        return pd.Timestamp(_MONDAY.replace(tzinfo=None)) + numbers * pd.Timedelta(LENGTHS[period])
    first = numbers * MONTHS[period]
    return pd.to_datetime(pd.DataFrame({"year": first // 12, "month": first % 12 + 1, "day": 1}))


def numbers_of(times: pd.Series, period: Period) -> pd.Series:
    """Number of the period that each time (without a zone, or in UTC) lies in: successive periods, successive numbers."""
    import pandas as pd

    plain = times.dt.tz_localize(None) if times.dt.tz is not None else times
    if period in LENGTHS:
        numbers = (plain - pd.Timestamp(_MONDAY.replace(tzinfo=None))) // pd.Timedelta(LENGTHS[period])
    else:
        numbers = (plain.dt.year * 12 + plain.dt.month - 1) // MONTHS[period]
    return pd.Series(numbers)


def number_of(moment: datetime, period: Period) -> int:
    """Number of the period that a moment lies in, as :func:`numbers_of` counts; a moment without a zone is in UTC."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    first = _MONDAY if period in LENGTHS else datetime(1, 1, 1, tzinfo=UTC)
    counted = between(first, moment, period)
    return counted if period in LENGTHS else counted + 12 // MONTHS[period]


def start_of_number(number: int, period: Period) -> datetime:
    """Start of the period with a number, in UTC."""
    if period in LENGTHS:
        return _MONDAY + number * LENGTHS[period]
    return shift(datetime(1, 1, 1, tzinfo=UTC), period, number - 12 // MONTHS[period])
