"""Has the mean fallen? A detector whose false-alarm probability holds however often one looks.

An e-detector of the Shiryaev-Roberts kind. Every observation x of a value in [0, 1] is bet on with the factor
``e = 1 + stake (centre - x)``, whose expectation is at most 1 as long as the mean is at least the reference. Evidence
gathers as ``M = (M + w) e``, where w is the part of ``per_days`` that has passed since the observation before. So M
less the weights so far is a supermartingale, and by Doob's inequality M reaches ``1 / false_alarms`` within any T days
with probability at most ``false_alarms T / per_days``, for every distribution and however the observations are spread
over the days. M is a mixture of several bets, which keeps that property.

Where the level before a fall is not known, it is bet against every stable level at once: [fallen, 1] is cut into ranges,
each has an M of its own, and the alarm waits for the least of them. To the M of a range, a fall enters with w U instead
of w, where U is the evidence, from the observations before, for a mean above the range (:func:`.confidence_sequence.
evidence_above`, taken from time to time). So levels below the real one are refuted by the time before the fall, and those
above by the time after it, and what both have gathered counts. The bound is the same, with all of ``false_alarms``: let the
mean be stable and lie in a range. Each term w_s U_(s-1) e_s ... e_t of its M is at most a supermartingale that begins
with w_s, since the bets of U are fair for the upper end of the range, those of e for the lower one, and the later w do
not depend on the values. M plus U times the weights still to come is a supermartingale that begins with T / per_days.

Sources: Shin, Ramdas and Rinaldo, E-detectors: a nonparametric framework for sequential change detection, New England
Journal of Statistics in Data Science 2 (2024); for the stakes, Waudby-Smith and Ramdas, Estimating means of bounded
random variables by betting, JRSS B 86 (2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, exp, inf, log
from typing import Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.statistics.confidence_sequence import MeanState, evidence_above

Floats = npt.NDArray[np.float64]
DEPTHS = np.array([1.0, 2.0, 4.0])
"""Falls that are bet on, in multiples of the way from the reference to the level that counts as bad."""
SHARES = np.array([0.7, 0.15, 0.15])
"""What each of them is worth at the start: a bet with share q is late by log(1 / q) nats of the some 10 it needs."""
BOLDEST = 0.9
"""Part of the evidence that one observation may take away at most."""
PRIOR, MARGIN = 10, 1.25
"""Observations that a coin's variance counts for at the start; how many times as much as was seen is reckoned with."""
PIECE = 4096
"""Observations in a row that are summed up at once: few enough for sums of logarithms to stay exact."""
LEAST, WIDER = 0.005, 1.1
"""Width of the lowest range of unknown levels, as a part of [fallen, 1]; how many times as far the next one reaches."""
HIGHEST = 700.0
"""Logarithm above which evidence is no longer told apart, below that of the greatest float."""


@dataclass(frozen=True)
class FallState:
    """What the detector remembers of a release.

    Parameters
    ----------
    bets: logarithm of the evidence that each bet has gathered, by range of levels.
    entry: logarithm of the evidence U with which a fall enters, by range of levels.
    observations: how many were seen.
    day: of the latest, since the release began.
    total, squares: sums of the distances from ``fallen``, and of their squares.
    peak: the highest evidence so far, as a logarithm.
    alarm_at: number of the observation, from 1, at which the evidence first sufficed.
    calm_at: number of the latest one at which the evidence lay below 1: a fall is likely to have set in after it.
    """

    bets: tuple[float, ...] = (-inf,) * len(DEPTHS)
    entry: tuple[float, ...] = (0.0,)
    observations: int = 0
    day: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    peak: float = -inf
    alarm_at: int | None = None
    calm_at: int = 0

    @property
    def evidence(self) -> float:
        """What speaks for a fall now; an alarm from 1 / false_alarms on."""
        return exp(min(float(_together(np.reshape(self.bets, (-1, len(DEPTHS))))), HIGHEST))

    def to_dict(self) -> dict[str, Any]:
        """As JSON, which knows no infinity."""
        finite = [None if bet == -inf else bet for bet in self.bets]
        peak = None if self.peak == -inf else self.peak
        return {**vars(self), "bets": finite, "peak": peak}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> FallState:
        """From what :meth:`to_dict` gave."""
        bets = tuple(-inf if bet is None else float(bet) for bet in kept["bets"])
        peak = -inf if kept["peak"] is None else float(kept["peak"])
        return cls(**{**kept, "bets": bets, "entry": tuple(kept["entry"]), "peak": peak})


@dataclass(frozen=True)
class FallDetector:
    """Watches a mean of values in [0, 1], higher is better, for a fall.

    A fall of less than about half the way to ``fallen`` gathers no evidence in the long run, one of more does.

    Parameters
    ----------
    reference: the level below which the mean may not have fallen; ``None``: any that is stable, see :meth:`look`.
    fallen: the level that counts as bad.
    false_alarms: probability of a false alarm within ``per_days``, proven.
    per_days: days to which ``false_alarms`` refers.

    Raises
    ------
    ValueError: not 0 <= fallen < reference < 1, without reference not 0 < fallen < 1, false_alarms not within (0, 1), or per_days not above 0.
    """

    reference: float | None
    fallen: float
    false_alarms: float = 0.01
    per_days: float = 90.0

    def __post_init__(self) -> None:
        if self.reference is None and not 0 < self.fallen < 1:
            raise ValueError(f"0 < fallen < 1 is needed, not {self.fallen:g}")
        if self.reference is not None and not 0 <= self.fallen < self.reference < 1:
            raise ValueError(
                f"0 <= fallen < reference < 1 is needed, not {self.fallen:g} and {self.reference:g}"
            )
        if not 0 < self.false_alarms < 1:
            raise ValueError(f"false_alarms must lie between 0 and 1, not {self.false_alarms:g}")
        if not self.per_days > 0:
            raise ValueError(f"per_days must be above 0, not {self.per_days:g}")

    def begin(self) -> FallState:
        """The state of a release of which nothing was seen."""
        return FallState()

    def look(self, state: FallState, level: MeanState) -> FallState:
        """The state with what the observations so far say about the level; falls from now on enter with it.

        The more often, the sooner a fall is found; how often may not depend on the values.

        Parameters
        ----------
        level: of all observations since the detector began.
        """
        if self.reference is not None:
            return state
        return replace(state, entry=tuple(evidence_above(level, self._ranges[1]).tolist()))

    @cached_property
    def _ranges(self) -> tuple[Floats, Floats]:
        """Lower and upper ends of the ranges in which the level before a fall may lie."""
        if self.reference is not None:
            return np.array([self.reference]), np.array([self.reference])
        number = ceil(log(1 / LEAST) / log(WIDER))
        upper = self.fallen + (1 - self.fallen) * WIDER ** np.arange(-number, 1.0)
        return np.concatenate([[self.fallen], upper[:-1]]), upper

    def update(self, state: FallState, values: npt.ArrayLike, days: npt.ArrayLike) -> FallState:
        """The state after more observations; the same however they are cut into calls.

        Parameters
        ----------
        values: shape (n,), within [0, 1], in an order that does not depend on them.
        days: shape (n,), when each was observed, in days since the release began; one earlier than the one before
            counts as of the same time.

        Raises
        ------
        ValueError: shapes differ, a value outside [0, 1], or a day that is not a finite number.
        """
        x, at = np.asarray(values, dtype=np.float64), np.asarray(days, dtype=np.float64)
        _check(x, at)
        for start in range(0, len(x), PIECE):
            state = self._piece(state, x[start : start + PIECE], at[start : start + PIECE])
        return state

    def _piece(self, state: FallState, x: Floats, at: Floats) -> FallState:
        clock = np.maximum.accumulate(np.concatenate([[state.day], at]))
        total = np.cumsum(np.concatenate([[state.total], x - self.fallen]))
        squares = np.cumsum(np.concatenate([[state.squares], (x - self.fallen) ** 2]))
        seen = state.observations + np.arange(len(x))
        factors = self._factors(x, *self._variances(seen, total[:-1], squares[:-1]))
        bets = _gather(self._begun(state), self._weights(state, np.diff(clock)), factors)
        evidence = _together(bets)
        alarms = np.flatnonzero(evidence >= -np.log(self.false_alarms))
        first = int(seen[alarms[0]]) + 1 if len(alarms) else None
        calm = np.flatnonzero(evidence < 0)
        return FallState(
            tuple(bets[-1].ravel().tolist()), state.entry, state.observations + len(x), float(clock[-1]),
            float(total[-1]), float(squares[-1]), max(state.peak, float(evidence.max())),
            first if state.alarm_at is None else state.alarm_at,
            int(seen[calm[-1]]) + 1 if len(calm) else state.calm_at,
        )  # fmt: skip

    def _begun(self, state: FallState) -> Floats:
        """What the bets have gathered, shape (ranges, bets); at the very beginning there is one row for all ranges."""
        shape = (len(self._ranges[0]), len(DEPTHS))
        return np.broadcast_to(np.reshape(state.bets, (-1, len(DEPTHS))), shape)

    def _weights(self, state: FallState, elapsed: Floats) -> Floats:
        """Logarithm of that with which a fall enters at each observation, shape (n, ranges or 1)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(elapsed / self.per_days)[:, None] + np.array(state.entry))

    def _factors(self, x: Floats, shown: Floats, assumed: Floats) -> Floats:
        """Logarithms of the bets' factors, shape (n, ranges, bets).

        The stake that is best for a normal distribution with the variance that is assumed, which for a coin is the
        likelihood ratio of the two levels. Where the values vary less than is assumed, or so little that this stake is
        bolder than allowed, the centre moves from the reference to the middle between reference and fallen, so that a
        small fall still wins nothing.
        """
        reference = self._ranges[0][:, None]
        way = reference - self.fallen
        middle = reference - way / 2
        shown = shown[:, :, None]
        stake = DEPTHS * way / assumed[:, :, None]
        centre = np.minimum(reference, middle + stake * shown / 2)
        moved = np.minimum(centre, middle + BOLDEST * shown / 2 / (1 - middle))
        centre = np.where(stake * (1 - centre) > BOLDEST, moved, centre)
        stake = np.minimum(stake, BOLDEST / (1 - centre))
        return np.asarray(np.log1p(stake * (centre - x[:, None, None])))

    def _variances(
        self, seen: npt.NDArray[np.int64], total: Floats, squares: Floats
    ) -> tuple[Floats, Floats]:
        """Variance that the observations before each one show, and the one to assume, which starts at a coin's.

        Both of shape (n, ranges), with a margin, and at most that of a coin with the reference as its mean: so chance
        does not move the stakes of what is a coin.
        """
        coin = self._ranges[0] * (1 - self._ranges[0])
        spread = MARGIN * np.maximum(squares - total**2 / np.maximum(seen, 1), 0)[:, None]
        number = seen[:, None]
        shown, assumed = spread / np.maximum(number, 1), (PRIOR * coin + spread) / (PRIOR + number)
        return np.minimum(shown, coin), np.minimum(assumed, coin)


def _gather(before: Floats, weights: Floats, factors: Floats) -> Floats:
    """Logarithm of every bet's evidence after each observation, shape (n, ranges, bets)."""
    sums = np.cumsum(factors, axis=0)
    entering = weights[:, :, None] - (sums - factors)
    entering[0] = np.logaddexp(entering[0], before)
    return np.asarray(sums + np.logaddexp.accumulate(entering, axis=0))


def _together(bets: Floats) -> Floats:
    """That of the mixture of bets, of the range of levels against which least speaks."""
    return np.asarray(np.logaddexp.reduce(bets + np.log(SHARES), axis=-1).min(axis=-1))


def _check(x: Floats, at: Floats) -> None:
    if x.ndim != 1 or x.shape != at.shape:
        raise ValueError(f"values and days must have one shape (n,), not {x.shape} and {at.shape}")
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("values must lie within [0, 1]: scale them by the contract's bounds")
    if not np.isfinite(at).all():
        raise ValueError("days must be finite numbers")
