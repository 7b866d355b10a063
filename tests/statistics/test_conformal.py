"""Conformal intervals: the right rank, the promised coverage, and no residual that was not known yet."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from include.kreislauf.statistics.conformal import half_width, rolling_half_widths

COVERAGES = st.integers(1, 99).map(lambda percent: percent / 100)
RESIDUALS = st.lists(st.floats(-100, 100), max_size=120)


@given(residuals=RESIDUALS, percent=st.integers(1, 99))
def test_the_half_width_is_the_smallest_that_holds_enough_residuals(
    residuals: list[float], percent: int
) -> None:
    """Enough of n: (n + 1) times the coverage, counted with exact fractions."""
    enough = Fraction(percent, 100) * (len(residuals) + 1)
    sizes = sorted(map(abs, residuals))
    expected = next((one for one in sizes if sum(size <= one for size in sizes) >= enough), inf)
    assert half_width(np.array(residuals), percent / 100) == expected


def test_a_rank_that_is_whole_is_not_rounded_up() -> None:
    assert 100 * 0.55 > 55, "in floating point"
    assert half_width(np.arange(1.0, 100.0), 0.55) == 55.0


def test_the_rank_of_a_textbook_case() -> None:
    assert half_width(np.arange(1.0, 10.0), 0.9) == 9.0
    assert half_width(np.arange(1.0, 9.0), 0.9) == inf, "8 residuals cannot say where 9 of 10 lie"
    assert half_width(np.empty(0), 0.5) == inf


def test_exchangeable_residuals_are_covered_as_often_as_promised() -> None:
    """The next residual lies within with a probability of rank / (n + 1), here exactly 0.8."""
    rng = np.random.default_rng(5)
    repeats = 4000
    drawn = rng.standard_t(3, size=(repeats, 20))
    hits = sum(abs(row[-1]) <= half_width(row[:-1], 0.8) for row in drawn)
    assert binom.ppf(0.0005, repeats, 0.8) <= hits <= binom.ppf(0.9995, repeats, 0.8)


@given(residuals=RESIDUALS, narrow=COVERAGES, wide=COVERAGES, factor=st.sampled_from([0.25, 2.0, 8.0]))
def test_more_coverage_is_wider_and_the_unit_is_that_of_the_residuals(
    residuals: list[float], narrow: float, wide: float, factor: float
) -> None:
    values = np.array(residuals)
    narrow, wide = sorted((narrow, wide))
    assert half_width(values, narrow) <= half_width(values, wide)
    assert half_width(-factor * values[::-1], wide) == factor * half_width(values, wide)


@given(data=st.data(), size=st.integers(0, 40), coverage=COVERAGES)
def test_only_residuals_that_were_known_are_used(data: st.DataObject, size: int, coverage: float) -> None:
    numbers = st.lists(st.integers(0, 12), min_size=size, max_size=size)
    made = np.array(data.draw(numbers), dtype=np.int64)
    known = made + np.array(data.draw(numbers), dtype=np.int64) % 4
    residuals = np.array(data.draw(numbers), dtype=np.float64)
    widths = rolling_half_widths(residuals, made, known, coverage)
    assert widths.shape == (size,)
    for place in range(size):
        then = [float(residuals[one]) for one in range(size) if known[one] <= made[place]]
        assert widths[place] == half_width(np.array(then), coverage)


def test_a_residual_known_at_the_very_time_counts() -> None:
    residuals, made = np.array([1.0, 5.0, 9.0]), np.array([0, 1, 2])
    assert rolling_half_widths(residuals, made, made + 1, 0.5).tolist() == [inf, 1.0, 5.0]
    assert rolling_half_widths(residuals, made, made + 2, 0.5).tolist() == [inf, inf, 1.0]


@pytest.mark.parametrize("coverage", [0.0, 1.0, 80.0, nan])
def test_a_coverage_must_be_a_share(coverage: float) -> None:
    with pytest.raises(ValueError, match="coverage must lie between 0 and 1"):
        half_width(np.ones(3), coverage)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_residuals_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="residuals must be finite"):
        half_width(np.array([1.0, bad]), 0.5)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        rolling_half_widths(np.ones(3), np.arange(3), np.arange(2), 0.5)
