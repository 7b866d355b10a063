"""Times in the store: aware on the way in and out, whatever the database keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from include.kreislauf.store.database import Store, insert_once
from include.kreislauf.store.schema import UtcDateTime, live_releases
from tests.support.examples import NOW

TIMES = Table("times", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime))
BOUNDS = [NOW.replace(year=year, tzinfo=None) for year in (1900, 2200)]
ZONES = st.sampled_from([
    UTC,
    timezone(timedelta(hours=5, minutes=45)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/St_Johns"),
])  # fmt: skip


@pytest.fixture
def times(store: Store) -> Store:
    TIMES.create(store.engine)
    return store


def kept(store: Store, *moments: datetime | None) -> list[datetime | None]:
    """The times as the store gives them back, in its own order."""
    with store.write() as db:
        db.execute(TIMES.delete())
        db.execute(insert(TIMES), [{"at": moment} for moment in moments])
        return list(db.scalars(select(TIMES.c.at).order_by(TIMES.c.at)))


@given(st.lists(st.datetimes(*BOUNDS, timezones=ZONES), min_size=1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_times_come_back_the_same_in_utc_and_in_order(times: Store, moments: list[datetime]):
    found = kept(times, *moments)
    assert found == sorted(moment.astimezone(UTC) for moment in moments)
    assert {moment.utcoffset() for moment in found} == {timedelta(0)}


def test_comparing_takes_the_zone_into_account(times: Store):
    with times.write() as db:
        db.execute(insert(TIMES), {"at": NOW})
        an_hour_east = NOW.astimezone(timezone(timedelta(hours=1)))
        assert db.scalar(select(TIMES.c.at).where(TIMES.c.at <= an_hour_east)) == NOW


def test_no_time_stays_no_time(times: Store):
    assert kept(times, None) == [None]


def test_a_time_without_zone_is_refused_in_rows_and_in_conditions(times: Store):
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="has no time zone"):
        kept(times, naive)
    with times.read() as db, pytest.raises(StatementError, match="has no time zone"):
        db.execute(select(TIMES).where(TIMES.c.at <= naive))


def test_a_row_is_inserted_once_per_key(store: Store):
    row = {"use_case": "radar", "version": 1, "revision": 1}
    with store.write() as db:
        assert insert_once(db, live_releases, row)
        assert not insert_once(db, live_releases, {**row, "version": 2})
        assert db.scalar(select(live_releases.c.version)) == 1


def test_what_fails_half_way_is_not_kept(store: Store):
    with pytest.raises(ZeroDivisionError), store.write() as db:
        insert_once(db, live_releases, {"use_case": "radar", "version": 1, "revision": 1})
        raise ZeroDivisionError
    with store.read() as db:
        assert db.execute(select(live_releases)).all() == []
