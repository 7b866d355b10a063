"""How wrong live predictions were, beside what would have been said without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.kreislauf.requirements.contract import Contract

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LiveError:
    """Over the same predictions.

    Parameters
    ----------
    name, value: MAE of numbers, Brier score of two classes, error rate of more.
    without, baseline: the same of saying always 0 (persistence, where targets are changes), the mean, the share of the
        second class, or the most frequent class.
    """

    name: str
    value: float
    baseline: str
    without: float
    predictions: int

    @property
    def text(self) -> str:
        """As a line for people."""
        gain = 1 - self.value / self.without if self.without else 0.0
        compared = f"{abs(gain):.1%} {'lower' if gain >= 0 else 'higher'}"
        return (
            f"live {self.name} {self.value:.4f}, {self.baseline} {self.without:.4f} ({compared}) "
            f"over {self.predictions} predictions"
        )


def live_error(contract: Contract, predicted: Sequence[float], happened: Sequence[float]) -> LiveError | None:
    """The error of what a use case predicted, shape (n,), beside what happened, (n,), as the log has them; ``None``
    without any.
    """
    told, true = np.asarray(predicted, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    if not len(true):
        return None
    kind, count = contract.problem.kind, len(true)
    if kind == "binary":
        value = float(np.mean((told - true) ** 2))
        return LiveError("Brier score", value, "base rate", float(true.var()), count)
    if kind == "multiclass":
        most = float(np.unique(true, return_counts=True)[1].max()) / count
        return LiveError("error rate", float(np.mean(told != true)), "most frequent class", 1 - most, count)
    naive, level = (
        ("mean", float(true.mean())) if contract.performance.baseline == "prior" else ("persistence", 0.0)
    )
    without = float(np.mean(np.abs(true - level)))
    return LiveError("MAE", float(np.mean(np.abs(true - told))), naive, without, count)
