"""Intervals for a mean: from many periods by bootstrap, from a few observations by Student's t."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided confidence interval, in the unit of the values.

    ``low`` and ``high`` are infinite where the data say nothing about the spread (fewer than two
    observations).
    """

    low: float
    mean: float
    high: float
    level: float


def block_bootstrap_mean(
    values_by_block: Mapping[Any, Sequence[float]], level: float = 0.95, seed: int = 0, repeats: int = 2000
) -> Interval:
    """Percentile bootstrap of the mean of all values, drawing whole blocks (periods) with replacement.

    Values of one period share its shocks; drawing single values would make the interval too narrow.

    Parameters
    ----------
    values_by_block: the values of each block; empty blocks are ignored.
    level: confidence level between 0 and 1.
    seed: of the random draws; equal inputs give equal results.
    repeats: bootstrap samples.

    Raises
    ------
    ValueError: no value, a value that is not finite, or a level outside (0, 1).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval);
    for blocks as the unit of drawing, Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    section 3.8.
    """
    _check_level(level)
    blocks = [_finite(values) for values in values_by_block.values() if len(values)]
    if not blocks:
        raise ValueError("a mean needs at least one value")
    sums = np.array([block.sum() for block in blocks])
    sizes = np.array([block.size for block in blocks], dtype=np.float64)
    mean = float(sums.sum() / sizes.sum())
    if len(blocks) < 2:
        return Interval(-inf, mean, inf, level)
    drawn = np.random.default_rng(seed).integers(len(blocks), size=(repeats, len(blocks)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), mean, float(high), level)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of a few independent observations.

    Raises
    ------
    ValueError: no value, a value that is not finite, or a level outside (0, 1).

    Source: Student, The probable error of a mean, Biometrika 6 (1908) 1-25.
    """
    _check_level(level)
    observations = _finite(values)
    n = observations.size
    if n == 0:
        raise ValueError("a mean needs at least one value")
    mean = float(observations.mean())
    if n < 2:
        return Interval(-inf, mean, inf, level)
    half = float(stdtrit(n - 1, (1 + level) / 2) * observations.std(ddof=1) / sqrt(n))
    return Interval(mean - half, mean, mean + half, level)


def _finite(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(array).all():
        raise ValueError("values must be finite: leave out unknown ones before")
    return array


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
