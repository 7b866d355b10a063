"""The tests of one metric: what raises an alarm and ends it, and that it does not matter how passes were cut."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.monitoring.watching import FIRST_LOOK, Scale, Watch, WatchState, _next_look
from include.kreislauf.monitoring.wording import sentence
from include.kreislauf.requirements.monitoring import SequentialTest

WATCH = Watch(threshold=0.7, reference=0.8, false_alarms=0.01, per_days=90.0, confidence=0.95)
LEARNS = replace(WATCH, reference=None)
A_DAY = 24


def coin(rate: float, number: int, seed: int = 0) -> list[float]:
    """Ones and zeros with exactly this rate in each hundred, so that no test depends on luck."""
    hundred = [1.0] * round(100 * rate) + [0.0] * round(100 * (1 - rate))
    rng = np.random.default_rng(seed)
    found = [value for _ in range(-(-number // 100)) for value in rng.permutation(hundred).tolist()]
    return found[:number]


def watched(watch: Watch, *rates: tuple[float, int], state: WatchState | None = None) -> WatchState:
    """The state after stretches of (rate, number of observations)."""
    state = state or WatchState()
    for rate, number in rates:
        days = state.day + np.arange(1, number + 1) / A_DAY
        state = watch.update(state, coin(rate, number), days)
    return state


def test_without_observations_nothing_is_known() -> None:
    opinion = WATCH.opinion(WatchState())
    assert (opinion.verdict, opinion.evidence, opinion.gathers) == ("inconclusive", 0.0, False)
    assert (opinion.shown.low, opinion.shown.high) == (0.0, 1.0)


def test_few_observations_are_not_sure_and_many_good_ones_are() -> None:
    assert WATCH.opinion(watched(WATCH, (0.8, 40))).verdict == "inconclusive"
    good = WATCH.opinion(watched(WATCH, (0.8, 2000)))
    assert good.verdict == "healthy"
    assert 0.7 <= good.shown.low < 0.8 < good.shown.high


@pytest.mark.parametrize("watch", [WATCH, LEARNS])
def test_a_level_at_the_reference_never_alarms(watch: Watch) -> None:
    state = watched(watch, (0.8, A_DAY * 365))
    assert state.alarm is None
    assert watch.opinion(state).evidence < 1


def test_a_fall_from_the_reference_alarms_and_shows_the_level_since_it_set_in() -> None:
    state = watched(WATCH, (0.8, 3000), (0.7, 900))
    assert (state.cause, WATCH.opinion(state).verdict) == ("fall", "breach")
    assert state.alarm is not None
    assert 0 < state.alarm - 3000 / A_DAY < 600 / A_DAY
    assert WATCH.opinion(state).shown.mean == pytest.approx(0.7, abs=0.03)
    assert state.level.total / state.level.observations > 0.77  # the mean of all would hide it


def test_while_evidence_of_a_fall_gathers_nothing_is_healthy() -> None:
    state, seen = watched(WATCH, (0.8, 3000)), set()
    while state.alarm is None:
        state = watched(WATCH, (0.6, 5), state=state)
        seen.add(WATCH.opinion(state).verdict)
    assert seen == {"healthy", "inconclusive", "breach"}


def test_a_level_that_was_never_good_is_surely_below_the_threshold() -> None:
    state = watched(LEARNS, (0.6, 1500))
    assert (state.cause, LEARNS.opinion(state).verdict) == ("level", "breach")


def test_an_alarm_ends_when_what_came_after_it_is_surely_good_again() -> None:
    fallen = watched(WATCH, (0.8, 3000), (0.6, 600))
    still = watched(WATCH, (0.8, 100), state=fallen)
    assert WATCH.opinion(still).verdict == "breach"
    again = watched(WATCH, (0.8, 2000), state=fallen)
    assert (again.alarm, again.cause, WATCH.opinion(again).verdict) == (None, None, "healthy")
    assert again.began > fallen.day
    assert watched(WATCH, (0.6, 600), state=again).cause == "fall"  # and detection has begun anew


def test_without_a_reference_a_fall_from_a_stable_level_is_found() -> None:
    state = watched(LEARNS, (0.8, 1080), (0.7, 1080))
    assert (state.cause, LEARNS.opinion(state).verdict) == ("fall", "breach")
    assert state.alarm is not None
    assert 0 < state.alarm - 1080 / A_DAY < 900 / A_DAY
    assert (
        state.level.total / state.level.observations > 0.7
    )  # of the level alone, the fall could not be seen
    again = watched(LEARNS, (0.8, 3000), state=state)
    assert (again.alarm, LEARNS.opinion(again).verdict) == (None, "healthy")
    assert watched(LEARNS, (0.6, 600), state=again).cause == "fall"


def test_a_fall_is_told_with_the_level_before_it() -> None:
    state, scale = watched(LEARNS, (0.8, 2000), (0.6, 600)), Scale(0.0, 100.0, "higher")
    said = sentence(70.0, "higher", "%", LEARNS, state, LEARNS.opinion(state), scale)
    told = re.match(r"has fallen from ([\d.]+), alarm on day ", said)
    assert told
    assert float(told[1]) == pytest.approx(80, abs=1)


@pytest.mark.parametrize(
    "rates",
    [[(0.7, 5000)], [(0.71, 5000)], [(0.75, 1000), (0.95, 1000)], [(0.72, 700), (0.8, 700), (0.9, 700)]],
    ids=["at the threshold", "near it", "rises", "rises in steps"],
)
def test_without_a_reference_neither_a_low_level_nor_a_better_one_alarms(
    rates: list[tuple[float, int]],
) -> None:
    state = watched(LEARNS, *rates)
    assert state.alarm is None
    assert not LEARNS.opinion(state).gathers


def same(one: Any, other: Any) -> bool:
    """Whether two states agree but for rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-9))
    return bool(one == other)


@settings(max_examples=40, deadline=None)
@given(st.data())
@pytest.mark.parametrize("watch", [WATCH, LEARNS])
def test_law_states_do_not_depend_on_how_the_observations_are_cut(watch: Watch, data: st.DataObject) -> None:
    rates = data.draw(st.lists(st.sampled_from([0.5, 0.65, 0.8, 0.95]), min_size=1, max_size=3))
    x = [value for seed, rate in enumerate(rates) for value in coin(rate, 400, seed)]
    days = np.arange(len(x)) / A_DAY
    whole = watch.update(WatchState(), x, days)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=6)))
    state = WatchState()
    for start, end in zip([0, *cuts], [*cuts, len(x)], strict=True):
        state = watch.update(state, x[start:end], days[start:end])
        state = WatchState.from_dict(json.loads(json.dumps(state.to_dict())))  # as between two passes
    assert same(state.to_dict(), whole.to_dict())


def test_looks_lie_where_the_number_of_observations_says() -> None:
    looks, seen = [], 0
    while seen < 100_000:
        seen = _next_look(seen)
        looks.append(seen)
    assert looks[:3] == [FIRST_LOOK, 2 * FIRST_LOOK, 3 * FIRST_LOOK]
    assert len(looks) < 400
    assert all(
        _next_look(between) == after
        for before, after in pairwise(looks[:100])
        for between in range(before, after)
    )


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_a_scale_and_its_way_back(direction: Any) -> None:
    scale = Scale(-2.0, 6.0, direction)
    for value in (-2.0, 0.0, 5.5, 6.0):
        assert scale.back(float(scale.to_unit(value))) == pytest.approx(value)
    better, worse = (6.0, -2.0) if direction == "higher" else (-2.0, 6.0)
    assert [float(scale.to_unit(one)) for one in (better, worse)] == [1.0, 0.0]


def test_lower_is_better_turns_threshold_and_reference() -> None:
    test = SequentialTest(bounds=(0.0, 10.0), reference=2.0)
    watch = Watch.of(test, 3.0, Scale(0.0, 10.0, "lower"))
    assert (watch.threshold, watch.reference) == (pytest.approx(0.7), pytest.approx(0.8))
