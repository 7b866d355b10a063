"""What the plant's clients send is what the contract's query reads, and what they tell is what the database shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.sources.sql import read_sql
from include.kreislauf.embedded.making import Place, WorldError, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.plant_world import PlantWorld
from include.kreislauf.preparation.declared import features_of
from include.kreislauf.requirements.sources import SqlSource
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.simulation.plant import SHIFT, WINDOW_SHIFTS
from tests.support.use_cases import write_use_case as write_other

USE_CASES = ROOT / "include" / "use_cases"
OPTIONS = WorldOptions("machine_failure", start="2015-08-03", end="2015-08-24")
WEEK = timedelta(weeks=1)


@pytest.fixture
def world(tmp_path: Path) -> PlantWorld:
    contract = write_use_case(OPTIONS, USE_CASES, tmp_path)
    made = make_world(OPTIONS, contract, Place(tmp_path, "", tmp_path / "world"))
    assert isinstance(made, PlantWorld)
    return made


def test_time_goes_by_weeks_from_the_start_to_the_end(world: PlantWorld) -> None:
    times = world.times()
    assert [f"{one:%m-%d}" for one in times] == ["08-03", "08-10", "08-17", "08-24"]
    assert world.start == times[0]


def test_the_first_cycle_has_half_a_year_to_learn_from(world: PlantWorld) -> None:
    unbound = PlantWorld(world.contract, world.file)
    assert unbound.start - unbound.span()[0] == 26 * WEEK
    assert unbound.times()[-1] == unbound.span()[1]
    assert unbound.start < min(unbound.changes())


def test_requests_are_the_rows_that_are_read_later(world: PlantWorld) -> None:
    now = world.start
    world.reach(now + WEEK)
    (source,) = world.contract.sources
    assert isinstance(source, SqlSource)
    access = Access.from_settings(Settings(), world.connections().get)
    rows = read_sql(source, world.contract.problem, access, now + WEEK)
    module = features_of(world.contract, USE_CASES)
    names = [*module.NUMERIC, *module.CATEGORICAL]
    read = {
        (row["machine"], row["shift_start"].tz_localize(UTC).to_pydatetime()): {
            name: None if row[name] != row[name] else row[name] for name in names
        }
        for row in rows.to_dict("records")
        if row["shift_start"].tz_localize(UTC) + SHIFT >= now
    }
    sent = {
        (asked.entity, request.period): asked.features
        for request in world.requests(now)
        for asked in request.rows
    }
    inside = {key: value for key, value in sent.items() if key[1] + SHIFT < now + WEEK}
    assert len(inside) > 300
    assert set(inside) == {key for key in read if key in sent}
    assert all(set(features or {}) == set(names) for features in sent.values())
    assert all((features or {}) == read[key] for key, features in inside.items())


def test_requests_of_two_weeks_are_no_request_twice(world: PlantWorld) -> None:
    first, second = (
        {request.period for request in world.requests(now)} for now in (world.start, world.start + WEEK)
    )
    assert not first & second
    asked = world.requests(world.start)
    assert all(request.at == request.period + SHIFT for request in asked)
    assert (asked[0].at, asked[-1].at) == (world.start, world.start + WEEK - SHIFT)


def test_an_outcome_is_told_when_its_window_is_over(world: PlantWorld) -> None:
    now = world.start + 2 * WEEK
    outcomes = world.outcomes(now)
    asked = [
        (row.entity, one.period)
        for week in (world.start, world.start + WEEK)
        for one in world.requests(week)
        for row in one.rows
    ]
    over = {key for key in asked if key[1] + (1 + WINDOW_SHIFTS) * SHIFT <= now}
    assert over == over & set(outcomes)
    assert not (set(asked) - over) & set(outcomes)
    assert all(seen.observed_at <= now for seen in outcomes.values())
    told = {seen.value for seen in outcomes.values()}
    assert told == {"ok", "failed"}


def test_after_the_last_shift_nobody_asks(world: PlantWorld) -> None:
    assert world.requests(world.plant.end) == []


def test_a_use_case_without_a_simulated_world_says_so(tmp_path: Path) -> None:
    contract = write_other(tmp_path)
    with pytest.raises(WorldError, match="no simulated world"):
        write_use_case(WorldOptions(contract.name), tmp_path, tmp_path / "copy")


def test_a_day_before_the_first_cycle_leaves_no_step(world: PlantWorld) -> None:
    world.end = datetime(2015, 7, 1, tzinfo=UTC)
    assert world.times() == []
