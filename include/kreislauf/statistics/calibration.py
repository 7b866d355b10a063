"""Whether probabilities are what they say: how often what was given a probability really happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10
DRAWS = 2000
SURE = 0.95
"""Share of calibrated models whose measured error stays within the allowance for chance."""


@dataclass(frozen=True)
class Reliability:
    """Rows in bins of about equal count, by their probability.

    Parameters
    ----------
    said, came: by bin the mean probability, and the share that happened.
    rows: by bin their number.
    spread: by bin the standard deviation that the share would have if each probability were true.
    """

    said: Floats
    came: Floats
    rows: Floats
    spread: Floats

    @property
    def error(self) -> float:
        """The expected calibration error: by how much share and probability differ, in the mean of the rows.

        Source: Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015.
        """
        return float(np.average(np.abs(self.came - self.said), weights=self.rows))

    @property
    def by_chance(self) -> float:
        """An error that a calibrated model reaches by chance alone with 5 % probability only.

        Source: Broecker and Smith, Increasing the reliability of reliability diagrams, Weather and Forecasting 22 (2007).
        """
        drawn = np.abs(np.random.default_rng(0).normal(size=(DRAWS, self.spread.size))) * self.spread
        return float(np.quantile(np.average(drawn, axis=1, weights=self.rows), SURE))


def reliability(probability: npt.ArrayLike, happened: npt.ArrayLike, bins: int = BINS) -> Reliability:
    """How probabilities (n,) compare with what happened (n,), 1 or 0, in at most so many bins.

    Raises
    ------
    ValueError: there are no rows, or shapes differ.
    """
    said, came = (np.asarray(one, dtype=np.float64) for one in (probability, happened))
    if said.shape != came.shape or said.ndim != 1 or not said.size:
        raise ValueError("probabilities and what happened must be of the same rows, one at least")
    # equal probabilities stay in one bin, so that the order of the rows makes no difference
    edges = np.unique(np.percentile(said, np.linspace(0, 1, bins + 1)[1:-1] * 100))
    place = np.searchsorted(edges, said, side="left")
    counts = np.bincount(place)
    used = counts > 0
    sums = (np.bincount(place, one)[used] / counts[used] for one in (said, came, said * (1 - said)))
    mean, share, variance = sums
    return Reliability(mean, share, counts[used].astype(np.float64), np.sqrt(variance / counts[used]))


def of_classes(outcome: Floats, probabilities: Floats) -> Reliability:
    """Of probabilities (n, classes) and positions (n,): of two classes that of the second; of more that of the most
    probable one, and whether it happened.

    Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017.
    """
    if probabilities.shape[1] == 2:
        return reliability(probabilities[:, 1], outcome == 1)
    likely = probabilities.argmax(axis=1)
    return reliability(probabilities.max(axis=1), outcome.astype(np.intp) == likely)
