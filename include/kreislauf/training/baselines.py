"""What costs nothing: predictions that every candidate must beat, on the same folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from include.kreislauf.preparation.splits import Fold
from include.kreislauf.training.design import Rows
from include.kreislauf.training.trials import Floats


def baselines(rows: Rows, folds: Sequence[Fold]) -> dict[str, dict[str, Floats]]:
    """By baseline and fold the predictions, in the form of :class:`~include.kreislauf.training.trials.Trial`.

    ``persistence`` predicts no change; ``momentum`` the entity's last known change (the mean of its period, where it has
    several rows in one), 0 if there is none; ``drift`` is what ``prior`` is called for changes: these need time. ``prior``
    is the mean target, or the shares of the classes, of the rows learnt from.
    """
    if rows.design.task == "classification":
        return {"prior": {fold.label: _shares(rows, fold) for fold in folds}}
    prior = {fold.label: _mean(rows, fold) for fold in folds}
    if rows.design.period is None:
        return {"prior": prior}
    return {
        "persistence": {fold.label: np.zeros(fold.predict.size) for fold in folds},
        "momentum": _momentum(rows, folds),
        "drift": prior,
        "prior": prior,
    }


def _mean(rows: Rows, fold: Fold) -> Floats:
    return np.full(fold.predict.size, float(rows.outcomes[fold.learn].mean()), dtype=np.float64)


def _shares(rows: Rows, fold: Fold) -> Floats:
    counts = np.bincount(rows.outcomes[fold.learn].astype(np.intp), minlength=len(rows.classes))
    return np.tile(counts / counts.sum(), (fold.predict.size, 1))


def _momentum(rows: Rows, folds: Sequence[Fold]) -> dict[str, Floats]:
    keys = pd.MultiIndex.from_arrays([rows.frame["entity"], rows.times])
    known = pd.Series(rows.outcomes, index=keys).groupby(level=[0, 1]).mean()
    before = pd.MultiIndex.from_arrays([rows.frame["entity"], rows.times - rows.design.purge])
    values: Floats = np.asarray(known.reindex(before).fillna(0.0), dtype=np.float64)
    return {fold.label: values[fold.predict] for fold in folds}
