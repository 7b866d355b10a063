"""Model families by name. A new family is one entry in :data:`FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from include.kreislauf.errors import TrainingError

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of model and the configurations that are tried.

    Parameters
    ----------
    name: as in the contract.
    complexity: order of simplicity; of two equally good models the one with the smaller number wins.
    build: the estimator from parameters and a seed, single-threaded, so that candidates can be trained in
        parallel.
    configurations: parameters by short name, the default first; how many are tried is the search's breadth.
    """

    name: str
    complexity: int
    build: Callable[[Params, int], RegressorMixin]
    configurations: Mapping[str, Params]


def _ridge(params: Params, seed: int) -> RegressorMixin:
    return Ridge(**params, random_state=seed)


def _random_forest(params: Params, seed: int) -> RegressorMixin:
    return RandomForestRegressor(**params, n_jobs=1, random_state=seed)


def _hist_gradient_boosting(params: Params, seed: int) -> RegressorMixin:
    return HistGradientBoostingRegressor(**params, early_stopping=False, random_state=seed)


def _mean(params: Params, seed: int) -> RegressorMixin:
    """Plain mean of the families named in ``of``, each in its default configuration."""
    members = [FAMILIES[name] for name in params["of"]]
    return VotingRegressor([(m.name, m.build(next(iter(m.configurations.values())), seed)) for m in members])


_FOREST = {"n_estimators": 150, "min_samples_leaf": 15, "max_features": 0.25}
_BOOSTING = {
    "max_iter": 60, "learning_rate": 0.03, "max_leaf_nodes": 6, "min_samples_leaf": 20,
    "l2_regularization": 20.0, "max_features": 0.3,
}  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("ridge", 1, _ridge, {
            "alpha300": {"alpha": 300.0}, "alpha30": {"alpha": 30.0}, "alpha100": {"alpha": 100.0},
            "alpha1000": {"alpha": 1000.0},
        }),
        Family("random_forest", 2, _random_forest, {
            "leaf15": _FOREST, "leaf8": {**_FOREST, "min_samples_leaf": 8},
            "leaf30": {**_FOREST, "min_samples_leaf": 30}, "leaf15wide": {**_FOREST, "max_features": 0.5},
        }),
        Family("hist_gradient_boosting", 3, _hist_gradient_boosting, {
            "squared60": _BOOSTING, "absolute80": {**_BOOSTING, "loss": "absolute_error", "max_iter": 80},
            "squared120": {**_BOOSTING, "max_iter": 120}, "squared30": {**_BOOSTING, "max_iter": 30},
        }),
        Family("mean_of_families", 4, _mean, {
            "three": {"of": ["ridge", "random_forest", "hist_gradient_boosting"]},
        }),
    )
}  # fmt: skip


def family(name: str) -> Family:
    """The registered family.

    Raises
    ------
    TrainingError: no family has this name.
    """
    if name not in FAMILIES:
        raise TrainingError(
            f"unknown model family {name!r}", where="contract: training.candidates", allowed=sorted(FAMILIES),
            next_step="use one of these names, or register the family in kreislauf/training/families.py",
        )  # fmt: skip
    return FAMILIES[name]


def pipeline(
    name: str, params: Params, numeric: Sequence[str], categorical: Sequence[str], seed: int
) -> Pipeline:
    """Unfitted pipeline: ``encode`` (scaled numbers, one-hot categories; unseen ones all zero) → ``model``.

    Raises
    ------
    TrainingError: no family has this name.
    """
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = ColumnTransformer(
        [("numeric", StandardScaler(), list(numeric)), ("categorical", one_hot, list(categorical))],
        verbose_feature_names_out=False,
    )
    return Pipeline([("encode", encode), ("model", family(name).build(params, seed))])
