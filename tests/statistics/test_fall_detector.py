"""The detector of falls: its false alarms are bounded, falls are caught, and nothing but the observations matters."""

from __future__ import annotations

import json
from dataclasses import astuple
from itertools import product
from math import exp, inf, log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.statistics.confidence_sequence import MeanState, update
from include.kreislauf.statistics.fall_detector import SHARES, FallDetector, FallState, Floats

COIN = FallDetector(0.8, 0.7, false_alarms=0.01, per_days=90)


def steady(level: float, spread: float, n: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(level, spread, n).clip(0, 1)


def flips(level: float, n: int, seed: int = 1) -> Floats:
    return (np.random.default_rng(seed).random(n) < level).astype(np.float64)


def seen(detector: FallDetector, values: Floats, rate: float = 24) -> FallState:
    return detector.update(detector.begin(), values, (np.arange(len(values)) + 1) / rate)


@st.composite
def detectors(draw: st.DrawFn) -> FallDetector:
    reference = draw(st.floats(0.05, 0.99))
    return FallDetector(reference, draw(st.floats(0, 0.95)) * reference, 0.01, draw(st.floats(1, 100)))


@given(detectors(), st.lists(st.floats(0, 5), min_size=1, max_size=6), st.floats(0, 1), st.floats(0, 1))
def test_the_evidence_is_at_most_the_time_that_passed_on_average_without_a_fall(
    detector: FallDetector, waits: list[float], above: float, low: float
) -> None:
    # two values, low and high, whose mean is the reference or more: every course of n observations
    r = detector.reference
    assert r is not None
    mean, low = r + above * (1 - r), low * r
    chance = (1 - mean) / (1 - low)
    days = np.cumsum(waits)
    expected = sum(
        prod(chance if step else 1 - chance for step in path)
        * detector.update(detector.begin(), np.where(path, low, 1.0), days).evidence
        for path in product((0, 1), repeat=len(waits))
    )
    assert expected <= days[-1] / detector.per_days * (1 + 1e-9)


UNKNOWN = FallDetector(None, 0.7, false_alarms=0.01, per_days=90)


def learning(detector: FallDetector, values: Floats, days: Floats, every: int) -> FallState:
    """The state after observations, with a look at the level after every so many of them."""
    state, level = detector.begin(), MeanState()
    for start in range(0, len(values), every):
        part = values[start : start + every]
        state, level = detector.update(state, part, days[start : start + every]), update(level, part)
        state = detector.look(state, level)
    return state


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0.05, 0.95), st.lists(st.floats(0, 5), min_size=1, max_size=6), st.floats(0, 1), st.floats(0, 0.9),
    st.integers(1, 3),
)  # fmt: skip
def test_the_evidence_is_at_most_the_time_that_passed_on_average_at_any_stable_level(
    fallen: float, waits: list[float], above: float, low: float, every: int
) -> None:
    detector, days = FallDetector(None, fallen, 0.01, 30), np.cumsum(waits)
    mean, low = fallen + above * (1 - fallen), low * fallen
    chance = (mean - low) / (1 - low)
    expected = sum(
        prod(chance if step else 1 - chance for step in path)
        * learning(detector, np.where(path, 1.0, low), days, every).evidence
        for path in product((0, 1), repeat=len(waits))
    )
    assert expected <= days[-1] / detector.per_days * (1 + 1e-9)


def test_false_alarms_at_an_unknown_level_are_as_rare_as_proven() -> None:
    frequent, days = FallDetector(None, 0.7, false_alarms=0.2, per_days=90), np.arange(1, 2_161) / 24
    for level in (0.7, 0.72, 0.8, 0.95):
        alarms = [learning(frequent, flips(level, 2_160, seed), days, 32).alarm_at for seed in range(60)]
        assert sum(at is not None for at in alarms) <= 0.2 * 60


def test_a_fall_from_an_unknown_level_needs_what_was_seen_before_it() -> None:
    def delay(before: int, seed: int) -> float:
        values = np.concatenate([flips(0.8, before, seed), flips(0.6, 1_500, seed + 100)])
        at = learning(UNKNOWN, values, np.arange(1, len(values) + 1) / 24, 32).alarm_at
        return inf if at is None else at - before

    long, short, none = (np.median([delay(before, seed) for seed in range(9)]) for before in (2_000, 500, 0))
    assert 0 < long < short < 300
    assert none == inf  # that such a level is bad is another test's to say


def test_a_known_level_is_not_learnt() -> None:
    state = seen(COIN, flips(0.8, 100))
    assert COIN.look(state, update(MeanState(), flips(0.8, 100))) == state


def test_a_coin_is_bet_on_with_the_likelihood_ratio_of_the_two_levels_and_wins_nothing_on_average() -> None:
    before = seen(COIN, np.resize([1.0, 0, 1, 1, 1], 1_000))
    good, bad = (COIN.update(before, [value], [before.day]) for value in (1.0, 0.0))
    assert good.bets[0] - before.bets[0] == pytest.approx(log(0.7 / 0.8))
    assert bad.bets[0] - before.bets[0] == pytest.approx(log(0.3 / 0.2))
    assert 0.8 * good.evidence + 0.2 * bad.evidence == pytest.approx(before.evidence)


def test_false_alarms_are_as_rare_as_proven_and_more_often_looking_is_free() -> None:
    frequent = FallDetector(0.8, 0.7, false_alarms=0.2, per_days=90)
    alarms = [seen(frequent, flips(0.8, 2_160, seed)).alarm_at is not None for seed in range(400)]
    # proven: at most 0.2; some 0.15 is what is left of it when the history ends
    assert 0.08 < np.mean(alarms) <= 0.2


def test_a_fall_is_caught_and_a_deeper_one_sooner() -> None:
    def delay(level: float, seed: int) -> int:
        at = seen(COIN, np.concatenate([flips(0.8, 700, seed), flips(level, 1_500, seed + 100)])).alarm_at
        assert at is not None
        return at - 700

    medians = [np.median([delay(level, seed) for seed in range(20)]) for level in (0.7, 0.6, 0.4)]
    assert medians[0] < 350
    assert medians[1] < 130
    assert medians[2] < 45


def test_values_that_hardly_vary_are_judged_sooner_but_not_for_a_fall_of_less_than_half_the_way() -> None:
    detector = FallDetector(0.9, 0.8)
    for before in (0, 24, 700, 20_000):
        usual = steady(0.9, 0.02, before)
        fallen = seen(detector, np.concatenate([usual, steady(0.8, 0.02, 100, 2)]))
        assert fallen.alarm_at is not None
        assert before < fallen.alarm_at < before + 60
        assert seen(detector, np.concatenate([usual, steady(0.86, 0.02, 20_000, 2)])).peak < log(2)


@settings(deadline=None)
@given(
    detectors(),
    st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 30)), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_neither_calls_nor_restarts_change_it(
    detector: FallDetector, observed: list[tuple[float, float]], cuts: list[int]
) -> None:
    values, days = np.array(observed).T
    whole = detector.update(detector.begin(), values, days)
    state = detector.begin()
    for part, at in zip(np.split(values, sorted(cuts)), np.split(days, sorted(cuts)), strict=True):
        state = FallState.from_dict(json.loads(json.dumps(state.to_dict(), allow_nan=False)))
        state = detector.update(state, part, at)
    assert state.entry == whole.entry
    assert astuple(state)[2:] == pytest.approx(astuple(whole)[2:], abs=1e-9)
    assert state.bets == pytest.approx(whole.bets, abs=1e-9)


def test_long_histories_are_the_same_in_many_calls() -> None:
    values, days = steady(0.88, 0.1, 50_000), np.linspace(0, 90, 50_000)
    detector, state = FallDetector(0.9, 0.8), FallState()
    for start in range(0, 50_000, 777):
        state = detector.update(state, values[start : start + 777], days[start : start + 777])
    whole = detector.update(detector.begin(), values, days)
    assert state.entry == whole.entry
    assert astuple(state)[2:] == pytest.approx(astuple(whole)[2:], abs=1e-9)
    assert state.bets == pytest.approx(whole.bets, abs=1e-9)


@given(st.floats(0.001, 0.999), st.floats(0, 0.999), st.sampled_from([0.0, 1.0, 0.5]))
def test_evidence_is_a_number_after_twenty_thousand_equal_values(
    reference: float, way: float, value: float
) -> None:
    detector = FallDetector(reference, way * reference)
    state = seen(detector, np.full(20_000, value), rate=1)
    assert np.isfinite([*state.bets, state.evidence, state.peak]).all()
    assert (state.alarm_at is None) or value < reference


def test_an_alarm_is_remembered_and_where_it_set_in() -> None:
    fallen = seen(COIN, np.concatenate([flips(0.8, 700), flips(0.5, 100)]))
    assert fallen.alarm_at is not None
    assert 660 < fallen.calm_at < 760 < fallen.alarm_at + 60
    again = COIN.update(fallen, flips(0.9, 3_000), fallen.day + np.arange(3_000) / 24)
    assert again.evidence < 1
    assert again.alarm_at == fallen.alarm_at
    assert again.peak >= fallen.peak >= log(100)


def test_an_observation_before_the_one_before_counts_as_of_the_same_time() -> None:
    late = COIN.update(COIN.begin(), [0.0, 0.0, 1.0], [2.0, 1.0, 3.0])
    same = COIN.update(COIN.begin(), [0.0, 0.0, 1.0], [2.0, 2.0, 3.0])
    assert late == same
    assert late.day == 3


def test_nothing_has_no_evidence() -> None:
    assert COIN.begin().evidence == 0
    assert COIN.update(COIN.begin(), [], []) == COIN.begin()
    assert FallState.from_dict(COIN.begin().to_dict()) == COIN.begin()
    first = COIN.update(COIN.begin(), [1.0], [9.0])
    # a tenth of the time has passed, and the bets lose what speaks against them
    assert 0 < first.evidence < 0.1
    assert first.evidence == pytest.approx(float(SHARES @ np.exp(first.bets)))
    assert first.peak == pytest.approx(log(first.evidence))
    assert exp(first.peak) < 0.1


def test_what_makes_no_sense_is_refused() -> None:
    for reference, fallen in ((0.8, 0.8), (0.7, 0.8), (1.0, 0.8), (0.8, -0.1), (float("nan"), 0.5)):
        with pytest.raises(ValueError, match="fallen < reference"):
            FallDetector(reference, fallen)
    for fallen in (0.0, 1.0):
        with pytest.raises(ValueError, match="0 < fallen < 1"):
            FallDetector(None, fallen)
    with pytest.raises(ValueError, match="false_alarms"):
        FallDetector(0.8, 0.7, false_alarms=1)
    with pytest.raises(ValueError, match="per_days"):
        FallDetector(0.8, 0.7, per_days=0)
    for values in ([1.01], [-0.01], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match=r"within \[0, 1\]"):
            COIN.update(COIN.begin(), values, [1.0])
    with pytest.raises(ValueError, match="days"):
        COIN.update(COIN.begin(), [1.0], [float("nan")])
    with pytest.raises(ValueError, match="one shape"):
        COIN.update(COIN.begin(), [1.0, 0.0], [1.0])
