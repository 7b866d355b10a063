"""The mean and the stack of the best configurations of several families.

Their predictions are weighted means of their members' predictions, so held-out predictions of the members are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.search import Searched
from include.kreislauf.training.trials import Floats

MEMBERS = 3
"""How many families take part: the best in the search."""
LEAST_WEIGHT = 0.02
"""Members of a stack that would weigh less are left out."""


def ensembles(
    kinds: Sequence[str], searched: Sequence[Searched], outcomes: Mapping[str, Floats]
) -> list[Candidate]:
    """The ensembles that can be made of a search's results; none of fewer than two families.

    Parameters
    ----------
    kinds: ``mean`` (equal weights), ``stack`` (weights that would have been best in the search).
    outcomes: what happened, by fold of the search.

    Source for the stack: Breiman, Stacked regressions, Machine Learning 24 (1996): weights that are not negative.
    """  # fmt: skip
    ranked = sorted((one for one in searched if one.best), key=_loss)[:MEMBERS]
    if len(ranked) < 2:
        return []
    equal: Floats = np.full(len(ranked), 1 / len(ranked), dtype=np.float64)
    found = [(kind, equal if kind == "mean" else _stack(ranked, outcomes)) for kind in kinds]
    return [_candidate(kind, ranked, weights) for kind, weights in found if weights is not None]


def weights_of(candidate: Candidate) -> dict[str, float]:
    """By member, its weight; none for a candidate that is no ensemble."""
    return dict(candidate.params["weights"]) if is_ensemble(candidate) else {}


def is_ensemble(candidate: Candidate) -> bool:
    """Whether it is made of others."""
    return candidate.family in ("mean", "stack")


def combined(candidate: Candidate, predictions: Mapping[str, Floats]) -> Floats:
    """Its predictions from those of its members, by their names."""
    weights = weights_of(candidate)  # rounded: their sum is not exactly 1, and the pipeline divides by it
    parts = [predictions[name] for name in weights]
    return np.asarray(np.average(parts, axis=0, weights=list(weights.values())), dtype=np.float64)


def assemble(candidate: Candidate, members: Mapping[str, Pipeline], rows: Rows) -> Pipeline:
    """One pipeline of fitted members; they share their encoder, and are not fitted again."""
    weights = weights_of(candidate)
    # n_jobs=1 below: other processes would give back copies of the members, and the file would hold them twice
    parts = [(f"member_{n}", FrozenEstimator(members[name]["model"])) for n, name in enumerate(weights)]
    encode = members[next(iter(weights))]["encode"]
    if rows.design.task == "regression":
        model = VotingRegressor(parts, weights=list(weights.values()), n_jobs=1)
    else:
        model = VotingClassifier(parts, voting="soft", weights=list(weights.values()), n_jobs=1)
    known = getattr(parts[0][1].estimator, "classes_", rows.outcomes[:1])
    few = np.concatenate([np.flatnonzero(rows.outcomes == value)[:1] for value in known])
    model.fit(
        encode.transform(rows.features(few)), rows.outcomes[few]
    )  # only learns the classes, those of its members
    return Pipeline([("encode", encode), ("model", model)])


def _loss(searched: Searched) -> tuple[bool, float, str]:
    """Compared on all folds where possible; those that never predicted one come last."""
    loss, folds = searched.losses.get(searched.best.name if searched.best else "", (0.0, 0))
    return folds < searched.folds or not folds, loss, searched.family


def _stack(ranked: Sequence[Searched], outcomes: Mapping[str, Floats]) -> Floats | None:
    """Weights with the least squared error over the folds that all have predicted; ``None`` without two members."""
    shared = sorted(set.intersection(*(set(one.predictions) for one in ranked)))
    if not shared:
        return None
    columns = [np.concatenate([one.predictions[label] for label in shared]) for one in ranked]
    truth = np.concatenate([outcomes[label] for label in shared])
    if columns[0].ndim == 2:  # probabilities: the truth is 1 for the class that happened
        truth = np.eye(columns[0].shape[1])[truth.astype(np.intp)].reshape(-1)
        columns = [column.reshape(-1) for column in columns]
    weights, _ = nnls(np.column_stack(columns), truth)
    weights = np.where(weights < LEAST_WEIGHT * max(weights.sum(), 1e-12), 0.0, weights)
    return (
        weights / weights.sum() if np.count_nonzero(weights) > 1 else None
    )  # one alone is a candidate already


def _candidate(kind: str, ranked: Sequence[Searched], weights: Floats) -> Candidate:
    named: dict[str, Any] = {
        one.best.name: round(float(weight), 6) for one, weight in zip(ranked, weights, strict=True) if one.best and weight > 0
    }  # fmt: skip
    return Candidate(f"{kind}:{'+'.join(name.split(':')[0] for name in named)}", kind, {"weights": named})
