"""A fitted scikit-learn pipeline, compiled: its encoder to a plan, its trees by treelite, its sums as numbers.

Source of the trees' evaluation: Cho and Li, Treelite: toolbox for decision tree deployment, SysML (2018).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from sklearn import ensemble, linear_model
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from include.kreislauf.inference.compiled import (
    Calibrated,
    CompiledError,
    CompiledModel,
    Description,
    Forest,
    Isotonic,
    Linear,
    Link,
    Member,
    NotCompilable,
    Sigmoid,
    from_files,
)
from include.kreislauf.inference.planning import plan

# By exact type: a subclass may predict otherwise.
LINEAR = (
    linear_model.LinearRegression, linear_model.Ridge, linear_model.RidgeCV, linear_model.Lasso,
    linear_model.LassoCV, linear_model.ElasticNet, linear_model.ElasticNetCV, linear_model.BayesianRidge,
    linear_model.HuberRegressor, linear_model.SGDRegressor, linear_model.QuantileRegressor,
)  # fmt: skip
FORESTS = (
    ensemble.RandomForestRegressor, ensemble.RandomForestClassifier, ensemble.ExtraTreesRegressor,
    ensemble.ExtraTreesClassifier,
)  # fmt: skip
BOOSTED = (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)
HISTOGRAM = (ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier)
VOTING = (ensemble.VotingRegressor, ensemble.VotingClassifier)
Trees = dict[str, bytes]
"""By file, the trees found so far."""


def compile_model(
    model: Any, numeric: Iterable[str], categorical: Iterable[str], *, family: str = ""
) -> CompiledModel:
    """Compile a fitted pipeline that takes a frame with the columns ``numeric`` + ``categorical``.

    Parameters
    ----------
    family: how the model is called in the contract, for the message.

    Raises
    ------
    NotCompilable: says which part, and why.
    """
    try:
        return _compiled(model, list(numeric), list(categorical))
    except NotCompilable as error:
        where = f"family {family}" if family else type(model).__name__
        raise NotCompilable(error.what, where=where, next_step="it is served by scikit-learn") from error


def _compiled(model: Any, numeric: list[str], categorical: list[str]) -> CompiledModel:
    steps = [step for _, step in model.steps] if type(model) is Pipeline else [model]
    planned = plan(steps[:-1], numeric, categorical)
    last = _thawed(steps[-1])
    trees: Trees = {}
    members = tuple(_member(part, weight, trees) for part, weight in _parts(last))
    compiled = CompiledModel(Description(planned, members, _classes(last)), trees)
    try:
        from_files(compiled.files())
    except CompiledError as error:  # a number that is not finite, a negative weight
        raise NotCompilable(error.text) from error
    return compiled


def _thawed(model: Any) -> Any:
    return model.estimator if type(model) is FrozenEstimator else model


def _classes(model: Any) -> tuple[float, ...]:
    found = getattr(model, "classes_", ())
    try:
        return tuple(float(one) for one in found)
    except (TypeError, ValueError) as error:
        raise NotCompilable("classes are no numbers") from error


def _parts(model: Any) -> list[tuple[Any, float]]:
    """The models that are averaged, and their weights."""
    if type(model) not in VOTING:
        return [(model, 1.0)]
    if type(model) is ensemble.VotingClassifier and model.voting != "soft":
        raise NotCompilable("VotingClassifier counts votes")
    weights = model._weights_not_none  # those of members that were not dropped
    parts = [_thawed(one) for one in model.estimators_]
    count = len(_classes(model))
    if any(len(getattr(part, "classes_", ())) != count for part in parts):
        raise NotCompilable(f"members of {type(model).__name__} know different classes")
    return list(zip(parts, map(float, [1.0] * len(parts) if weights is None else weights), strict=True))


def _member(model: Any, weight: float, trees: Trees) -> Member:
    if type(model) is CalibratedClassifierCV:
        return _calibrated(model, weight, trees)
    return _model(model, weight, trees)


def _model(model: Any, weight: float, trees: Trees) -> Linear | Forest:
    kind = type(model)
    if np.asarray(getattr(model, "n_outputs_", 1)).item() != 1:
        raise NotCompilable(f"{kind.__name__} predicts several targets")
    if kind in LINEAR:
        return _linear(model, weight, "identity")
    if kind is linear_model.LogisticRegression:
        if model.solver == "liblinear" and len(model.classes_) > 2:
            raise NotCompilable("LogisticRegression fits each class against the rest")
        return _linear(model, weight, "sigmoid" if len(model.coef_) == 1 else "softmax")
    if kind in FORESTS or kind in BOOSTED or kind in HISTOGRAM:
        return _forest(model, weight, trees)
    raise NotCompilable(f"{kind.__name__} cannot be compiled")


def _calibrated(model: CalibratedClassifierCV, weight: float, trees: Trees) -> Calibrated:
    """One model and its correction; scikit-learn corrects the decision function where there is one."""
    if len(model.calibrated_classifiers_) != 1:
        raise NotCompilable("CalibratedClassifierCV has several models: only ensemble=False has one")
    inner = model.calibrated_classifiers_[0]
    estimator = _thawed(inner.estimator)
    if not np.array_equal(estimator.classes_, model.classes_):
        raise NotCompilable("CalibratedClassifierCV knows other classes than its model")
    members = tuple(_model(part, share, trees) for part, share in _parts(estimator))
    if hasattr(estimator, "decision_function"):
        members = tuple(msgspec.structs.replace(one, link="sums") for one in members)
    return Calibrated(weight, members, tuple(_curve(one, inner.method) for one in inner.calibrators))


def _curve(calibrator: Any, method: str) -> Sigmoid | Isotonic:
    if method == "sigmoid":
        return Sigmoid(float(calibrator.a_), float(calibrator.b_))
    if method != "isotonic":
        raise NotCompilable(f"CalibratedClassifierCV with the method {method}")
    if calibrator.out_of_bounds != "clip" or calibrator.X_thresholds_.dtype != np.float64:
        raise NotCompilable("IsotonicRegression computes in single precision, or refuses what lies outside")
    return Isotonic(tuple(calibrator.X_thresholds_.tolist()), tuple(calibrator.y_thresholds_.tolist()))


def _linear(model: Any, weight: float, link: Link) -> Linear:
    coefficients = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    if link == "identity" and len(coefficients) != 1:
        raise NotCompilable(f"{type(model).__name__} predicts several targets")
    intercepts = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), len(coefficients))
    rows = tuple(tuple(row) for row in coefficients.tolist())
    return Linear(weight, link, rows, tuple(intercepts.tolist()))


def _forest(model: Any, weight: float, trees: Trees) -> Forest:
    """Trees through treelite; forests and older boosting read single precision, histogram boosting double."""
    import treelite

    if getattr(model, "is_categorical_", None) is not None:
        raise NotCompilable(
            f"{type(model).__name__} splits on categories: treelite sends unseen ones another way"
        )
    link = _link(model)
    try:
        content = treelite.sklearn.import_model(model).serialize_bytes()
    except (treelite.TreeliteError, NotImplementedError, AssertionError) as error:
        raise NotCompilable(f"treelite does not take {type(model).__name__}: {error}") from error
    outputs = 1 if link in ("identity", "exponential", "sigmoid") else len(model.classes_)
    single = type(model) not in HISTOGRAM
    file = f"trees_{len(trees)}.bin"
    trees[file] = content
    return Forest(weight, link, outputs, single, file, hashlib.sha256(content).hexdigest())


def _link(model: Any) -> Link:
    """How scikit-learn turns the sum over trees into the answer."""
    classes = len(getattr(model, "classes_", ()))
    if type(model) in FORESTS:
        return "shares" if classes else "identity"
    if not classes:
        return "exponential" if model.loss in ("poisson", "gamma") else "identity"
    if model.loss != "log_loss":
        raise NotCompilable(f"{type(model).__name__} with the loss {model.loss}")
    return "sigmoid" if classes == 2 else "softmax"
