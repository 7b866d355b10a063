"""Rows with time: the length of a period that suits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pandas as pd

from include.kreislauf.drafting.profiling import Column
from include.kreislauf.drafting.table import DraftError, Table
from include.kreislauf.drafting.wishes import Wishes
from include.kreislauf.periods import Period, numbers_of

LEAST_PERIODS = 12
"""Four held out, as many for the search, and some before them to learn from."""
MANY_PERIODS = 24
_LONGEST_FIRST: tuple[Period, ...] = ("year", "quarter", "month", "week", "day", "hour")


@dataclass(frozen=True)
class Calendar:
    """The time of rows.

    Parameters
    ----------
    periods: how many of them the sample has rows in.
    newest: the time of the last row.
    row_hours: hours a row is about, where several rows of the same thing lie in one period.
    """

    time: str
    period: Period
    periods: int
    newest: pd.Timestamp
    row_hours: float | None


def calendar_of(table: Table, column: Column, entity: str, wishes: Wishes) -> Calendar:
    """The wished period, or the longest one of which there are enough.

    Raises
    ------
    DraftError: the column holds no dates, the period does not exist, or there are too few periods.
    """
    where = f"time {column.name}"
    if column.type != "date":
        raise DraftError(
            column.why or f"holds {column.type}s", where=where, allowed="dates in ISO 8601, such as 2016-04-01",
            next_step="convert them in the source: which number is the month is never guessed",
        )  # fmt: skip
    times = _times(table.frame[column.name])
    period = _wished(wishes.period, where) or _suitable(times, where)
    numbers = numbers_of(times, period)
    count = int(numbers.nunique())
    if count < LEAST_PERIODS:
        raise DraftError(
            f"rows lie in {count} {period}s", where=where, allowed=f"at least {LEAST_PERIODS} periods",
            next_step="choose a shorter --period, or --time none",
        )  # fmt: skip
    return Calendar(column.name, period, count, times.max(), _row_hours(table, times, numbers, entity))


def _times(values: pd.Series) -> pd.Series:
    given = values.dropna()
    return pd.to_datetime(given, utc=True, format=None if _is_datetime(given) else "ISO8601").dt.tz_localize(
        None
    )


def _is_datetime(values: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(values))


def _wished(period: str, where: str) -> Period | None:
    if not period:
        return None
    for known in get_args(Period):
        if period == known:
            return known  # type: ignore[no-any-return]
    raise DraftError(
        f"unknown period {period!r}", where=where, allowed=get_args(Period), next_step="correct --period"
    )


def _suitable(times: pd.Series, where: str) -> Period:
    counts = {period: int(numbers_of(times, period).nunique()) for period in _LONGEST_FIRST}
    for enough in (MANY_PERIODS, LEAST_PERIODS):
        for period, count in counts.items():
            if count >= enough:
                return period
    raise DraftError(
        f"rows lie in {counts['hour']} hours only", where=where, allowed=f"at least {LEAST_PERIODS} periods of some length",
        next_step="choose --time none: rows are then split by chance",
    )  # fmt: skip


def _row_hours(table: Table, times: pd.Series, numbers: pd.Series, entity: str) -> float | None:
    """The usual distance of two rows of the same thing, where a period holds more than one."""
    names = table.frame[entity].loc[times.index].astype("str") if entity else pd.Series("", index=times.index)
    rows = pd.DataFrame({"name": names, "number": numbers, "time": times})
    if not rows.duplicated(["name", "number"]).any():
        return None
    ordered = rows.drop_duplicates(["name", "time"]).sort_values(["name", "time"])
    gaps = ordered.groupby("name")["time"].diff().dropna()
    hours = float(gaps.dt.total_seconds().median()) / 3600 if len(gaps) else 1.0
    return round(hours, 4)
