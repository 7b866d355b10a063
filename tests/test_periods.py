"""Periods of the calendar and of the clock: laws of starts, shifts and distances, of moments and of columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.periods import (
    LENGTHS,
    MONTHS,
    Period,
    between,
    number_of,
    numbers_of,
    offset,
    per_year,
    shift,
    start_of,
    start_of_number,
    starts_of,
)

PERIODS = st.sampled_from([*LENGTHS, *MONTHS])
BOUNDS = [datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1900, 2200)]
ZONES = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(timezone)
MOMENTS = st.datetimes(*BOUNDS, timezones=ZONES)
COUNTS = st.integers(-400, 400)


@given(MOMENTS, PERIODS)
def test_law_a_moment_lies_in_its_period(moment: datetime, period: Period):
    start = start_of(moment, period)
    assert start <= moment < shift(start, period, 1)


@given(MOMENTS, PERIODS)
def test_law_a_start_is_its_own_start_in_utc(moment: datetime, period: Period):
    start = start_of(moment, period)
    assert start_of(start, period) == start
    assert start.utcoffset() == timedelta(0)
    assert (start.minute, start.second, start.microsecond) == (0, 0, 0)
    assert start.hour == 0 or period == "hour"
    assert start.weekday() == 0 or period != "week"
    if period in MONTHS:
        assert (start.day, (start.month - 1) % MONTHS[period]) == (1, 0)


@given(MOMENTS, PERIODS, COUNTS)
def test_law_shifting_back_undoes_a_shift(moment: datetime, period: Period, count: int):
    start = start_of(moment, period)
    assert shift(shift(start, period, count), period, -count) == start
    assert shift(start, period, 0) == start


@given(MOMENTS, PERIODS, COUNTS, COUNTS)
def test_law_two_shifts_are_one(moment: datetime, period: Period, first: int, second: int):
    start = start_of(moment, period)
    assert shift(shift(start, period, first), period, second) == shift(start, period, first + second)


@given(MOMENTS, PERIODS, COUNTS)
def test_law_a_shifted_start_lies_as_many_periods_away(moment: datetime, period: Period, count: int):
    start = start_of(moment, period)
    later = shift(start, period, count)
    assert start_of(later, period) == later
    assert between(start, later, period) == between(moment, later, period) == count


@given(MOMENTS, MOMENTS, MOMENTS, PERIODS)
def test_law_distances_add_up(a: datetime, b: datetime, c: datetime, period: Period):
    assert between(a, b, period) + between(b, c, period) == between(a, c, period)
    assert between(a, b, period) == -between(b, a, period)


@given(MOMENTS, MOMENTS, PERIODS)
def test_law_starts_keep_the_order(a: datetime, b: datetime, period: Period):
    a, b = sorted((a, b))
    assert start_of(a, period) <= start_of(b, period)
    assert between(a, b, period) >= 0


@pytest.mark.parametrize(
    ("period", "start", "next_start"),
    [
        ("hour", (2016, 5, 17, 13), (2016, 5, 17, 14)), ("day", (2016, 5, 17), (2016, 5, 18)),
        ("week", (2016, 5, 16), (2016, 5, 23)), ("month", (2016, 5, 1), (2016, 6, 1)),
        ("quarter", (2016, 4, 1), (2016, 7, 1)), ("year", (2016, 1, 1), (2017, 1, 1)),
    ],
)  # fmt: skip
def test_the_periods_of_a_tuesday_in_may(
    period: Period, start: tuple[int, int, int], next_start: tuple[int, int, int]
):
    found = start_of(datetime(2016, 5, 17, 13, 20, tzinfo=UTC), period)
    assert found == datetime(*start, tzinfo=UTC)
    assert shift(found, period, 1) == datetime(*next_start, tzinfo=UTC)


@given(st.lists(MOMENTS, min_size=1, max_size=5), PERIODS)
def test_law_a_column_is_as_its_moments(moments: list[datetime], period: Period):
    times = pd.Series(
        pd.to_datetime([one.astimezone(UTC) for one in moments]), index=range(3, 3 + len(moments))
    )
    plain = [start_of(one, period).replace(tzinfo=None) for one in moments]
    for column in (times, times.dt.tz_localize(None)):
        assert list(starts_of(column, period)) == plain
        assert list(numbers_of(column, period)) == [number_of(one, period) for one in moments]
        assert list(numbers_of(column, period).index) == list(times.index)
    ends = starts_of(times, period) + offset(period)
    assert list(ends) == [shift(start_of(one, period), period, 1).replace(tzinfo=None) for one in moments]


@given(MOMENTS, MOMENTS, PERIODS)
def test_law_numbers_count_periods(a: datetime, b: datetime, period: Period):
    assert number_of(b, period) - number_of(a, period) == between(a, b, period)
    assert start_of_number(number_of(a, period), period) == start_of(a, period)
    assert number_of(a.astimezone(UTC).replace(tzinfo=None), period) == number_of(a, period)


def test_a_new_years_eve_elsewhere_is_new_year_in_utc():
    west = datetime(2015, 12, 31, 22, tzinfo=timezone(timedelta(hours=-3)))
    assert start_of(west, "year") == datetime(2016, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "count"), [("hour", 8760), ("day", 365), ("week", 52), ("month", 12), ("quarter", 4), ("year", 1)]
)  # fmt: skip
def test_so_many_periods_have_a_year(period: Period, count: int):
    assert per_year(period) == count
