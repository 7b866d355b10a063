"""Performance metrics by name: the loss of each row, and how losses make one number. Smaller is always better.

Further scores of classes are only shown: they have no loss of a row, and larger is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Task = Literal["regression", "classification"]
SMALLEST_PROBABILITY = 1e-15
"""Probabilities are kept this far from 0 and 1 in the log loss, so that one sure mistake is not infinite."""


@dataclass(frozen=True)
class Metric:
    """An error metric.

    Parameters
    ----------
    name: as in the contract.
    task: the kind of problem that it judges.
    losses: losses of rows, shape (n,), from outcomes (n,) and predictions: (n,) numbers, or (n, classes)
        probabilities with the outcomes as positions of classes.
    total: the metric from the mean loss.
    unit: of the metric, for people.
    """

    name: str
    task: Task
    losses: Callable[[Floats, Floats], Floats]
    total: Callable[[float], float] = float
    unit: str = "unit of the target"

    def gain(self, mean_loss: float, mean_loss_of_baseline: float) -> float:
        """Share by which the metric of a baseline is undercut: 1 is no error at all, negative is worse.

        A baseline without any error cannot be undercut: 0 if it is equalled, -1 if not.
        """
        own, base = self.total(mean_loss), self.total(mean_loss_of_baseline)
        if base > 0:
            return 1.0 - own / base
        return -1.0 if own > 0 else 0.0


def _absolute(outcome: Floats, predicted: Floats) -> Floats:
    return np.abs(outcome - predicted)


def _squared(outcome: Floats, predicted: Floats) -> Floats:
    return np.square(outcome - predicted)


def _log(outcome: Floats, predicted: Floats) -> Floats:
    chosen = np.take_along_axis(predicted, outcome.astype(np.intp)[:, None], axis=1)[:, 0]
    return -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))


def _brier(outcome: Floats, predicted: Floats) -> Floats:
    """After Brier, Verification of forecasts expressed in terms of probability, 1950: summed over the classes."""
    truth = np.zeros_like(predicted)
    np.put_along_axis(truth, outcome.astype(np.intp)[:, None], 1.0, axis=1)
    summed: Floats = np.square(truth - predicted).sum(axis=1)
    return summed


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mae", "regression", _absolute),
        Metric("rmse", "regression", _squared, sqrt),
        Metric("log_loss", "classification", _log, unit="nats"),
        Metric("brier", "classification", _brier, unit="squared probability"),
    )
}


def metrics_for(task: Task) -> list[Metric]:
    """The metrics that judge a kind of problem."""
    return [metric for metric in METRICS.values() if metric.task == task]


def metric(name: str) -> Metric:
    """The metric of a name.

    Raises
    ------
    ValueError: there is none; names those there are.
    """
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; allowed: {', '.join(sorted(METRICS))}")
    return METRICS[name]


def further_scores(outcome: Floats, predicted: Floats) -> dict[str, float]:
    """Scores that people know, of probabilities (n, classes): ``accuracy``, ``roc_auc`` (of more than two classes the mean
    of each against the rest), and of two ``average_precision``; without those that need a class that did not happen.

    None of numbers, (n,).
    """
    from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

    if predicted.ndim == 1:
        return {}
    places = outcome.astype(np.intp)
    found = {"accuracy": float(accuracy_score(places, predicted.argmax(axis=1)))}
    happened = np.unique(places)
    if predicted.shape[1] == 2 and happened.size == 2:
        found["roc_auc"] = float(roc_auc_score(places, predicted[:, 1]))
        found["average_precision"] = float(average_precision_score(places, predicted[:, 1]))
    elif happened.size == predicted.shape[1]:
        each = [roc_auc_score(places == one, predicted[:, one]) for one in happened]
        found["roc_auc"] = float(np.mean(each))
    return found
