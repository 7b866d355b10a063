"""How closely a feature goes with the target, between 0 and 1 (signed where both are numbers), by rank.

A measure per pair of kinds, each of which is 1 where the feature alone tells the target:

- numbers: Spearman's rank correlation;
- a number and classes: how much the classes' mean ranks differ, over the most that they could. Of two classes it is
  the rank-biserial correlation, twice the area under the ROC curve minus one (Glass, 1966);
- a category and a number: the correlation ratio of the number's ranks;
- two categories: Cramér's V (Cramér, Mathematical Methods of Statistics, 1946).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

UNITS = {
    (True, False): "rank correlation", (True, True): "rank-biserial correlation",
    (False, False): "correlation ratio", (False, True): "Cramér's V",
}  # fmt: skip


def association(values: pd.Series, target: pd.Series, *, classes: bool) -> tuple[float, str]:
    """How closely the values go with the target, and the name of the measure; 0 where one of them is constant.

    Parameters
    ----------
    values: a feature, numbers or text; none missing.
    target: numbers, or positions of classes; none missing.
    classes: which of the two.
    """
    numeric = pd.api.types.is_numeric_dtype(values)
    unit = UNITS[numeric, classes]
    if values.nunique() < 2 or target.nunique() < 2:
        return 0.0, unit
    return _MEASURES[numeric, classes](values, target), unit


def _rank_correlation(values: pd.Series, target: pd.Series) -> float:
    return float(np.corrcoef(values.rank(), target.rank())[0, 1])


def _ratio_of_ranks(values: pd.Series, classes: pd.Series) -> float:
    ranks = values.rank()
    means = ranks.groupby(classes).mean()
    order = classes.map(means.rank(method="first")).sort_values(ignore_index=True)
    best = pd.Series(np.arange(1.0, len(order) + 1)).groupby(order).transform("mean")
    return float(np.sqrt(_spread(classes.map(means), ranks) / _spread(best, ranks)))


def _correlation_ratio(values: pd.Series, target: pd.Series) -> float:
    ranks = target.rank()
    means = ranks.groupby(values.to_numpy()).transform("mean")
    return float(np.sqrt(_spread(means, ranks) / _spread(ranks, ranks)))


def _cramers_v(values: pd.Series, classes: pd.Series) -> float:
    table = pd.crosstab(values.to_numpy(), classes.to_numpy()).to_numpy("float64")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi_squared = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_squared / table.sum() / (min(table.shape) - 1)))


def _spread(values: pd.Series, ranks: pd.Series) -> float:
    """Sum of squares about the mean rank."""
    return float(((values.to_numpy() - ranks.mean()) ** 2).sum())


_MEASURES: dict[tuple[bool, bool], Callable[[pd.Series, pd.Series], float]] = {
    (True, False): _rank_correlation,
    (True, True): _ratio_of_ranks,
    (False, False): _correlation_ratio,
    (False, True): _cramers_v,
}
