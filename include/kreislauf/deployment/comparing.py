"""What two releases are compared by, on what really happened: the contract's own measure, else the error of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from include.kreislauf.evaluation.business import measure_of
from include.kreislauf.evaluation.own_metric import Measure
from include.kreislauf.requirements.business import PerPrediction
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.monitoring import Outcomes
from include.kreislauf.requirements.problem import Problem

Floats = npt.NDArray[np.float64]
ERRORS: dict[str, tuple[str, Callable[[Floats, Floats], Floats]]] = {
    "regression": ("absolute error", lambda predicted, happened: np.abs(predicted - happened)),
    "binary": ("squared error of the probability", lambda predicted, happened: (predicted - happened) ** 2),
    "multiclass": ("share of wrong classes", lambda predicted, happened: (predicted != happened) * 1.0),
}
"""By kind of problem, the error of one prediction, as the log has it."""


@dataclass(frozen=True)
class Compared:
    """A measure of one prediction and of what then happened.

    Parameters
    ----------
    name: for evidence.
    said: for people.
    is_ratio: whether one mean is compared as a multiple of the other: errors of numbers, which are never quite 0.
    higher: whether more is better.
    needs_outcome_only: what was predicted does not enter; then two predictions of one row cannot be compared.
    maturity: time after a prediction before its outcome counts.
    """

    name: str
    said: str
    unit: str
    measure: Measure
    problem: Problem
    is_ratio: bool = False
    higher: bool = False
    needs_outcome_only: bool = False
    maturity: timedelta = timedelta()

    def values(self, predicted: Sequence[float], happened: Sequence[float]) -> Floats:
        """(n,); NaN where the outcome, or the prediction, is of no class that the contract has."""
        told, true = np.array(predicted, dtype=np.float64), np.array(happened, dtype=np.float64)
        possible = np.ones(len(true), dtype=bool)
        if self.problem.classes:
            places = np.arange(len(self.problem.classes))
            possible = np.isin(true, places)
            possible &= (
                np.isin(told, places) if self.problem.kind == "multiclass" else (told >= 0) & (told <= 1)
            )
        found = np.full(len(true), np.nan)
        found[possible] = self.measure(told[possible], true[possible])
        return found


def compared_by(contract: Contract, folder: Path | None = None) -> tuple[Compared, Compared]:
    """On the same rows, and on different ones: the first of the contract's metrics that compares so, else the error.

    Parameters
    ----------
    folder: that of the use case, see :func:`~include.kreislauf.evaluation.business.measure_of`.

    Raises
    ------
    EvaluationError: the use case's own metric cannot be had.
    """
    found = [
        _measured(one, contract.problem, folder)
        for one in contract.business_metrics
        if isinstance(one, PerPrediction)
    ]
    found.append(_error(contract.problem))
    return next(one for one in found if not one.needs_outcome_only), found[0]


def _measured(metric: PerPrediction, problem: Problem, folder: Path | None) -> Compared:
    by_measure = metric.measure if isinstance(metric, Outcomes) else ""
    return Compared(
        name=metric.name, said=metric.name, unit=metric.unit, problem=problem,
        measure=measure_of(metric, problem, folder),
        is_ratio=by_measure.endswith("_error"), higher=metric.direction == "higher",
        needs_outcome_only=by_measure == "outcome", maturity=timedelta(days=metric.maturity_days),
    )  # fmt: skip


def _error(problem: Problem) -> Compared:
    said, error = ERRORS[problem.kind]
    return Compared(
        name="error", said=said, unit="per prediction", problem=problem, is_ratio=problem.kind != "multiclass",
        measure=lambda predicted, happened: error(np.asarray(predicted), np.asarray(happened)),
    )  # fmt: skip
