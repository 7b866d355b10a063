"""A contract's business metrics as functions of predictions and outcomes: the same in the lab, in a canary, and live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.evaluation.blocks import blocks_of
from include.kreislauf.evaluation.own_metric import Measure, own_measure
from include.kreislauf.inference.predictor import values_of
from include.kreislauf.requirements.business import (
    DecisionValue,
    GateMetric,
    OwnMetric,
    PerPrediction,
    PortfolioUplift,
)
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.statistics.business import portfolio_uplift
from include.kreislauf.statistics.decisions import LIKELY, Costs
from include.kreislauf.training.files import probabilities_of

Floats = npt.NDArray[np.float64]
Observe = Callable[[pd.DataFrame], dict[str, Floats]]
"""By block, in the order of time, the observations that a metric is the mean of; NaN where it is not defined.

Of rows with the columns entity, fold, block, target, and prediction or one column per class.
"""


def observations_of(metric: GateMetric, problem: Problem, folder: Path | None = None) -> Observe:
    """The function that makes observations of held-out rows: one a period of an uplift, else one a row.

    Parameters
    ----------
    folder: see :func:`measure_of`.

    Raises
    ------
    EvaluationError: see :func:`measure_of`.
    """
    if isinstance(metric, PortfolioUplift):
        return lambda rows: uplifts(rows, metric.top)
    measure = measure_of(metric, problem, folder)

    def observe(rows: pd.DataFrame) -> dict[str, Floats]:
        predicted, found = logged(rows), np.full(len(rows), np.nan)
        known = np.isfinite(predicted)
        found[known] = measure(predicted[known], rows["target"].to_numpy(np.float64)[known])
        return {block: found[places] for block, places in blocks_of(rows)}

    return observe


def uplifts(rows: pd.DataFrame, top: int) -> dict[str, Floats]:
    """By period its portfolio uplift."""
    found = {}
    for fold, part in rows.groupby("fold", sort=True):
        value = portfolio_uplift(
            part["prediction"].to_numpy(), part["target"].to_numpy(), top, names=part["entity"].tolist()
        )
        found[str(fold)] = np.array([value])
    return found


def logged(rows: pd.DataFrame) -> Floats:
    """What a release would log of each row, (n,), see :func:`measure_of`; NaN where there is no prediction."""
    shares = probabilities_of(rows)
    return values_of(rows[shares].to_numpy(np.float64)) if shares else rows["prediction"].to_numpy(np.float64)


def costs_of(metric: DecisionValue, problem: Problem) -> Costs:
    """The matrix of a contract, with its classes in the order of their positions."""
    return Costs(metric.actions, metric.without, problem.classes, metric.per)


def measure_of(metric: PerPrediction, problem: Problem, folder: Path | None = None) -> Measure:
    """The function that makes observations, shape (n,), of what a release predicted and of what happened, each (n,).

    Predictions are as a release logs them: a number; the probability of the second of two classes; the position of the
    most probable of more. Outcomes are numbers, or positions of classes.

    Parameters
    ----------
    folder: that of the use case, whose own code a metric of kind ``own`` needs.

    Raises
    ------
    EvaluationError: that code is missing or fails, see :func:`~include.kreislauf.evaluation.own_metric.own_measure`.
    """
    if isinstance(metric, OwnMetric):
        return own_measure(metric, folder)
    if isinstance(metric, DecisionValue):
        return costs_of(metric, problem).values
    if metric.measure == "outcome":
        return lambda _, happened: np.asarray(happened, dtype=np.float64)
    if metric.measure == "hit":
        return _hits(metric.tolerance, problem)
    power = 1 if metric.measure == "absolute_error" else 2
    return lambda predicted, happened: np.abs(_difference(predicted, happened)) ** power


def _hits(tolerance: float | None, problem: Problem) -> Measure:
    if tolerance is not None:
        return lambda predicted, happened: (np.abs(_difference(predicted, happened)) <= tolerance).astype(
            float
        )
    if problem.kind == "binary":
        return lambda predicted, happened: (
            (np.asarray(predicted, dtype=np.float64) >= LIKELY)
            == (np.asarray(happened, dtype=np.float64) == 1)
        ).astype(float)
    return lambda predicted, happened: (_difference(predicted, happened) == 0).astype(float)


def _difference(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
    return np.asarray(happened, dtype=np.float64) - np.asarray(predicted, dtype=np.float64)
