"""Worlds that change: what is published about them holds, and nothing depends on who asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.simulation import SimulationError
from include.kreislauf.simulation.drift import Drift, DriftParameters, DriftWorld

PARAMETERS = DriftParameters()


def entities(world: DriftWorld, first: int, last: int) -> list[int]:
    return sorted({int(one) for day in range(first, last) for one in world.requests(day).entities})


@given(st.sampled_from(Drift), st.integers(0, 50), st.integers(0, 729))
@settings(max_examples=20)
def test_equal_worlds_show_the_same_in_whatever_order_they_are_asked(
    drift: Drift, seed: int, day: int
) -> None:
    one, other = DriftWorld(drift, seed), DriftWorld(drift, seed)
    other.collected(day, 3)
    asked, again = one.requests(day), other.requests(day)
    assert np.array_equal(asked.numbers, again.numbers)
    assert np.array_equal(asked.outcomes, again.outcomes)


def test_changes_are_published() -> None:
    assert DriftWorld(Drift.STABLE).changes == ()
    assert DriftWorld(Drift.SUDDEN).changes == (240,)
    assert DriftWorld(Drift.GRADUAL).changes == (180,)
    assert DriftWorld(Drift.RECURRING).changes == (180, 360, 540, 720)


@pytest.mark.parametrize("drift", Drift)
def test_before_the_first_change_all_worlds_are_the_same(drift: Drift) -> None:
    stable, world = DriftWorld(Drift.STABLE, 3), DriftWorld(drift, 3)
    for day in (0, 90, 179):
        assert np.array_equal(stable.requests(day).outcomes, world.requests(day).outcomes)


@pytest.mark.parametrize(("drift", "day"), [(Drift.SUDDEN, 240), (Drift.GRADUAL, 180)])
def test_new_entities_are_collected_a_lead_before_clients_ask_for_them(drift: Drift, day: int) -> None:
    world = DriftWorld(drift, 1)
    assert entities(world, 0, day)[-1] < PARAMETERS.entities
    assert entities(world, day, 730)[-1] >= PARAMETERS.entities
    assert world.collected(day - PARAMETERS.lead, 30).entities.max() < PARAMETERS.entities
    shown = world.collected(day, 30).entities
    assert np.bincount(shown, minlength=30).min() > 100  # of every entity equally many


def test_the_share_of_new_entities_grows_as_published() -> None:
    sudden, gradual = DriftWorld(Drift.SUDDEN), DriftWorld(Drift.GRADUAL)
    assert [sudden.new_share(day) for day in (239, 240, 729)] == [0.0, 0.4, 0.4]
    assert gradual.new_share(179) == 0.0
    assert gradual.new_share(270) == pytest.approx(0.2)
    assert gradual.new_share(729) == pytest.approx(0.4)


def test_a_season_comes_back() -> None:
    """The taste of the second season is another one for half of the entities only, and the first returns."""
    world = DriftWorld(Drift.RECURRING, 5)
    tastes = world._tastes[[world._season(day) for day in (0, 180, 360)]]
    assert np.array_equal(tastes[0], tastes[2])
    assert (tastes[0] != tastes[1]).any(axis=1).tolist() == [True] * 10 + [False] * 20


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SimulationError, match="0 or more"):
        DriftWorld(Drift.STABLE, -1)
