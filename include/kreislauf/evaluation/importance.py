"""Permutation importance of a candidate's features on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline

from include.kreislauf.evaluation.models import Importance
from include.kreislauf.preparation.splits import Splits
from include.kreislauf.statistics.metrics import Metric
from include.kreislauf.store.disk import hash_file
from include.kreislauf.training.calibration import Method
from include.kreislauf.training.design import Rows
from include.kreislauf.training.ensembles import assemble, is_ensemble, weights_of
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.parallel import one_thread
from include.kreislauf.training.trials import Floats, fit, shown

REPEATS = 3
OWN_CODE = hash_file(Path(__file__))
"""Trials, beside which importances are kept, know of the code of training alone."""
Once = Callable[[Sequence[Any], Callable[[], Floats]], Floats]


def importances(
    rows: Rows,
    splits: Splits,
    candidate: Candidate,
    members: dict[str, Candidate],
    metric: Metric,
    seed: int,
    calibration: Method = "none",
    once: Once = lambda _, make: make(),
) -> tuple[Importance, ...]:
    """By how much each feature's permutation over the held-out rows raises the error; most important first.

    The model is fitted once, on what was known before the first held-out prediction, so no permuted row was learnt.

    Parameters
    ----------
    members: candidates by name, for an ensemble.
    once: makes numbers, or knows them: those of the same candidate, rows, folds, metric and seed are the same.

    Source: Breiman, Random forests, Machine Learning 45 (2001), section 10; Fisher, Rudin and Dominici, All models are
    wrong, but many are useful, JMLR 20 (2019), for any model.
    """  # fmt: skip
    parts = {name: dict(members[name].params) for name in weights_of(candidate)}
    what = [
        "importances", OWN_CODE, candidate.family, dict(candidate.params), parts, metric.name, seed, calibration,
        [[fold.label, fold.learn.size, fold.predict.size] for fold in splits.held_out],
    ]  # fmt: skip
    found = once(what, lambda: _permuted(rows, splits, candidate, members, metric, seed, calibration))
    made = [
        Importance(feature=name, mean=float(mean), deviation=float(deviation))
        for name, (mean, deviation) in zip(rows.design.names, found, strict=True)
    ]
    return tuple(sorted(made, key=lambda one: (-one.mean, one.feature)))


def _permuted(
    rows: Rows,
    splits: Splits,
    candidate: Candidate,
    members: dict[str, Candidate],
    metric: Metric,
    seed: int,
    calibration: Method,
) -> Floats:
    """By feature, the mean and the deviation of what its permutations cost."""
    learn = splits.held_out[0].learn
    predicted = np.concatenate([fold.predict for fold in splits.held_out])

    def score(fitted: Pipeline, features: pd.DataFrame, outcomes: np.ndarray) -> float:
        return -metric.total(float(metric.losses(outcomes, shown(fitted, rows, features)).mean()))

    with one_thread():
        model = _model(rows, candidate, members, learn, seed, calibration)
        found = permutation_importance(
            model, rows.features(predicted), rows.outcomes[predicted], scoring=score, n_repeats=REPEATS, random_state=seed
        )  # fmt: skip
    return np.column_stack([found.importances_mean, found.importances_std])


def _model(
    rows: Rows,
    candidate: Candidate,
    members: dict[str, Candidate],
    learn: np.ndarray,
    seed: int,
    calibration: Method,
) -> Pipeline:
    if not is_ensemble(candidate):
        return fit(rows, candidate, learn, seed, calibration)
    fitted = {name: fit(rows, members[name], learn, seed, calibration) for name in weights_of(candidate)}
    return assemble(candidate, fitted, rows)
