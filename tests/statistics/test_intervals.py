"""Intervals: known values, coverage and edge cases."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.intervals import (
    Interval,
    block_bootstrap_gain,
    block_bootstrap_mean,
    mean_interval,
)
from include.kreislauf.statistics.metrics import Metric, metric

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


def test_student_interval_of_a_textbook_case() -> None:
    interval = mean_interval([4.0, 5.0, 6.0], level=0.95)
    assert interval.mean == 5.0
    assert interval.high - 5.0 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_one_observation_says_nothing_about_the_spread() -> None:
    assert mean_interval([0.2]) == Interval(-inf, 0.2, inf, 0.95)
    assert block_bootstrap_mean({"q1": [0.1, 0.3]}) == Interval(-inf, 0.2, inf, 0.95)


@pytest.mark.parametrize("values", [[], [nan], [inf, 1.0]])
def test_values_must_exist_and_be_finite(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one|finite"):
        mean_interval(values)
    with pytest.raises(ValueError, match=r"at least one|finite"):
        block_bootstrap_mean({"q1": values})


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_level_must_be_a_share(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        block_bootstrap_mean({1: [1.0], 2: [2.0]}, level)


@given(blocks=st.lists(VALUES, min_size=1, max_size=8), seed=st.integers(0, 100))
def test_bootstrap_is_repeatable_and_holds_the_mean(blocks: list[list[float]], seed: int) -> None:
    by_block = dict(enumerate(blocks))
    interval = block_bootstrap_mean(by_block, seed=seed, repeats=200)
    assert interval == block_bootstrap_mean(by_block, seed=seed, repeats=200)
    assert interval.mean == pytest.approx(np.concatenate(blocks).mean(), abs=1e-9)
    assert interval.low <= interval.high


def test_blocks_that_share_a_shock_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    blocks = {q: (rng.normal() + rng.normal(0, 0.1, 20)).tolist() for q in range(12)}
    singles = dict(enumerate([value] for values in blocks.values() for value in values))
    by_period, by_value = block_bootstrap_mean(blocks), block_bootstrap_mean(singles)
    assert by_period.high - by_period.low > 2 * (by_value.high - by_value.low)


def test_coverage_of_both_intervals_is_near_the_level() -> None:
    rng = np.random.default_rng(3)
    hits = {"student": 0, "bootstrap": 0}
    for _ in range(300):
        values = rng.normal(1.0, 1.0, 15).tolist()
        student = mean_interval(values, 0.8)
        bootstrap = block_bootstrap_mean({i: [v] for i, v in enumerate(values)}, 0.8, repeats=300)
        hits["student"] += student.low <= 1.0 <= student.high
        hits["bootstrap"] += bootstrap.low <= 1.0 <= bootstrap.high
    assert 0.74 < hits["student"] / 300 < 0.86
    assert 0.70 < hits["bootstrap"] / 300 < 0.86


# The gain of one model over another

MAE, RMSE = metric("mae"), metric("rmse")
Losses = dict[int, tuple[list[float], list[float]]]


def losses(seed: int, blocks: int = 10, rows: int = 6) -> Losses:
    drawn = np.random.default_rng(seed).exponential(size=(blocks, 2, rows))
    return {number: (own.tolist(), other.tolist()) for number, (own, other) in enumerate(drawn)}


@given(seed=st.integers(0, 1000), blocks=st.integers(2, 12), length=st.integers(1, 4))
@pytest.mark.parametrize("one", [MAE, RMSE])
def test_who_compares_a_model_with_itself_gains_nothing_for_sure(
    one: Metric, seed: int, blocks: int, length: int
) -> None:
    same = {block: (other, other) for block, (_, other) in losses(seed, blocks).items()}
    assert block_bootstrap_gain(same, one.gain, repeats=100, length=length) == Interval(0.0, 0.0, 0.0, 0.95)


@given(seed=st.integers(0, 1000), blocks=st.integers(2, 12), draws=st.integers(0, 50))
@pytest.mark.parametrize("one", [MAE, RMSE])
def test_the_interval_of_a_gain_is_repeatable_and_holds_it(
    one: Metric, seed: int, blocks: int, draws: int
) -> None:
    given_losses = losses(seed, blocks)
    found = block_bootstrap_gain(given_losses, one.gain, seed=draws, repeats=300)
    assert found == block_bootstrap_gain(given_losses, one.gain, seed=draws, repeats=300)
    own, other = (np.concatenate([pair[side] for pair in given_losses.values()]) for side in (0, 1))
    assert found.mean == pytest.approx(one.gain(own.mean(), other.mean()))
    assert found.low <= found.mean <= found.high


@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_gain_has_no_unit(seed: int, factor: float) -> None:
    scaled = {
        block: ([factor * one for one in own], [factor * one for one in other])
        for block, (own, other) in losses(seed).items()
    }
    assert block_bootstrap_gain(scaled, MAE.gain, repeats=100) == block_bootstrap_gain(
        losses(seed), MAE.gain, repeats=100
    )


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_what_makes_a_period_hard_for_both_does_not_widen_the_interval() -> None:
    hard = np.random.default_rng(0).exponential(size=(40, 1)) * 10
    own = hard * 0.5 * np.random.default_rng(1).uniform(0.9, 1.1, size=(40, 5))
    together = {n: (own[n].tolist(), np.repeat(hard[n], 5).tolist()) for n in range(40)}
    apart = {n: (own[n].tolist(), np.repeat(hard[n - 7], 5).tolist()) for n in range(40)}
    assert width(block_bootstrap_gain(together, MAE.gain)) < 0.1 * width(
        block_bootstrap_gain(apart, MAE.gain)
    )


def test_periods_that_hang_together_widen_the_interval_when_drawn_together() -> None:
    shocks = np.convolve(np.random.default_rng(2).normal(size=83), np.ones(4), mode="valid")
    single, four = (
        block_bootstrap_mean({n: [one] for n, one in enumerate(shocks)}, length=n) for n in (1, 4)
    )
    assert width(four) > 1.3 * width(single)
    gains = {n: ([1.0 + 0.1 * one], [2.0]) for n, one in enumerate(shocks)}
    single, four = (block_bootstrap_gain(gains, MAE.gain, length=n) for n in (1, 4))
    assert width(four) > 1.3 * width(single)
    alone = {n: [one] for n, one in enumerate(np.random.default_rng(3).normal(size=80))}
    free = [width(block_bootstrap_mean(alone, length=length)) for length in (1, 4)]
    assert free[1] == pytest.approx(free[0], rel=0.35)


@given(length=st.integers(5, 50), seed=st.integers(0, 20))
def test_all_blocks_in_a_row_are_the_whole_again(length: int, seed: int) -> None:
    """The runs go round, so every draw of as many as there are holds each block once."""
    five = losses(seed, 5)
    found = block_bootstrap_gain(five, MAE.gain, repeats=20, length=length)
    assert found.low == pytest.approx(found.mean)
    assert found.high == pytest.approx(found.mean)


@given(length=st.integers(1, 7))
def test_runs_that_do_not_divide_the_blocks_are_cut(length: int) -> None:
    """A mean of ones is 1 only if as many blocks are drawn as are divided by; sizes differ."""
    ones = {n: [1.0] * (n + 1) for n in range(7)}
    assert block_bootstrap_mean(ones, repeats=50, length=length) == Interval(1.0, 1.0, 1.0, 0.95)


def test_the_coverage_of_a_gain_is_near_the_level() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        own, other = rng.exponential(0.8, size=(30, 4)), rng.exponential(1.0, size=(30, 4))
        found = block_bootstrap_gain(
            {n: (own[n].tolist(), other[n].tolist()) for n in range(30)}, MAE.gain, 0.8, repeats=200
        )
        hits += found.low <= 0.2 <= found.high
    assert 0.70 < hits / 200 < 0.88


def test_one_period_says_nothing_about_the_spread_of_a_gain() -> None:
    assert block_bootstrap_gain({1: ([1.0, 1.0], [4.0, 4.0])}, RMSE.gain) == Interval(-inf, 0.5, inf, 0.95)
    # an empty block is none
    assert block_bootstrap_gain({1: ([1.0], [4.0]), 2: ([], [])}, RMSE.gain).high == inf


@pytest.mark.parametrize(
    "bad", [{}, {1: ([], [])}, {1: ([1.0], [1.0, 2.0])}, {1: ([nan], [1.0])}, {1: ([1.0], [inf])}]
)
def test_a_gain_needs_losses_of_both_on_the_same_rows(bad: Losses) -> None:
    with pytest.raises(ValueError, match=r"same rows|finite"):
        block_bootstrap_gain(bad, MAE.gain)


def test_the_level_of_a_gain_must_be_a_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        block_bootstrap_gain(losses(0), MAE.gain, level=80.0)
