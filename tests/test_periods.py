"""Calendar periods: laws of starts, shifts and distances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.periods import MONTHS, Period, between, shift, start_of

PERIODS = st.sampled_from(list(MONTHS))
BOUNDS = [datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1900, 2200)]
ZONES = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(timezone)
MOMENTS = st.datetimes(*BOUNDS, timezones=ZONES)
COUNTS = st.integers(-400, 400)


@given(MOMENTS, PERIODS)
def test_law_a_moment_lies_in_its_period(moment: datetime, period: Period):
    start = start_of(moment, period)
    assert start <= moment < shift(start, period, 1)


@given(MOMENTS, PERIODS)
def test_law_a_start_is_a_midnight_in_utc_and_its_own_start(moment: datetime, period: Period):
    start = start_of(moment, period)
    assert start_of(start, period) == start
    assert start.utcoffset() == timedelta(0)
    assert (start.day, start.hour, start.minute, start.second, start.microsecond) == (1, 0, 0, 0, 0)
    assert (start.month - 1) % MONTHS[period] == 0


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
    [("month", (2016, 5), (2016, 6)), ("quarter", (2016, 4), (2016, 7)), ("year", (2016, 1), (2017, 1))],
)
def test_the_periods_of_a_day_in_may(period: Period, start: tuple[int, int], next_start: tuple[int, int]):
    found = start_of(datetime(2016, 5, 17, 13, tzinfo=UTC), period)
    assert found == datetime(*start, 1, tzinfo=UTC)
    assert shift(found, period, 1) == datetime(*next_start, 1, tzinfo=UTC)


def test_a_new_years_eve_elsewhere_is_new_year_in_utc():
    west = datetime(2015, 12, 31, 22, tzinfo=timezone(timedelta(hours=-3)))
    assert start_of(west, "year") == datetime(2016, 1, 1, tzinfo=UTC)
