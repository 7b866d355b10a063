"""What a metric with one observation for each prediction makes of what was predicted and of what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from include.kreislauf.evaluation.business import measure_of
from include.kreislauf.monitoring.observing import Observation
from include.kreislauf.requirements.business import OwnMetric, PerPrediction
from include.kreislauf.requirements.monitoring import Outcomes
from include.kreislauf.requirements.problem import Problem

Floats = npt.NDArray[np.float64]


def measured(
    metric: PerPrediction, problem: Problem, new: Sequence[Observation], folder: Path | None = None
) -> list[Observation]:
    """The observations with what the metric measures; without those of which nothing was predicted to compare with.

    Parameters
    ----------
    folder: see :func:`~include.kreislauf.evaluation.business.measure_of`.

    Raises
    ------
    EvaluationError: the use case's own metric cannot be had, or fails.
    """
    if measures_outcome(metric):
        return list(new)
    known = [(one, one.predicted) for one in new if one.predicted is not None]
    told, true = [predicted for _, predicted in known], [one.value for one, _ in known]
    values = values_of(metric, problem, told, true, folder)
    return [one._replace(value=value) for (one, _), value in zip(known, values.tolist(), strict=True)]


def values_of(
    metric: PerPrediction, problem: Problem, predicted: npt.ArrayLike, happened: npt.ArrayLike,
    folder: Path | None = None,
) -> Floats:  # fmt: skip
    """Shape (n,): what is measured, as in the lab; NaN where such a problem knows no such prediction, or outcome.

    Parameters
    ----------
    predicted, happened: shape (n,) each, as the log has them.
    folder: see :func:`~include.kreislauf.evaluation.business.measure_of`.
    """
    told, true = np.asarray(predicted, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    possible = can_be_told(problem, told) & can_happen(problem, true)
    found = np.full(len(true), np.nan)
    found[possible] = measure_of(metric, problem, folder)(told[possible], true[possible])
    return found


def measures_outcome(metric: PerPrediction) -> bool:
    """Whether the outcome itself is measured, whatever was predicted."""
    return isinstance(metric, Outcomes) and metric.measure == "outcome"


def measures_error(metric: object) -> bool:
    """Whether the metric is itself an error of the model: then the two cannot disagree.

    What decisions are worth is none: it falls as well where there is less to be saved. What a use case's own code
    measures is not known.
    """
    return isinstance(metric, Outcomes) and not measures_outcome(metric)


def takes_few_values(metric: object, problem: Problem) -> bool:
    """Whether equal values in a row are nothing to wonder at: decisions and classes give only few different ones, and a
    use case's own code may.
    """
    return isinstance(metric, OwnMetric) or (
        isinstance(metric, PerPrediction) and problem.task == "classification"
    )


def can_be_told(problem: Problem, values: Floats) -> npt.NDArray[np.bool_]:
    """Shape (n,): whether a release can have predicted this; NaN it cannot."""
    if problem.kind == "binary":
        return (values >= 0) & (values <= 1)
    return np.isfinite(values) if problem.kind == "regression" else _is_position(problem, values)


def can_happen(problem: Problem, values: Floats) -> npt.NDArray[np.bool_]:
    """Shape (n,): whether this can be an outcome, by the contract's classes."""
    return np.isfinite(values) if problem.kind == "regression" else _is_position(problem, values)


def _is_position(problem: Problem, values: Floats) -> npt.NDArray[np.bool_]:
    return np.isin(values, np.arange(len(problem.classes)))
