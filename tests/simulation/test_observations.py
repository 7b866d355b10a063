"""Counts of a world: laws of spreading and rounding, and how near the sampled counts are to all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.simulation import WorldParameters
from include.kreislauf.simulation.observations import (
    LANGUAGE,
    MONTHS,
    largest_remainder,
    month_of_quarter,
    observe,
    taken,
)
from include.kreislauf.simulation.technologies import simulate


@given(data=st.data(), of=st.integers(1, 500))
def test_what_is_taken_grows_by_at_most_one_and_reaches_the_count(data: st.DataObject, of: int) -> None:
    count, phase = data.draw(st.integers(0, of)), data.draw(st.integers(0, of - 1))
    steps = np.diff(taken(count, of, np.arange(of + 1), phase))
    assert set(steps.tolist()) <= {0, 1}
    assert steps.sum() == count


@given(st.lists(st.lists(st.integers(0, 10_000), min_size=2, max_size=2), min_size=1, max_size=20))
def test_months_sum_to_the_quarter_and_differ_by_at_most_one(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    months = np.array([month_of_quarter(counts, month) for month in range(MONTHS)])
    assert np.array_equal(months.sum(axis=0), counts)
    assert (months.max(axis=0) - months.min(axis=0)).max() <= 1


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=30), st.integers(0, 10_000))
def test_the_largest_remainder_keeps_the_total_and_rounds_to_a_neighbour(
    weights: list[float], total: int
) -> None:
    column = np.array(weights)[:, None]
    whole = largest_remainder(column, total)
    assert whole.sum() == total
    assert (np.abs(whole - total * column / column.sum()) < 1 + 1e-6).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), established=st.integers(1, 30), noise=st.floats(0, 0.3))
def test_counts_are_possible_whatever_the_world(seed: int, established: int, noise: float) -> None:
    seen = observe(simulate(seed, WorldParameters(established=established, source_noise=noise)))
    assert ((seen.questions >= seen.settled) & (seen.settled <= seen.settled_total)).all()
    assert (seen.questions <= seen.questions_total).all()
    assert (seen.jobs <= seen.ads).all()
    assert seen.other_pull_requests.min() >= 0
    assert set((seen.pull_requests.sum(axis=0) + seen.other_pull_requests.sum(axis=0)).tolist()) == {6000}
    language = np.array([kind == LANGUAGE for kind in seen.world.kinds])
    assert not seen.stars[language].any()
    assert not seen.pull_requests[~language].any()


@pytest.mark.parametrize("seed", range(3))
def test_sampled_hours_say_almost_as_much_as_all_hours(seed: int) -> None:
    """Rounding has to stay well below the noise of 300,000 pull requests and 60,000 stars (median 1 and 3 %)."""
    seen = observe(simulate(seed))
    for counts in (seen.pull_requests, seen.stars):
        shown = counts[counts > 0]
        assert np.median(0.29 / shown) < 0.004
        assert np.quantile(0.29 / shown, 0.95) < 0.05


def test_first_counts_lie_above_settled_ones_evenly_within_a_quarter() -> None:
    seen = observe(simulate(0))
    ratio = seen.questions_total / seen.settled_total
    assert ratio.min() >= 1.19
    assert ratio.max() <= 1.47
    often = seen.questions > 5000
    expected = np.broadcast_to(ratio, often.shape)[often]
    uneven = np.log(seen.questions[often] / seen.settled[often] / expected)
    assert 0.003 < uneven.std() < 0.007
