"""Intervals for shares and times, and for how two of them compare; and how often one may look before it decides."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf, log, log2, pi, sqrt

import numpy as np
from scipy.special import bdtrik, betaincinv, stdtrit

from include.kreislauf.statistics.intervals import Interval

SMALLEST = 1e-9
"""Seconds below which times are not told apart."""


def share_interval(hits: int, n: int, level: float) -> Interval:
    """Exact interval of a share, ``hits`` of ``n``.

    Source: Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934) 404-413.
    """
    if n == 0:
        return Interval(0.0, 0.0, 1.0, level)
    tail = (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Interval(low, hits / n, high, level)


def mean_time(seconds: float, buckets: Mapping[str, int], level: float) -> Interval:
    """Mean time of requests, its spread taken from counts by upper bound.

    Parameters
    ----------
    seconds: of all requests together.
    buckets: requests by the upper bound of their time in seconds, as text; ``+Inf`` for the rest.
    """
    lows, highs, counts = _edges(buckets)
    n = int(counts.sum())
    if n == 0:
        return Interval(0.0, 0.0, inf, level)
    mean = seconds / n
    if n < 2:
        return Interval(0.0, mean, inf, level)
    middles = (lows + highs) / 2
    spread = sqrt(float((counts * (middles - mean) ** 2).sum()) / (n - 1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * spread / sqrt(n)
    return Interval(max(mean - half, 0.0), mean, mean + half, level)


def quantile_time(q: float, buckets: Mapping[str, int], level: float) -> Interval:
    """The ``q`` quantile of requests' times: its interval lies between two ranks, each found within its bucket.

    ``high`` is infinite where there are too few requests to bound it: for q = 0.99 and a level of 0.95 some 370.

    Source: Conover, Practical Nonparametric Statistics, 1999, section 3.2; within a bucket times are taken to be spread
    evenly, as Prometheus does.
    """
    lows, highs, counts = _edges(buckets)
    n = int(counts.sum())
    if n == 0:
        return Interval(0.0, 0.0, inf, level)
    tail = (1 - level) / 2
    first = np.ceil(bdtrik(tail, n, q))
    last = np.ceil(bdtrik(1 - tail, n, q)) + 1
    ends = np.cumsum(counts)

    def at(rank: float) -> float:
        place = min(int(np.searchsorted(ends, rank)), len(ends) - 1)
        before = ends[place] - counts[place]
        part = float(np.clip((rank - before) / counts[place], 0, 1))
        return float(lows[place] + part * (highs[place] - lows[place]))

    return Interval(at(first) if first > 0 else 0.0, at(q * n), inf if last > n else at(last), level)


def difference(one: Interval, other: Interval) -> Interval:
    """How much one value lies above another, measured independently of it.

    Source: Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27 (2008)
    1693-1702.
    """
    value = one.mean - other.mean
    low = value - sqrt((one.mean - one.low) ** 2 + (other.high - other.mean) ** 2)
    high = value + sqrt((one.high - one.mean) ** 2 + (other.mean - other.low) ** 2)
    return Interval(low, value, high, one.level)


def ratio(one: Interval, other: Interval) -> Interval:
    """How many times another value one is, both positive and measured independently: a difference of logarithms."""
    found = difference(_logarithm(one), _logarithm(other))
    return Interval(exp(found.low), exp(found.mean), exp(found.high), one.level)


def look_of(n: int, first: float) -> int:
    """Number of the look that ``n`` observations allow, from 0: one at ``first``, then whenever they have doubled.

    -1: there are too few for the first.
    """
    return int(log2(n / first)) if n >= first else -1


def confidence_of(look: int, confidence: float) -> float:
    """Confidence that each look must have, so that all of them together, however many, are right with ``confidence``.

    The chance of error is shared out as 1, 1/4, 1/9, ... of ``6 / pi**2``, which adds up to all of it.
    """
    return 1 - (1 - confidence) * 6 / (pi * (look + 1)) ** 2


def _logarithm(of: Interval) -> Interval:
    return Interval(_log(of.low), _log(of.mean), _log(of.high), of.level)


def _log(value: float) -> float:
    return inf if value == inf else log(max(value, SMALLEST))


def _edges(buckets: Mapping[str, int]) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Lower and upper ends of the buckets that are not empty, in seconds, and their counts."""
    filled = sorted((float(label), count) for label, count in buckets.items() if count)
    counts = np.array([count for _, count in filled], dtype=np.float64)
    highs = np.array([high for high, _ in filled], dtype=np.float64)
    lows = np.concatenate([[0.0], highs[:-1]])[: len(highs)]
    # what is above the last bound counts as that bound
    return lows, np.where(np.isinf(highs), lows, highs), counts
