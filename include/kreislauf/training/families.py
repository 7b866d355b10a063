"""Model families by name. A new family is one entry in :data:`FAMILIES`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline

from include.kreislauf.errors import TrainingError
from include.kreislauf.preparation.encoder import FeatureEncoder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Family as Declared
from include.kreislauf.statistics.metrics import Task
from include.kreislauf.training.design import Design

Params = Mapping[str, Any]
Build = Callable[[Params, int], BaseEstimator]
WHERE = "contract: training.candidates"


@dataclass(frozen=True)
class Family:
    """A kind of model and the space that is searched.

    Parameters
    ----------
    name: as in the contract.
    complexity: order of simplicity; of two equally good models the one with the smaller number wins.
    builders: by task, the estimator from parameters and a seed, single-threaded, so that candidates can be trained
        in parallel.
    space: values to try by parameter, the default first.
    size: an integer parameter that a fit's cost grows with and that only takes out noise; the search starts with less.
    """

    name: str
    complexity: int
    builders: Mapping[Task, Build]
    space: Mapping[str, tuple[Any, ...]]
    size: str = ""


@dataclass(frozen=True)
class Candidate:
    """One configuration of one family; ``name`` is ``family:what differs from the default``."""

    name: str
    family: str
    params: Params

    @property
    def complexity(self) -> int:
        """Rank of simplicity; smaller is simpler. What is made of several models comes last."""
        return FAMILIES[self.family].complexity if self.family in FAMILIES else 100


def _seeded(made: type[BaseEstimator], **fixed: Any) -> Build:
    return lambda params, seed: made(**{**fixed, **params}, random_state=seed)


def _logistic(params: Params, seed: int) -> BaseEstimator:
    given = {"max_iter": 1000, "C": 1.0 / params["alpha"], **params}
    del given["alpha"]
    return LogisticRegression(**given, random_state=seed)


def _knn(made: type[BaseEstimator]) -> Build:
    return lambda params, _seed: made(**params, n_jobs=1)


_FOREST = {
    "min_samples_leaf": (8, 15, 4, 30), "max_features": (0.3, 0.5, 0.15, 0.8), "n_estimators": (150,),
}  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "ridge", 1, {"regression": _seeded(Ridge), "classification": _logistic},
            {"alpha": (100.0, 300.0, 30.0, 1000.0, 10.0, 3000.0, 3.0, 1.0)},
        ),
        Family(
            "nearest_neighbours", 2,
            {"regression": _knn(KNeighborsRegressor), "classification": _knn(KNeighborsClassifier)},
            {"n_neighbors": (40, 20, 80, 10), "weights": ("distance", "uniform"), "p": (2, 1)},
        ),
        Family(
            "random_forest", 3,
            {
                "regression": _seeded(RandomForestRegressor, n_jobs=1),
                "classification": _seeded(RandomForestClassifier, n_jobs=1),
            },
            _FOREST, size="n_estimators",
        ),
        Family(
            "extra_trees", 4,
            {
                "regression": _seeded(ExtraTreesRegressor, n_jobs=1),
                "classification": _seeded(ExtraTreesClassifier, n_jobs=1),
            },
            _FOREST, size="n_estimators",
        ),
        Family(
            "hist_gradient_boosting", 5,
            {
                "regression": _seeded(HistGradientBoostingRegressor, early_stopping=False),
                "classification": _seeded(HistGradientBoostingClassifier, early_stopping=False),
            },
            {
                "max_iter": (100, 60, 200), "learning_rate": (0.03, 0.06), "max_leaf_nodes": (6, 10, 4),
                "min_samples_leaf": (20, 40), "l2_regularization": (20.0, 1.0), "max_features": (0.3, 0.6),
            },
        ),
    )
}  # fmt: skip
ALIASES: Mapping[str, str] = {"logistic": "ridge", "knn": "nearest_neighbours"}
"""Other names of families, as the field knows them."""


def family(name: str) -> Family:
    """The registered family.

    Raises
    ------
    TrainingError: no family has this name.
    """
    found = FAMILIES.get(ALIASES.get(name, name))
    if found is None:
        raise TrainingError(
            f"unknown model family {name!r}", where=WHERE, allowed=sorted([*FAMILIES, *ALIASES]),
            next_step="use one of these names, or register the family in kreislauf/training/families.py",
        )  # fmt: skip
    return found


def configurations(declared: Declared, task: Task, count: int, seed: int) -> tuple[Candidate, ...]:
    """The first ``count`` configurations of a family: the default, then others in a random order that is always the same.

    Raises
    ------
    TrainingError: the family is unknown, or a parameter of its space is.
    """
    found = family(declared.family)
    space = {**found.space, **declared.space}
    _require_known(found, declared.space, task, seed)
    names = list(space)
    others = [dict(zip(names, values, strict=True)) for values in itertools.product(*space.values())]
    default, rest = others[0], others[1:]
    random.Random(seed).shuffle(rest)  # noqa: S311 - a search, no secret
    return tuple(_candidate(found, params, default) for params in [default, *rest][:count])


def check_declared(contract: Contract) -> None:
    """Whether every family and parameter that a contract names is known.

    Raises
    ------
    TrainingError: one is not; names what is allowed.
    """
    for declared in contract.training.candidates:
        configurations(declared, contract.problem.task, 1, contract.training.seed)


def size_of_space(declared: Declared) -> int:
    """How many configurations a family has in all."""
    sizes = [len(values) for values in {**family(declared.family).space, **declared.space}.values()]
    product = 1
    for size in sizes:
        product *= size
    return product


def pipeline(candidate: Candidate, design: Design, seed: int) -> Pipeline:
    """Unfitted pipeline: ``encode`` (see :class:`~include.kreislauf.preparation.encoder.FeatureEncoder`) → ``model``.

    Raises
    ------
    TrainingError: no family has the candidate's name.
    """
    model = family(candidate.family).builders[design.task](candidate.params, seed)
    return Pipeline([("encode", FeatureEncoder(design.numeric, design.categorical)), ("model", model)])


def reduced(candidate: Candidate, share: float) -> Candidate:
    """The candidate with a share of its size, where its family has one; for the first rounds of a search."""
    size = FAMILIES[candidate.family].size
    if not size or share >= 1:
        return candidate
    smaller = {**candidate.params, size: max(1, round(candidate.params[size] * share))}
    return Candidate(candidate.name, candidate.family, smaller)


def _candidate(found: Family, params: dict[str, Any], default: dict[str, Any]) -> Candidate:
    different = [f"{name}={value}" for name, value in params.items() if value != default[name]]
    return Candidate(f"{found.name}:{','.join(different) or 'default'}", found.name, params)


def _require_known(found: Family, wanted: Mapping[str, Sequence[Any]], task: Task, seed: int) -> None:
    model = found.builders[task]({name: values[0] for name, values in found.space.items()}, seed)
    known = (set(model.get_params()) | set(found.space)) - {"random_state", "n_jobs"}
    if unknown := sorted(set(wanted) - known):
        raise TrainingError(
            f"family {found.name} has no parameter {', '.join(unknown)}", where=f"{WHERE}: space",
            allowed=sorted(known),
        )  # fmt: skip
    if repeated := sorted(name for name, values in wanted.items() if len({*map(repr, values)}) < len(values)):
        raise TrainingError(
            f"a value of {', '.join(repeated)} is named twice",
            where=f"{WHERE}: space",
            allowed="each value once",
        )
