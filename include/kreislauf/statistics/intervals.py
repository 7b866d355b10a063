"""Intervals for a mean: from many periods by bootstrap, from a few observations by Student's t."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    values_by_block: Mapping[Any, Sequence[float]], level: float = 0.95, seed: int = 0, repeats: int = 2000,
    length: int = 1,
) -> Interval:  # fmt: skip
    """Percentile bootstrap of the mean of all values, drawing whole blocks (periods) with replacement.

    Values of one period share its shocks; drawing single values would make the interval too narrow.

    Parameters
    ----------
    values_by_block: the values of each block, in the order of time; empty blocks are ignored.
    level: confidence level between 0 and 1.
    seed: of the random draws; equal inputs give equal results.
    repeats: bootstrap samples.
    length: blocks that are drawn together, one after the other; as many as targets overlap in time.

    Raises
    ------
    ValueError: no value, a value that is not finite, or a level outside (0, 1).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval);
    for blocks as the unit of drawing, Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    section 3.8; for several in a row, Politis and Romano, A circular block-resampling procedure, 1992.
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
    drawn = _draw(len(blocks), length, repeats, seed)
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), mean, float(high), level)


def block_bootstrap_gain(
    losses_by_block: Mapping[Any, tuple[Sequence[float], Sequence[float]]],
    gain: Callable[[float, float], float], level: float = 0.95, seed: int = 0, repeats: int = 2000, length: int = 1,
) -> Interval:  # fmt: skip
    """Interval of a gain: of how much the mean loss of one model undercuts another's on the same rows.

    Both losses of a block are drawn together, so what makes a period hard for both does not widen the interval.

    Parameters
    ----------
    losses_by_block: by block the losses of the model and of the other one, row by row.
    gain: of the mean loss of the model and of the other one.
    level, seed, repeats, length: as in :func:`block_bootstrap_mean`.

    Raises
    ------
    ValueError: no loss, one that is not finite, rows that differ in number, or a level outside (0, 1).
    """
    _check_level(level)
    pairs = [(_finite(own), _finite(other)) for own, other in losses_by_block.values() if len(own)]
    if not pairs or any(own.size != other.size for own, other in pairs):
        raise ValueError("a gain needs losses of both on the same rows")
    own, other = (np.array([pair[side].sum() for pair in pairs]) for side in (0, 1))
    sizes = np.array([pair[0].size for pair in pairs], dtype=np.float64)
    value = gain(float(own.sum() / sizes.sum()), float(other.sum() / sizes.sum()))
    if len(pairs) < 2:
        return Interval(-inf, value, inf, level)
    drawn = _draw(len(pairs), length, repeats, seed)
    rows = sizes[drawn].sum(axis=1)
    means = zip(own[drawn].sum(axis=1) / rows, other[drawn].sum(axis=1) / rows, strict=True)
    gains = [gain(float(mine), float(theirs)) for mine, theirs in means]
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), value, float(high), level)


def _draw(
    blocks: int, length: int, repeats: int, seed: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Positions of blocks, shape (repeats, blocks): runs of ``length`` that go on at the start after the end."""
    length = max(1, min(length, blocks))
    starts = np.random.default_rng(seed).integers(blocks, size=(repeats, -(-blocks // length)))
    runs = (starts[:, :, None] + np.arange(length)) % blocks
    return runs.reshape(repeats, -1)[:, :blocks]


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
