"""A contract's business metrics as functions of predictions and outcomes: the same in the lab, in a canary, and live."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from include.kreislauf.requirements.business import DecisionValue, PerPrediction
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.statistics.decisions import LIKELY, Costs

Floats = npt.NDArray[np.float64]
Measure = Callable[[npt.ArrayLike, npt.ArrayLike], Floats]


def costs_of(metric: DecisionValue, problem: Problem) -> Costs:
    """The matrix of a contract, with its classes in the order of their positions."""
    return Costs(metric.actions, metric.without, problem.classes, metric.per)


def measure_of(metric: PerPrediction, problem: Problem) -> Measure:
    """The function that makes observations, shape (n,), of what a release predicted and of what happened, each (n,).

    Predictions are as a release logs them: a number; the probability of the second of two classes; the position of the
    most probable of more. Outcomes are numbers, or positions of classes.
    """
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
