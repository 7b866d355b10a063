"""Comparisons of shares and times: they cover what they promise, and looking often costs no confidence."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from math import inf, isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.comparisons import (
    confidence_of,
    difference,
    look_of,
    mean_time,
    quantile_time,
    ratio,
    share_interval,
)
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.statistics.verdicts import Verdict, at_most, together

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LABELS = (*map(str, BOUNDS), "+Inf")


def bucketed(times: np.ndarray) -> dict[str, int]:
    return dict(Counter(LABELS[bisect_left(BOUNDS, one)] for one in times.tolist()))


def test_a_share_has_the_exact_interval() -> None:
    # Table 1 of Newcombe, Statistics in Medicine 17 (1998): 81 of 263
    found = share_interval(81, 263, 0.95)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2527, 0.3676)
    assert share_interval(0, 10, 0.95).low == 0
    assert share_interval(10, 10, 0.95).high == 1
    assert share_interval(0, 0, 0.95) == Interval(0.0, 0.0, 1.0, 0.95)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.5, 0.99))
def test_a_share_lies_in_its_interval_and_more_confidence_makes_it_wider(
    hits: int, misses: int, level: float
) -> None:
    narrow, wide = (share_interval(hits, hits + misses, at) for at in (level, (1 + level) / 2))
    assert 0 <= wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high <= 1 or hits + misses == 0


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_intervals_of_shares_hold_as_often_as_they_promise(share: float) -> None:
    hits = np.random.default_rng(1).binomial(400, share, size=2000)
    inside = [(found := share_interval(int(k), 400, 0.9)).low <= share <= found.high for k in hits]
    assert np.mean(inside) >= 0.9


def test_mean_and_quantile_of_times_are_found_in_buckets() -> None:
    rng = np.random.default_rng(2)
    means, quantiles = [], []
    for _ in range(300):
        times = rng.exponential(0.01, size=2000)
        buckets = bucketed(times)
        mean = mean_time(float(times.sum()), buckets, 0.9)
        means.append(mean.low <= 0.01 <= mean.high)
        top = quantile_time(0.9, buckets, 0.9)
        assert top.low <= top.mean <= top.high < inf
        quantiles.append(0.5 * top.low <= 0.0230 <= 2 * top.high)
    assert np.mean(means) >= 0.85
    assert np.mean(quantiles) == 1.0  # within its bucket


def test_too_few_requests_do_not_bound_a_high_quantile() -> None:
    assert quantile_time(0.99, {"0.01": 300}, 0.95).high == inf
    assert quantile_time(0.99, {"0.01": 700}, 0.95).high <= 0.01
    assert quantile_time(0.99, {}, 0.95).high == inf
    assert mean_time(0.0, {}, 0.95).high == inf
    assert mean_time(0.2, {"+Inf": 1}, 0.95).high == inf


@given(*[st.floats(0.001, 10) for _ in range(3)], st.floats(1.01, 5))
def test_a_ratio_of_an_interval_with_itself_lies_around_one(
    mean: float, down: float, up: float, times: float
) -> None:
    one = Interval(mean / (1 + down), mean, mean * (1 + up), 0.9)
    found = ratio(one, one)
    assert found.low <= 1 <= found.high
    twice = ratio(Interval(one.low * times, one.mean * times, one.high * times, 0.9), one)
    assert isclose(twice.mean, times, rel_tol=1e-9)
    assert isclose(twice.low, found.low * times, rel_tol=1e-9)


def test_an_unbounded_side_stays_unbounded() -> None:
    free, known = Interval(0.5, 1.0, inf, 0.9), Interval(0.9, 1.0, 1.1, 0.9)
    assert ratio(free, known).high == inf
    assert ratio(known, free).low == 0
    assert difference(free, known).high == inf


def test_looks_come_whenever_the_observations_have_doubled() -> None:
    assert [look_of(n, 25) for n in (0, 24, 25, 49, 50, 99, 100, 800)] == [-1, -1, 0, 0, 1, 1, 2, 5]


def test_all_looks_together_err_no_more_often_than_one_may() -> None:
    assert sum(1 - confidence_of(look, 0.95) for look in range(100_000)) == pytest.approx(0.05, abs=1e-5)


def test_looking_again_and_again_does_not_condemn_what_is_right() -> None:
    """A share of errors exactly at the limit, looked at whenever the requests have doubled: seldom a false fail."""
    rng, condemned = np.random.default_rng(3), 0
    for _ in range(400):
        hits = np.cumsum(rng.random(6400) < 0.02)
        looks = [(look, 25 * 2**look) for look in range(9)]
        found = [
            share_interval(int(hits[n - 1]), n, 2 * confidence_of(look, 0.95) - 1).low > 0.02
            for look, n in looks
        ]
        condemned += any(found)
    assert condemned / 400 <= 0.05


def test_verdicts_within_a_limit() -> None:
    interval = Interval(1.0, 1.5, 2.0, 0.9)
    assert [at_most(interval, limit) for limit in (0.9, 1.0, 1.9, 2.0)] == [
        Verdict.FAIL,
        Verdict.INCONCLUSIVE,
        Verdict.INCONCLUSIVE,
        Verdict.PASS,
    ]


def test_several_questions_pass_together_or_not() -> None:
    passed, failed, unknown = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
    assert together([passed, passed]) is passed
    assert together([passed, unknown]) is unknown
    assert together([unknown, failed, passed]) is failed
