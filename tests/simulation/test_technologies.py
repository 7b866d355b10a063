"""The simulated world: determinism, laws of its shares, and the wave of new technologies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.periods import shift
from include.kreislauf.simulation import SimulationError, WorldParameters
from include.kreislauf.simulation.technologies import World, simulate

SEEDS = st.integers(0, 10_000)
EMERGENCE = WorldParameters().emergence_index


@st.composite
def small_parameters(draw: st.DrawFn) -> WorldParameters:
    start, quarters = datetime(2012, 4, 1, tzinfo=UTC), draw(st.integers(6, 30))
    return WorldParameters(
        established=draw(st.integers(1, 30)), emerging=draw(st.integers(0, 15)),
        start=start, quarters=quarters,
        emergence=shift(start, "quarter", draw(st.integers(1, quarters - 1))),
        emerging_share=draw(st.floats(0.01, 0.9)), late_established=draw(st.floats(0, 1)),
    )  # fmt: skip


def is_new(world: World) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([name in world.emerging for name in world.names])


def test_the_same_seed_gives_the_same_world_and_another_one_does_not() -> None:
    first, again, other = simulate(3), simulate(3), simulate(4)
    assert first.names == again.names
    assert np.array_equal(first.adoption, again.adoption)
    assert not np.array_equal(first.adoption, other.adoption)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, parameters=small_parameters())
def test_shares_of_every_quarter_sum_to_one_and_nothing_visible_vanishes(
    seed: int, parameters: WorldParameters
) -> None:
    world = simulate(seed, parameters)
    assert world.adoption.shape == (parameters.established + parameters.emerging, parameters.quarters)
    assert np.allclose(world.adoption.sum(axis=0), 1)
    visible = world.adoption > 0
    assert np.array_equal(visible, np.maximum.accumulate(visible, axis=1))
    assert len(set(world.names)) == len(world.names)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, parameters=small_parameters())
def test_new_technologies_are_visible_from_their_quarter_on_and_not_before(
    seed: int, parameters: WorldParameters
) -> None:
    world = simulate(seed, parameters)
    visible = world.adoption[is_new(world)] > 0
    assert not visible[:, : parameters.emergence_index].any()
    assert visible[:, parameters.emergence_index :].all()


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_time_before_the_emergence_does_not_depend_on_it(seed: int) -> None:
    with_wave, without = simulate(seed), simulate(seed, WorldParameters(emerging=0))
    assert not without.emerging
    assert set(with_wave.names) - with_wave.emerging == set(without.names)
    established = with_wave.adoption[~is_new(with_wave)]
    assert np.allclose(established[:, :EMERGENCE], without.adoption[:, :EMERGENCE])


@pytest.mark.parametrize("seed", range(5))
def test_the_wave_starts_small_grows_for_years_and_takes_its_share(seed: int) -> None:
    world = simulate(seed)
    new, parameters = is_new(world), world.parameters
    group = world.adoption[new].sum(axis=0)
    assert group[EMERGENCE] < 0.06
    assert group[-1] == pytest.approx(parameters.emerging_share, abs=0.02)
    change = np.log(world.adoption[:, EMERGENCE + 1 :] / world.adoption[:, EMERGENCE:-1])
    taken_up = parameters.incubation_quarters
    lead = change[new].mean(axis=0) - change[~new].mean(axis=0)
    assert (np.abs(lead[:taken_up]) < 0.05).all()
    assert (lead[taken_up : taken_up + 8] > 0.15).all()


def test_names_do_not_tell_who_is_new() -> None:
    newest = []
    for seed in range(30):
        world = simulate(seed)
        numbers = {name: int(name.rpartition("-")[2]) for name in world.names}
        newest += [numbers[name] for name in world.emerging]
        assert {name.rpartition("-")[0] for name in world.emerging} <= {"lang", *world.kinds}
    assert np.mean(newest) == pytest.approx(50, abs=6)


def test_growth_is_persistent_enough_to_be_predicted() -> None:
    change = np.diff(np.log(simulate(0, WorldParameters(emerging=0, late_established=0)).adoption), axis=1)
    assert 0.6 < np.corrcoef(change[:, :-1].ravel(), change[:, 1:].ravel())[0, 1] < 0.97


def test_growth_of_a_quarter_is_that_of_technologies_that_existed_before_it() -> None:
    world = simulate(0)
    emergence = world.parameters.emergence
    assert world.growth(world.quarters[0]) == {}
    assert not world.emerging & world.growth(emergence).keys()
    assert world.emerging <= set(world.visible(emergence))
    assert world.emerging <= world.growth(shift(emergence, "quarter", 1)).keys()
    name = min(set(world.names) - world.emerging)
    before, now = world.adoption[world.names.index(name), EMERGENCE - 1 : EMERGENCE + 1]
    assert world.growth(emergence)[name] == pytest.approx(np.log(now / before))


def test_the_world_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        simulate(0).adoption[0, 0] = 1


@pytest.mark.parametrize("moment", [datetime(2010, 12, 31, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)])
def test_time_outside_the_world_is_refused(moment: datetime) -> None:
    with pytest.raises(SimulationError, match=r"outside the simulated time.*2011-01-01 to 2021-10-01"):
        simulate(0).visible(moment)


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(SimulationError, match="no time zone"):
        simulate(0).visible(datetime(2016, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"established": 0}, "established: 0 .* a whole number from 1 to 200"),
        ({"established": 2.5}, "established: 2.5"),
        ({"emerging": -1}, "emerging: -1"),
        ({"quarters": True}, "quarters: True"),
        ({"emerging_share": 1.0}, "emerging_share: 1.0 .* 0.001 to 0.95"),
        ({"drift": float("nan")}, "drift: nan"),
        ({"drift_persistence": 1.0}, "drift_persistence"),
        ({"start": datetime(2011, 1, 1)}, "start: .* not the start of a quarter"),  # noqa: DTZ001
        ({"emergence": datetime(2017, 8, 1, tzinfo=UTC)}, "emergence: .* not the start of a quarter"),
        ({"emergence": datetime(2022, 1, 1, tzinfo=UTC)}, "outside the simulated time.*1 to 43 quarters"),
        ({"emergence": datetime(2011, 1, 1, tzinfo=UTC)}, "outside the simulated time"),
    ],
)
def test_nonsense_is_refused_with_what_is_allowed(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        WorldParameters(**changed)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SimulationError, match="seed -1"):
        simulate(-1)


def test_a_world_without_a_wave_needs_no_date_for_it() -> None:
    assert simulate(0, WorldParameters(emerging=0, quarters=8)).adoption.shape == (40, 8)
