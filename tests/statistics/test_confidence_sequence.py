"""The confidence sequence: as the published library has it, true at all times at once, whatever the order."""

from __future__ import annotations

import json
from itertools import product
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.confidence_sequence import (
    FEW,
    PARTS,
    MeanState,
    evidence_above,
    evidence_below,
    interval,
    update,
)
from include.kreislauf.statistics.intervals import Interval

COIN = np.resize([1.0, 1, 0, 1, 1, 1, 1, 0, 1, 1], 200)
LEVELS = np.resize([0.9, 0.85, 0.95, 0.88, 0.92], 200)
SHARES = st.lists(st.floats(0, 1), max_size=40)


def of(values: object) -> MeanState:
    return update(MeanState(), np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("values", "n", "threshold", "evidence"),
    [
        # confseq 0.0.11 (only a source distribution that needs Boost, so it is no dependency): the last value of
        # betting.diversified_betting_mart(values[:n], threshold, ..., stakes of PARTS, theta=0, trunc_scale=1)
        (COIN, 10, 0.85, 0.8814986912651762),
        (COIN, 50, 0.92, 5.75708174115956),
        (COIN, 200, 0.85, 1.6249888669275754),
        (COIN, 200, 0.92, 102912.112800046),
        (LEVELS, 10, 0.92, 1.3539544591237236),
        (LEVELS, 50, 0.85, 0.6366263465970802),
        (LEVELS, 200, 0.92, 54123666728.32044),
    ],
)
def test_the_evidence_is_that_of_the_published_library(
    values: np.ndarray, n: int, threshold: float, evidence: float
) -> None:
    assert evidence_below(of(values[:n]), threshold) == pytest.approx(evidence, rel=1e-12)


def test_the_interval_is_that_of_the_published_library() -> None:
    # betting.betting_cs(values, ..., alpha=0.05, breaks=2000, trunc_scale=1), which widens to its grid of 1/2000
    for values, low, high in ((COIN, 0.6885, 0.8855), (LEVELS, 0.8635, 0.9085)):
        found = interval(of(values), 0.95)
        assert low <= found.low <= low + 0.001
        assert high - 0.001 <= found.high <= high


def test_it_is_about_as_narrow_as_the_librarys_hedged_capital() -> None:
    # widths of betting.hedged_cs(..., 0.05) for these values: it takes the intersection over all times, this does not
    rng = np.random.default_rng(11)
    for n, coin, normal, uniform in ((100, 0.243, 0.077, 0.166), (500, 0.138, 0.017, 0.083)):
        drawn = ((rng.random(n) < 0.8) * 1.0, rng.normal(0.9, 0.02, n).clip(0, 1), rng.random(n))
        for values, theirs in zip(drawn, (coin, normal, uniform), strict=True):
            found = interval(of(values), 0.95)
            assert found.high - found.low < 1.25 * theirs


@given(st.floats(0.05, 0.95), st.integers(1, 8))
def test_a_coin_whose_mean_is_the_threshold_wins_nothing_on_average(mean: float, n: int) -> None:
    expected = sum(
        mean ** sum(path) * (1 - mean) ** (n - sum(path)) * evidence_below(of(path), mean)
        for path in product((0, 1), repeat=n)
    )
    assert expected == pytest.approx(1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_values_between_the_steps_take_from_the_evidence_and_add_nothing(
    values: list[float], threshold: float
) -> None:
    x = np.array(values)
    whole = np.mean(np.prod(1 + PARTS[:, None] * ((1 - x) / (1 - threshold) - 1), axis=1))
    assert evidence_below(of(x), threshold) <= whole * (1 + 1e-9)


@given(st.floats(0.05, 0.95), st.integers(1, 8))
def test_for_a_mean_above_a_level_a_coin_wins_nothing_at_it_and_less_below_it(mean: float, n: int) -> None:
    levels = np.array([mean, (1 + mean) / 2, 1.0])
    expected = sum(
        mean ** sum(path) * (1 - mean) ** (n - sum(path)) * np.exp(evidence_above(of(path), levels))
        for path in product((0, 1), repeat=n)
    )
    assert expected[0] == pytest.approx(1)
    assert (expected[1:] < 1).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.05, 1))
def test_steps_add_nothing_to_the_evidence_above_a_level_either(values: list[float], level: float) -> None:
    whole = np.mean(np.prod(1 + FEW[:, None] * (np.array(values) / level - 1), axis=1))
    assert evidence_above(of(values), np.array([level]))[0] <= np.log(whole) + 1e-9


def test_of_nothing_there_is_no_evidence_above_anything() -> None:
    assert evidence_above(MeanState(), np.array([0.1, 1.0])).tolist() == [0, 0]


def test_the_mean_lies_in_it_at_all_times_at_once() -> None:
    rng = np.random.default_rng(3)
    looks = np.unique(np.geomspace(1, 1500, 20).astype(int))
    missed = 0
    for _ in range(150):
        values = (rng.random(1500) < 0.8) * 1.0
        found = [interval(of(values[:n]), 0.8) for n in looks]
        missed += not all(one.low <= 0.8 <= one.high for one in found)
    # proven: 0.2 at most
    assert 0 < missed / 150 <= 0.2


@given(SHARES, SHARES, st.randoms(use_true_random=False))
def test_neither_order_nor_calls_nor_restarts_change_it(
    one: list[float], two: list[float], random: object
) -> None:
    kept = MeanState.from_dict(json.loads(json.dumps(of(one).to_dict(), allow_nan=False)))
    assert kept == of(one)
    apart, mixed = update(kept, two), [*one, *two]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    together = of(mixed)
    assert apart.observations == together.observations
    assert interval(apart).low == pytest.approx(interval(together).low, abs=1e-9)
    assert interval(apart).high == pytest.approx(interval(together).high, abs=1e-9)


@given(SHARES, st.floats(0.5, 0.99))
def test_it_holds_the_mean_and_is_wider_with_more_confidence(values: list[float], confidence: float) -> None:
    narrow, wide = (interval(of(values), at) for at in (confidence, (1 + confidence) / 2))
    mean = np.mean(values) if values else 0.5
    assert 0 <= wide.low <= narrow.low <= narrow.mean + 1e-9
    assert narrow.mean - 1e-9 <= narrow.high <= wide.high <= 1
    assert narrow.mean == pytest.approx(mean)


def test_extremes_have_an_end() -> None:
    assert interval(MeanState()) == Interval(0.0, 0.5, 1.0, 0.95)
    best, worst = interval(of(np.ones(1_000))), interval(of(np.zeros(1_000)))
    assert best.high == 1
    assert 0.98 < best.low < 1
    assert worst.low == 0
    assert worst.high == pytest.approx(1 - best.low)
    assert 1e300 < evidence_below(of(np.zeros(100_000)), 0.5) < inf


def test_what_makes_no_sense_is_refused() -> None:
    for values in ([1.1], [-0.1], [np.nan], [[0.5]]):
        with pytest.raises(ValueError, match="values must"):
            of(values)
    for confidence in (0.0, 1.0):
        with pytest.raises(ValueError, match="confidence must"):
            interval(MeanState(), confidence)
    for threshold in (0.0, 1.0):
        with pytest.raises(ValueError, match="threshold must"):
            evidence_below(MeanState(), threshold)
