"""How far a compiled pipeline is from the one it was compiled from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.inference.compiled import NotCompilable
from include.kreislauf.inference.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9


def parity(predictor: Predictor, model: Any, frame: pd.DataFrame) -> float:
    """The largest relative difference, ``|a - b| / max(1, |b|)``, over a frame's rows; of classes, their probabilities.

    NaN counts as infinitely far from a number.
    """
    if not len(frame):
        return 0.0
    features = frame[[*predictor.numeric, *predictor.categorical]]
    rows: list[dict[str, Any]] = [
        dict(zip(features.columns, row, strict=True)) for row in features.itertuples(index=False)
    ]
    if predictor.classes:
        found, expected = predictor.probabilities(rows), model.predict_proba(features)
    else:
        found, expected = predictor.predict(rows), model.predict(features)
    return largest_difference(found, np.asarray(expected, dtype=np.float64))


def largest_difference(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> float:
    """As :func:`parity`, of numbers that should be equal."""
    if found.shape != expected.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    differences = np.where(same, 0.0, np.nan_to_num(differences, nan=np.inf))
    return float(differences.max(initial=0.0))


def require_parity(
    predictor: Predictor, model: Any, frame: pd.DataFrame, tolerance: float = TOLERANCE
) -> float:
    """The same, which must not exceed ``tolerance``.

    Raises
    ------
    NotCompilable: it does; the release is then served by scikit-learn.
    """
    found = parity(predictor, model, frame)
    if found > tolerance:
        raise NotCompilable(
            f"compiled and scikit-learn differ by {found:.3g} (relative) over {len(frame)} rows",
            where=type(model).__name__, allowed=f"up to {tolerance:g}",
            next_step="it is served by scikit-learn",
        )  # fmt: skip
    return found
