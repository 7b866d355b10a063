"""Simulated teams: their reports follow the recommendation, and are the same when asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.periods import shift
from include.kreislauf.simulation import SimulationError, WorldParameters
from include.kreislauf.simulation.teams import AVERAGE, expected_productivity, report_productivity
from include.kreislauf.simulation.technologies import World, simulate

BEFORE, HURTING = datetime(2016, 7, 1, tzinfo=UTC), datetime(2018, 10, 1, tzinfo=UTC)
WORLD = simulate(0)


def leaders(world: World, quarter: datetime, known: set[str], count: int = 10) -> list[str]:
    """What a good model would recommend: the known technologies that grew most in the quarter before."""
    growth = world.growth(shift(quarter, "quarter", -1))
    return sorted(known & growth.keys(), key=lambda name: -growth[name])[:count]


def value(world: World, quarter: datetime, recommended: list[str]) -> float:
    return mean(report.value for report in report_productivity(world, quarter, recommended, 1))


@pytest.mark.parametrize("seed", range(5))
def test_productivity_is_good_falls_with_the_wave_and_recovers_with_a_model_that_knows_it(seed: int) -> None:
    world = simulate(seed)
    known = set(world.names) - world.emerging
    assert 102 < value(world, BEFORE, leaders(world, BEFORE, known)) < 109
    assert value(world, HURTING, leaders(world, HURTING, known)) < 97
    assert value(world, HURTING, leaders(world, HURTING, set(world.names))) > 103


@settings(max_examples=40, deadline=None)
@given(quarter=st.integers(1, 43), data=st.data())
def test_productivity_stays_in_its_range_and_all_is_average(quarter: int, data: st.DataObject) -> None:
    moment = WORLD.quarters[quarter]
    everything = sorted(WORLD.growth(moment))
    chosen = data.draw(st.lists(st.sampled_from(everything), min_size=1, unique=True))
    expected = expected_productivity(WORLD, moment, chosen)
    assert abs(expected - AVERAGE) <= WORLD.parameters.productivity_range
    assert expected == pytest.approx(expected_productivity(WORLD, moment, chosen[::-1]))
    assert expected_productivity(WORLD, moment, everything) == pytest.approx(AVERAGE)


def test_a_better_recommendation_is_never_reported_as_worse() -> None:
    growth = WORLD.growth(BEFORE)
    ranked = sorted(growth, key=lambda name: growth[name])
    values = [expected_productivity(WORLD, BEFORE, ranked[i : i + 10]) for i in range(len(ranked) - 9)]
    assert values == sorted(values)


def test_reports_are_idempotent_and_ids_name_release_team_quarter_and_seed() -> None:
    recommended = leaders(WORLD, BEFORE, set(WORLD.names))
    first = report_productivity(WORLD, BEFORE, recommended, 1)
    assert first == report_productivity(WORLD, BEFORE, recommended[::-1], 1)
    others = [
        report_productivity(WORLD, BEFORE, recommended, 2),
        report_productivity(WORLD, BEFORE, recommended, 1, seed=1),
        report_productivity(WORLD, shift(BEFORE, "quarter", 1), recommended, 1),
    ]
    ids = [report.id for reports in [first, *others] for report in reports]
    assert len(set(ids)) == len(ids) == 4 * 12
    assert max(map(len, ids)) <= 128
    assert {report.period for report in first} == {BEFORE}


def test_more_teams_do_not_change_what_the_others_report() -> None:
    recommended = leaders(WORLD, BEFORE, set(WORLD.names))
    few = report_productivity(WORLD, BEFORE, recommended, 1, teams=3)
    assert report_productivity(WORLD, BEFORE, recommended, 1, teams=20)[:3] == few


def test_teams_differ_by_their_noise_only() -> None:
    quiet = simulate(0, WorldParameters(team_noise=0))
    recommended = leaders(quiet, BEFORE, set(quiet.names))
    expected = expected_productivity(quiet, BEFORE, recommended)
    assert {r.value for r in report_productivity(quiet, BEFORE, recommended, 1)} == {round(expected, 1)}
    noisy = report_productivity(WORLD, BEFORE, recommended, 1, teams=400)
    spread = mean((r.value - expected) ** 2 for r in noisy) ** 0.5
    assert spread == pytest.approx(WORLD.parameters.team_noise, rel=0.15)


def test_any_moment_of_the_quarter_means_the_quarter() -> None:
    recommended = leaders(WORLD, BEFORE, set(WORLD.names))
    assert report_productivity(WORLD, BEFORE.replace(month=9, day=30), recommended, 1) == report_productivity(
        WORLD, BEFORE, recommended, 1
    )


def test_nonsense_is_refused() -> None:
    name, new = min(WORLD.growth(BEFORE)), min(WORLD.emerging)
    for recommended, message in (
        ([], "one technology or more"),
        ([name, name], "each once"),
        (["perl-6"], "perl-6 did not exist"),
        ([new], f"{new} did not exist before 2016-07-01"),
    ):
        with pytest.raises(SimulationError, match=message):
            report_productivity(WORLD, BEFORE, recommended, 1)
    with pytest.raises(SimulationError, match=r"first simulated quarter.*after 2011-01-01"):
        report_productivity(WORLD, WORLD.quarters[0], [name], 1)
    with pytest.raises(SimulationError, match="outside the simulated time"):
        report_productivity(WORLD, datetime(2030, 1, 1, tzinfo=UTC), [name], 1)
    with pytest.raises(SimulationError, match="0 teams"):
        report_productivity(WORLD, BEFORE, [name], 1, teams=0)
