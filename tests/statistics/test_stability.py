"""Profiles, the population stability index, and shares of requests that are not independent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.stability import Profile, effective_size, share_of, shift, windows

numbers = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60)
texts = st.lists(st.none() | st.sampled_from("abcdefgh"), min_size=1, max_size=60)


@given(numbers, numbers)
def test_every_number_falls_into_one_bin(before: list[float | None], later: list[float | None]) -> None:
    profile = Profile.of_numbers(before)
    assert sum(profile.counts) == len(before)
    assert profile.count(later).sum() == len(later)


@given(texts, texts)
def test_every_category_falls_into_one_bin(before: list[str | None], later: list[str | None]) -> None:
    profile = Profile.of_categories(before)
    assert sum(profile.counts) == len(before)
    assert profile.count(later).sum() == len(later)


@given(numbers)
def test_a_profile_survives_json(values: list[float | None]) -> None:
    profile = Profile.of_numbers(values)
    assert Profile.from_dict(profile.to_dict()) == profile


def test_what_lies_outside_of_training_and_what_is_missing_have_bins_of_their_own() -> None:
    profile = Profile.of_numbers([1.0, 2.0, 3.0])
    assert profile.count([0.5]).argmax() == 0
    assert profile.count([3.5]).argmax() == len(profile.counts) - 2
    assert profile.count([None, float("inf"), "a text", []]).tolist()[-1] == 4


def test_rare_categories_count_together_with_those_never_seen() -> None:
    profile = Profile.of_categories([str(n) for n in range(30) for _ in range(2)] + ["rare"])
    assert profile.count(["rare", "never", None, 1.0, []]).tolist()[-1] == 5


@given(numbers)
def test_values_spread_as_before_have_not_moved(values: list[float | None]) -> None:
    profile = Profile.of_numbers(values)
    assert shift(profile, values, 0.2, len(values)).chance > 0.5


def test_the_index_is_that_of_the_textbook() -> None:
    # shares 0.5, 0.5 become 0.8, 0.2: 0.3 ln(0.8/0.5) - 0.3 ln(0.2/0.5)
    profile = Profile((500_000, 500_000, 0), categories=("a", "b"))
    found = shift(profile, ["a"] * 800_000 + ["b"] * 200_000, 0.2, 1e6)
    assert found.index == pytest.approx(0.4159, abs=1e-3)
    assert found.chance < 1e-9


@pytest.mark.parametrize(("size", "moved"), [(50, 0.0), (200, 0.0), (200, 0.45), (1600, 0.45)])
def test_a_true_index_not_above_the_limit_is_rarely_called_higher(size: int, moved: float) -> None:
    """A normal that moves by d has an index of about d squared: 0.45 is the limit itself."""
    generator, false = np.random.default_rng(7), 0
    for _ in range(400):
        profile = Profile.of_numbers(generator.normal(size=2_000))
        false += shift(profile, generator.normal(moved, size=size).tolist(), 0.2, size).chance < 0.01
    assert false <= 12  # one in a hundred, and three standard deviations


def test_a_clear_shift_is_sure_in_a_small_window() -> None:
    generator = np.random.default_rng(7)
    profile = Profile.of_numbers(generator.normal(size=2_000))
    assert shift(profile, generator.normal(2.0, size=50).tolist(), 0.2, 50).chance < 1e-4


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_a_sample_is_worth_at_most_its_size_and_at_least_one(names: list[str]) -> None:
    assert 1 - 1e-9 <= effective_size(names) <= len(names) + 1e-9


def test_the_same_again_and_again_is_worth_one() -> None:
    assert effective_size(["a"] * 50) == 1
    assert effective_size(range(50)) == 50
    assert effective_size(["a", "b"] * 25) == 2


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I: 81 of 263, 95 %
    found = share_of(81 / 263, 263, 0.975)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_windows_double_up_to_what_there_is() -> None:
    assert windows(49, 50, 1600) == []
    assert windows(399, 50, 1600) == [50, 100, 200]
    assert windows(9999, 50, 1600)[-1] == 1600
