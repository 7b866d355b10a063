"""Probabilities corrected by predictions of rows that were not learnt from: one model, and one correction of it.

Sources: Platt, Probabilistic outputs for support vector machines, 1999 (sigmoid); Zadrozny and Elkan, Transforming
classifier scores into accurate multiclass probability estimates, KDD 2002 (isotonic, one class against the rest); for
the parts in time with the rows around them left out, López de Prado, Advances in Financial Machine Learning, 2018,
section 7.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from include.kreislauf.training.design import Rows

Ints = npt.NDArray[np.int64]
Method = Literal["none", "sigmoid", "isotonic"]
Part = tuple[Ints, Ints]
"""Positions, within the rows learnt from, of those that a part's model learns from, and of those that it predicts."""
PARTS = 5
FITS = PARTS + 1
"""So many times the estimator is fitted where its probabilities are corrected."""
LEAST: Mapping[Method, int] = {"none": 0, "sigmoid": 20, "isotonic": 1000}
"""Rows of the rarest class that a correction needs; with fewer it would learn chance.

For isotonic after the guide of scikit-learn: it overfits with much fewer than a thousand.
"""


def method_for(rows: Rows, learn: Ints, wanted: Method) -> tuple[Method, str]:
    """The correction that some rows carry: the wanted one, else the next simpler; and why it is not the wanted one."""
    if wanted == "none" or not rows.classes:
        return "none", ""
    counts = np.unique(rows.outcomes[learn], return_counts=True)[1]
    rarest = int(counts.min())
    for method in ("isotonic", "sigmoid"):
        if LEAST[method] > LEAST[wanted] or rarest < LEAST[method]:
            continue
        if parts_of(rows, learn):
            return method, "" if method == wanted else _too_few(wanted, rarest)
        return "none", "a part of the rows in time lacks a class"
    return "none", _too_few(wanted, rarest)


def _too_few(wanted: Method, rarest: int) -> str:
    return f"{rarest} rows of the rarest class, {wanted} needs {LEAST[wanted]}"


def calibrated(estimator: BaseEstimator, rows: Rows, learn: Ints, method: Method) -> Any:
    """The estimator, to be fitted on the rows ``learn`` in their order, with its correction; as it is with ``none``."""
    if method == "none":
        return estimator
    return CalibratedClassifierCV(estimator, method=method, cv=parts_of(rows, learn), ensemble=False)


def parts_of(rows: Rows, learn: Ints) -> list[Part]:
    """Parts that each predict some of the rows, and all of them once; none where one of them could not learn each class.

    With time a part is a stretch of periods, and the periods whose targets overlap with it are not learnt from; without
    it parts have equal shares of the classes and whole groups.
    """
    found = _in_time(rows, learn) if rows.design.period else _mixed(rows, learn)
    wanted = len(np.unique(rows.outcomes[learn]))
    whole = all(len(np.unique(rows.outcomes[learn[part]])) == wanted for part, _ in found)
    return found if whole and len(found) > 1 else []


def _in_time(rows: Rows, learn: Ints) -> list[Part]:
    times, purge = rows.times[learn], rows.design.purge
    stretches = [one for one in np.array_split(np.unique(times), PARTS) if one.size]
    return [
        (np.flatnonzero((times + purge <= one[0]) | (times >= one[-1] + purge)), np.flatnonzero((times >= one[0]) & (times <= one[-1])))
        for one in stretches
    ]  # fmt: skip


def _mixed(rows: Rows, learn: Ints) -> list[Part]:
    outcomes, groups = rows.outcomes[learn], rows.groups
    own = None if groups is None else [groups[one] for one in learn.tolist()]
    if own is not None and len(set(own)) < PARTS:
        return []
    splitter = StratifiedKFold if own is None else StratifiedGroupKFold
    return list(splitter(PARTS, shuffle=True, random_state=0).split(outcomes, outcomes, own))
