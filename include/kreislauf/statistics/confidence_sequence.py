"""Where does a mean lie, and is it below a threshold? Answers that hold however often one looks.

Betting against every mean m that might be true: ``K(m)``, the product of ``1 + stake (x - m)`` over the observations,
averaged over many stakes, has an expectation of 1 where m is the mean, so it ever reaches ``1 / alpha`` with
probability at most alpha (Ville's inequality). The interval holds every m that has not been refuted so. As each stake
stays the same for all observations, only how often each value was seen needs to be remembered, and their order has no
effect: late observations and restarts change nothing. An interval for the mean of all observations so far, which are
taken to have one mean; for what changes, see :mod:`include.kreislauf.statistics.fall_detector`.

Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86 (2024): the hedged
grid of Kelly bets, with stakes in geometric steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.statistics.intervals import Interval

Floats = npt.NDArray[np.float64]
HALVINGS = 40
"""Of the range in which an end of the interval lies: to within 1e-12."""
STEPS = 200
"""Parts of [0, 1] whose ends are told apart; a value between two ends counts as a part of each of them.

The logarithm is concave, so that takes something from the evidence and adds nothing: what is proven stays proven.
"""
BOLDEST, RATIO, STAKES = 0.8, 1.6, 20
"""Stakes, as parts of the boldest one possible: the first, how many times the next one it is, and their number."""
PARTS = BOLDEST * RATIO ** -np.arange(STAKES, dtype=np.float64)
FEW = BOLDEST * 2.0 ** -np.arange(10, dtype=np.float64)
"""Stakes for many levels at once: fewer cost less, and each of them is worth more."""
HIGHEST = 700.0
"""Logarithm above which evidence is no longer told apart, below that of the greatest float."""


@dataclass(frozen=True)
class MeanState:
    """What is remembered of the observations: how many, their sum, and how often each value, by its step."""

    observations: int = 0
    total: float = 0.0
    seen: tuple[tuple[int, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "seen": [list(pair) for pair in self.seen]}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> MeanState:
        """From what :meth:`to_dict` gave."""
        return cls(**{**kept, "seen": tuple((int(step), float(times)) for step, times in kept["seen"])})


def update(state: MeanState, values: npt.ArrayLike) -> MeanState:
    """The state after more observations; their order and how they are cut into calls have no effect.

    Raises
    ------
    ValueError: ``values`` is not of shape (n,), or holds one outside [0, 1].
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not ((x >= 0) & (x <= 1)).all():
        raise ValueError("values must have the shape (n,) and lie within [0, 1]: scale them by the bounds")
    below = np.minimum(np.floor(x * STEPS), STEPS - 1).astype(np.int64)
    above = x * STEPS - below
    # of nothing, bincount counts whole numbers
    seen = np.zeros(STEPS + 1) + np.bincount(below, 1 - above, STEPS + 1)
    seen += np.bincount(below + 1, above, STEPS + 1)
    for step, times in state.seen:
        seen[step] += times
    kept = tuple((int(step), float(seen[step])) for step in np.flatnonzero(seen))
    return MeanState(state.observations + len(x), state.total + float(x.sum()), kept)


def interval(state: MeanState, confidence: float = 0.95) -> Interval:
    """The mean of all observations, and where it lies with ``confidence``, at all times at once.

    [0, 1] with a mean of 0.5 where nothing was seen.

    Raises
    ------
    ValueError: ``confidence`` is not within (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence:g}")
    if not state.observations:
        return Interval(0.0, 0.5, 1.0, confidence)
    mean = min(max(state.total / state.observations, 0.0), 1.0)
    limit = log(2 / (1 - confidence))
    gaps, times = _gaps(state)
    return Interval(
        1 - _end(1 - gaps, times, 1 - mean, limit), mean, _end(gaps, times, mean, limit), confidence
    )


def evidence_below(state: MeanState, threshold: float) -> float:
    """What speaks against a mean of at least ``threshold``: reaches 1 / alpha with probability at most alpha, if it is.

    Raises
    ------
    ValueError: ``threshold`` is not within (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie between 0 and 1, not {threshold:g}")
    return exp(min(_against(*_gaps(state), threshold), HIGHEST))


def evidence_above(state: MeanState, levels: Floats) -> Floats:
    """Logarithms of what speaks for a mean above each of some levels, shape (n,).

    If the mean is a level or less, an expectation of 1 at most, also on the way; 0 before anything was seen.

    Parameters
    ----------
    levels: shape (n,), within (0, 1].
    """
    if not state.observations:
        return np.zeros(len(levels))
    steps, times = np.array(state.seen, dtype=np.float64).T
    logs = np.log1p(FEW[:, None, None] * (steps / STEPS / levels[:, None] - 1)) @ times
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - log(len(FEW)))


def _gaps(state: MeanState) -> tuple[Floats, Floats]:
    """How far each value that was seen lies below 1, and how often it was."""
    steps, times = np.array(state.seen, dtype=np.float64).reshape(-1, 2).T
    return 1 - steps / STEPS, times


def _end(gaps: Floats, times: Floats, mean: float, limit: float) -> float:
    """The least level above the mean that is refuted; the evidence against a level grows with it."""
    kept, refuted = mean, 1.0
    for _ in range(HALVINGS):
        level = (kept + refuted) / 2
        if level < 1 and _against(gaps, times, level) < limit:
            kept = level
        else:
            refuted = level
    return refuted


def _against(gaps: Floats, times: Floats, level: float) -> float:
    """Logarithm of the evidence against a mean of at least ``level`` < 1."""
    logs = np.log1p(PARTS[:, None] * (gaps / (1 - level) - 1)) @ times
    return float(np.logaddexp.reduce(logs) - log(STAKES))
