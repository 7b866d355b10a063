"""Intervals: known values, coverage and edge cases."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.intervals import Interval, block_bootstrap_mean, mean_interval

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
