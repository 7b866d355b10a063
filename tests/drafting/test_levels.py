"""Proposed thresholds lie where both sides can be reached, between what costs nothing and what was surely reached."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.drafting.levels import Reached, better, bounds_for, levels_for, measure_for
from include.kreislauf.drafting.targets import Target
from include.kreislauf.drafting.wishes import MeasureName, Wishes

shares = st.floats(0, 1)


def reached(gain: tuple[float, float, float], business: tuple[float, float, float], base: float) -> Reached:
    return Reached("ridge:default", "prior", gain, business, base, 100)


def test_half_of_the_sure_gain_and_half_the_way_of_the_business_metric_are_asked_for() -> None:
    levels = levels_for(reached((0.3, 0.2, 0.4), (0.9, 0.8, 0.95), 0.6), "hit", [0, 1])
    assert (levels.min_gain.value, levels.too_good.value, levels.gate.value, levels.live.value) == (
        0.1,
        0.8,
        0.7,
        0.7,
    )
    assert "20.0% to 40.0%" in levels.min_gain.why
    assert "0.8 to 0.95" in levels.gate.why


def test_of_errors_less_is_better() -> None:
    levels = levels_for(reached((0.3, 0.2, 0.4), (40.0, 35.0, 46.0), 62.0), "absolute_error", [0, 490])
    assert levels.gate.value == 54.0


@pytest.mark.parametrize("gain", [(0.05, -0.1, 0.2), (0.05, -inf, inf), (-0.3, -0.5, -0.1)])
def test_what_is_not_surely_better_is_told(gain: tuple[float, float, float]) -> None:
    levels = levels_for(reached(gain, (0.61, 0.55, 0.7), 0.6), "hit", [0, 1])
    assert levels.min_gain.value == 0.01
    assert "the gate may well say no" in levels.min_gain.why
    assert "the gate may well say no" in levels.gate.why


@pytest.mark.parametrize(
    ("gain", "limit", "said"),
    [
        ((0.3, 0.2, 0.4), 0.8, "far above"),
        ((0.9, 0.87, 0.93), 0.965, "may have reached"),
        ((0.995, 0.99, 0.999), 0.8, "nearly always a leak"),
        ((1.0, 1.0, 1.0), 0.8, "nearly always a leak"),
    ],
)
def test_too_good_to_be_true_is_above_what_is_plausible(
    gain: tuple[float, float, float], limit: float, said: str
) -> None:
    level = levels_for(reached(gain, (0.9, 0.8, 0.95), 0.6), "hit", [0, 1]).too_good
    assert level.value == pytest.approx(limit, abs=0.002)
    assert said in level.why


@given(
    st.tuples(shares, shares, shares).map(sorted), st.one_of(shares, st.just(nan)),
    st.tuples(st.floats(-5, 1), st.floats(-5, 1), st.floats(-5, 1)).map(sorted), st.sampled_from(["hit", "squared_error"]),
)  # fmt: skip
def test_levels_are_always_allowed(
    business: list[float], base: float, gain: list[float], measure: MeasureName
) -> None:
    low, value, high = business
    levels = levels_for(reached((gain[1], gain[0], gain[2]), (value, low, high), base), measure, [0, 1])
    assert 0 < levels.gate.value < 1
    assert 0.01 <= levels.min_gain.value <= 1
    assert 0.8 <= levels.too_good.value < 1
    sign = 1 if better(measure) == "higher" else -1
    surely = low if sign > 0 else high
    if base == base and sign * (surely - base) > 0.01:
        assert sign * base - 0.01 <= sign * levels.gate.value <= sign * surely + 0.01


def test_the_plainest_measure_is_proposed() -> None:
    numbers, classes = Target("t", "regression", 9), Target("t", "binary", 9, ("a", "b"))
    assert measure_for(numbers, Wishes("n")) == "absolute_error"
    assert measure_for(classes, Wishes("n")) == "hit"
    assert measure_for(classes, Wishes("n", costs={"a": {}})) == "decision_value"
    assert measure_for(classes, Wishes("n", measure="squared_error")) == "squared_error"


@pytest.mark.parametrize(
    ("measure", "span", "bounds"),
    [
        ("hit", 9.0, [0, 1]),
        ("absolute_error", 321.0, [0, 490]),
        ("absolute_error", 0.02, [0, 0.03]),
        ("squared_error", 10.0, [0, 230]),
        ("squared_error", 1.0, [0, 1]),
    ],
)
def test_bounds_hold_every_plausible_observation(
    measure: MeasureName, span: float, bounds: list[float]
) -> None:
    kind = "binary" if span == 1.0 else "regression"
    assert bounds_for(measure, kind, span, {}) == pytest.approx(bounds)
