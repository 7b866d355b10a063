"""The business metric of a recommendation: one function for gate, canary, monitoring and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

import numpy as np
from numpy.typing import ArrayLike


def portfolio_uplift(
    predicted: ArrayLike, realised: ArrayLike, top: int = 10, *, names: Sequence[str]
) -> float:
    """Mean realised growth of the recommended entities minus the mean of all.

    Recommended are the ``top`` entities with the highest prediction, equal predictions in the order of their
    names, so the result does not depend on the order of the rows. The recommendation comes before the
    outcome: a recommended entity whose outcome is missing is not replaced, it only does not count.

    Parameters
    ----------
    predicted: shape (n,), predicted growth in one period; NaN if the model does not know the entity. Such an
        entity is never recommended, but counts in "all".
    realised: shape (n,), growth that really happened, in the same unit; NaN if it is not known.
    top: how many entities are recommended; if fewer are predicted, all of those.
    names: shape (n,), the entities.

    Returns
    -------
    The uplift in the unit of ``realised``; NaN if nothing was recommended or no outcome is known.

    Raises
    ------
    ValueError: lengths differ, a name is repeated, or ``top`` is below 1.
    """
    growth = np.asarray(realised, dtype=np.float64)
    chosen = [name for name, _ in recommended(predicted, names, top)]
    if len(growth) != len(names):
        raise ValueError(f"{len(names)} names but {len(growth)} realised values")
    known = {name: value for name, value in zip(names, growth.tolist(), strict=True) if not isnan(value)}
    portfolio = [known[name] for name in chosen if name in known]
    if not portfolio:
        return nan
    return float(np.mean(portfolio) - np.mean([known[name] for name in sorted(known)]))


def recommended(predicted: ArrayLike, names: Sequence[str], top: int = 10) -> list[tuple[str, float]]:
    """The ``top`` (name, prediction) pairs with the highest prediction, best first; NaN is never recommended.

    Raises
    ------
    ValueError: lengths differ, a name is repeated, or ``top`` is below 1.
    """
    values = np.asarray(predicted, dtype=np.float64).tolist()
    if len(values) != len(names):
        raise ValueError(f"{len(names)} names but {len(values)} predictions")
    if len(set(names)) != len(names):
        raise ValueError("a name is repeated: one row per entity and period is needed")
    if top < 1:
        raise ValueError(f"top must be at least 1, not {top}")
    pairs = [(name, value) for name, value in zip(names, values, strict=True) if not isnan(value)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:top]
