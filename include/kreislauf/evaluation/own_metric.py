"""Business metrics of kind ``own``: functions in the ``metrics.py`` of a use case, found by the metric's name."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import numpy.typing as npt

from include.kreislauf.errors import EvaluationError
from include.kreislauf.own_code import fingerprint, function_of, naming_lines
from include.kreislauf.requirements.business import OwnMetric

FILE = "metrics.py"
SIGNATURE = "predicted, happened, options"
Floats = npt.NDArray[np.float64]
Measure = Callable[[npt.ArrayLike, npt.ArrayLike], Floats]


def own_measure(metric: OwnMetric, folder: Path | None) -> Measure:
    """The function that makes observations, see :func:`~include.kreislauf.evaluation.business.measure_of`.

    Parameters
    ----------
    folder: that of the use case; ``None``: its files cannot be reached here.

    Raises
    ------
    EvaluationError: there is no such function, or the file cannot be imported (names file and line). Likewise when the
        function is called: it raises, or gives something else than one number for each prediction.
    """
    if folder is None:
        raise EvaluationError(
            f"the use case's {FILE} cannot be reached here", where=metric.name,
            next_step="run where KREISLAUF_USE_CASES lies",
        )  # fmt: skip
    path = folder / FILE
    function = function_of(path, metric.name, EvaluationError, SIGNATURE)

    def measure(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
        told, true = np.array(predicted, dtype=np.float64), np.array(happened, dtype=np.float64)
        if not true.size:
            return true
        with naming_lines(path, f"{metric.name} fails", EvaluationError):
            found = function(told, true, deepcopy(metric.options))
        return _numbers(found, true.shape, f"{path}, {metric.name}")

    return measure


def code_of(folder: Path | None) -> str:
    """Digest of a use case's own metrics; empty where there is none."""
    return fingerprint(folder / FILE) if folder else ""


def _numbers(found: object, shape: tuple[int, ...], where: str) -> Floats:
    allowed = f"an array of {shape[0]} numbers, one for each prediction"
    try:
        numbers = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"gives {type(found).__name__}", where=where, allowed=allowed) from error
    if numbers.shape != shape:
        raise EvaluationError(f"gives shape {numbers.shape}", where=where, allowed=allowed)
    return numbers
