"""Whether values are still spread as they were: profiles of columns, the population stability index, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ncx2, norm

from include.kreislauf.statistics.intervals import Interval

BINS = 10
MAX_CATEGORIES = 30
"""Rarer categories of a profile count together."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Profile:
    """How one column was spread: counts by bin, by which other values of it can be counted.

    Parameters
    ----------
    edges: of a numeric column, the upper ends of its bins; above the last is a bin more, and one for what is missing.
    categories: of a categorical column, those with a bin of their own; one bin more is for all others.
    counts: per bin.
    """

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def of_numbers(cls, values: Iterable[float | None]) -> Profile:
        """The profile of numbers: tenths, and what lies below and above all of them."""
        found = _numbers(values)
        known = found[np.isfinite(found)]
        tenths = np.quantile(known, np.linspace(0.1, 1, BINS)) if known.size else np.array([0.0])
        below = np.nextafter(known.min(), -np.inf) if known.size else -1.0
        empty = cls((), tuple(np.unique([below, *tenths]).tolist()))
        return cls(tuple(empty.count(found.tolist()).tolist()), empty.edges)

    @classmethod
    def of_categories(cls, values: Iterable[str | None]) -> Profile:
        """The profile of texts: the most frequent ones."""
        found = list(values)
        often = Counter(one for one in found if one is not None).most_common(MAX_CATEGORIES)
        empty = cls((), categories=tuple(sorted(name for name, _ in often)))
        return cls(tuple(empty.count(found).tolist()), categories=empty.categories)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Profile:
        """What :meth:`to_dict` gave."""
        return cls(**{name: tuple(values) for name, values in found.items()})

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def scaled(self, factor: float) -> Profile:
        """The profile of a sample that is worth fewer independent values than it has."""
        return replace(self, counts=tuple(round(one * factor) for one in self.counts))

    def count(self, values: Sequence[Any]) -> Ints:
        """How many values fall into each of the bins."""
        if not self.edges:
            place: dict[str | None, int] = {name: number for number, name in enumerate(self.categories)}
            texts = (one if isinstance(one, str) else None for one in values)
            places = np.array([place.get(one, len(place)) for one in texts], dtype=np.intp)
            return np.bincount(places, minlength=len(place) + 1)
        numbers = _numbers(values)
        places = np.searchsorted(np.array(self.edges), numbers, side="left")
        places = np.where(np.isnan(numbers), len(self.edges) + 1, places)
        return np.bincount(places, minlength=len(self.edges) + 2)


@dataclass(frozen=True)
class Shift:
    """How far a column has moved.

    Parameters
    ----------
    index: population stability index, 0 where nothing has moved.
    chance: greatest probability of so high an index, or a higher one, if the true one is not above the limit.
    """

    index: float
    chance: float


def shift(before: Profile, values: Sequence[Any], limit: float, size: float) -> Shift:
    """The population stability index of values against a profile, and how sure it is that it lies above a limit.

    Times ``1 / (1/n + 1/m)`` the index follows a chi-squared distribution with bins - 1 degrees of freedom, which is not
    central where the true index is not zero. Empty bins are filled as if a few more values had come, spread as before:
    that pulls the index down, never up.

    Parameters
    ----------
    limit: of the true index, above 0.
    size: how many independent values these are worth, see :func:`effective_size`.

    Source: Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model
    Validation 14 (2020) 89-100; Lewis, An Introduction to Credit Scoring, 1994 (the index).
    """
    counts = np.array(before.counts, dtype=np.float64)
    bins, total = len(counts), counts.sum()
    expected = (counts + 0.5) / (total + bins / 2)
    found = (before.count(values) * (size / len(values)) + bins / 2 * expected) / (size + bins / 2)
    index = float(((found - expected) * np.log(found / expected)).sum())
    unit = 1 / size + 1 / max(total, 1.0)
    return Shift(index, float(ncx2.sf(index / unit, bins - 1, limit / unit)))


def effective_size(names: Iterable[Hashable]) -> float:
    """How many independent ones a sample is worth whose members of one name are all the same.

    Source: Kish, Survey Sampling, 1965, section 11.7: the square of the sum of weights over the sum of their squares.
    """
    counts = Counter(names).values()
    total, squares = sum(counts), sum(one * one for one in counts)
    return total * total / squares if squares else 0.0


def share_of(share: float, size: float, confidence: float) -> Interval:
    """A share with an interval whose ends each hold with a one-sided confidence; ``size`` need not be whole.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22 (1927) 209-212.
    """
    z = float(norm.ppf(confidence))
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    return Interval(max(0.0, float(middle - half)), share, min(1.0, float(middle + half)), 2 * confidence - 1)


def windows(rows: int, smallest: int, largest: int, growth: float = 2.0) -> list[int]:
    """Sizes of the newest windows to look at, each larger than the one before: a change shows first in a small one."""
    found, size = [], float(smallest)
    while round(size) <= min(rows, largest):
        found.append(round(size))
        size *= growth
    return found


def _numbers(values: Iterable[Any]) -> Floats:
    """What is missing, infinite or no number as NaN."""
    found = np.array([one if isinstance(one, int | float) else np.nan for one in values], dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)
