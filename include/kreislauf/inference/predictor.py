"""A compiled pipeline at work; neither pandas nor scikit-learn is imported."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.inference.compiled import (
    Calibrated,
    CompiledError,
    CompiledModel,
    Forest,
    Isotonic,
    Linear,
    Link,
    Member,
    Sigmoid,
)
from include.kreislauf.inference.encoding import Row, RowEncoder
from include.kreislauf.inference.gtil import Trees, open_trees

Floats = npt.NDArray[np.float64]
ROUNDED = 1e-5
"""By so much may a probability exceed 1 for rounding alone, as scikit-learn has it."""


class Predictor:
    """Predicts rows of features. Any thread may call it: each call has its own buffers, and nothing is kept.

    Parameters
    ----------
    numeric: names of the numeric features; values are numbers, ``None`` or NaN.
    categorical: names of the categorical features, each with the values seen in training.
    classes: of a classification, those that the model has seen, as numbers. Empty for a regression.
    """

    def __init__(self, compiled: CompiledModel) -> None:
        description = compiled.description
        self.numeric: tuple[str, ...] = description.plan.numeric
        self.categorical: Mapping[str, frozenset[str]] = {
            name: frozenset(seen) for name, seen in description.plan.categorical.items()
        }
        self.classes = description.classes
        self._encoder = RowEncoder(description.plan)
        self._by_position = RowEncoder(description.plan, by_position=True)
        self._mean = _Mean(description.members, compiled, description.plan.width)
        # of classes there is no one number
        self._numbers = [one for one in self._mean.members if not isinstance(one, _Calibrated)]
        plain = len(self._numbers) == 1 and self._numbers[0].link == "identity"
        self._one = self._numbers[0].one if plain else self._mean_of_one

    def predict_one(self, row: Row) -> float:
        """The prediction for a row: a number; see :func:`values_of` for classes.

        Raises
        ------
        PreparationError: a feature is missing, is no number, or a category is refused.
        """
        if self.classes:
            return float(self.predict([row])[0])
        return self._one(self._encoder.one(row))

    def predict_values(self, values: Sequence[Any]) -> float:
        """As :meth:`predict_one`, for the values alone: numbers first, then categories."""
        if self.classes:
            return float(values_of(self.evaluate(self.encode([values])))[0])
        return self._one(self._by_position.one(values))

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Predictions, (n,), each exactly as :meth:`predict_one` gives it; raises as it does."""
        found = self.evaluate(self._encoder.many(rows))
        return values_of(found) if self.classes else found

    def encode(self, values: Sequence[Sequence[Any]]) -> Floats:
        """Rows as :meth:`predict_values` takes them, encoded, (n, width): plain Python, which needs its lock."""
        return self._by_position.many(values)

    def evaluate(self, encoded: Floats) -> Floats:
        """For encoded rows numbers, (n,), or probabilities of :attr:`classes`, (n, classes).

        Most of it is trees, which do not need Python's lock.
        """
        found = self._mean.many(encoded)
        return found if self.classes else found[:, 0]

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of the classes, (n, classes); for a regression nothing, (n, 0)."""
        return self.evaluate(self._encoder.many(rows)) if self.classes else np.empty((len(rows), 0))

    def _mean_of_one(self, row: array[float]) -> float:
        found = [one.one(row) for one in self._numbers]
        if len(found) == 1:
            return found[0]
        weighted = [one.weight * answer for one, answer in zip(self._numbers, found, strict=True)]
        return sum(weighted[1:], start=weighted[0]) / self._mean.total


def values_of(probabilities: Floats) -> Floats:
    """What stands for a row's probabilities, (n, classes), in the log: one number each, (n,).

    Of two classes the probability of the second; of more the place of the most probable one. NaN where a probability is.
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1]
    places = probabilities.argmax(axis=1).astype(np.float64) if len(probabilities) else np.empty(0)
    return np.where(np.isfinite(probabilities).all(axis=1), places, np.nan)


class _Mean:
    """The weighted mean of models."""

    def __init__(self, described: Sequence[Member], compiled: CompiledModel, width: int) -> None:
        self.members = tuple(_member(one, compiled, width) for one in described)
        self.total = sum(one.weight for one in self.members)

    def many(self, encoded: Floats) -> Floats:
        """(n, answers)."""
        found = [one.many(encoded) for one in self.members]
        if len(found) == 1:
            return found[0]
        weighted = [one.weight * answer for one, answer in zip(self.members, found, strict=True)]
        return np.asarray(sum(weighted[1:], start=weighted[0]) / self.total, dtype=np.float64)


class _Forest:
    def __init__(self, described: Forest, trees: Trees) -> None:
        self.weight, self.link = described.weight, described.link
        self._trees, self._single, self._features = trees, described.single, trees.features

    def one(self, row: array[float]) -> float:
        """For a regression."""
        if self._single:
            row = array("d", array("f", row))
        value = self._trees.one(row)[0]
        return value if self.link == "identity" else float(_linked(np.array([[value]]), self.link)[0, 0])

    def many(self, rows: Floats) -> Floats:
        with np.errstate(over="ignore"):  # as in plain Python
            rounded = rows.astype(np.float32) if self._single else rows
        return _linked(self._trees.many(np.ascontiguousarray(rounded, dtype=np.float64)), self.link)


class _Linear:
    def __init__(self, described: Linear) -> None:
        self.weight, self.link = described.weight, described.link
        self._coefficients = np.array(described.coefficients, dtype=np.float64)
        self._intercepts = np.array(described.intercepts, dtype=np.float64)

    def one(self, row: array[float]) -> float:
        """For a regression."""
        return float(self.many(np.frombuffer(row)[None, :-1])[0, 0])

    def many(self, rows: Floats) -> Floats:
        # No matrix product: its order of summing depends on how many rows there are.
        sums = [(rows * one).sum(axis=1) for one in self._coefficients]
        return _linked(np.column_stack(sums) + self._intercepts, self.link)


class _Calibrated:
    """As scikit-learn's ``CalibratedClassifierCV`` corrects probabilities."""

    def __init__(self, described: Calibrated, compiled: CompiledModel, width: int) -> None:
        self.weight = described.weight
        self._mean = _Mean(described.members, compiled, width)
        self._curves = described.curves

    def many(self, rows: Floats) -> Floats:
        """Probabilities, (n, classes)."""
        found = self._mean.many(rows)
        if len(self._curves) == 1:
            positive = _corrected(self._curves[0], found[:, -1])
            shares = np.column_stack([1.0 - positive, positive])
        else:
            parts = np.column_stack([_corrected(one, found[:, n]) for n, one in enumerate(self._curves)])
            total = parts.sum(axis=1, keepdims=True)
            even = np.full_like(parts, 1 / len(self._curves))  # where every curve says 0
            shares = np.divide(parts, total, out=even, where=total != 0)
        shares[(shares > 1.0) & (shares <= 1.0 + ROUNDED)] = 1.0
        return shares


def _corrected(curve: Sigmoid | Isotonic, found: Floats) -> Floats:
    if isinstance(curve, Isotonic):
        return np.asarray(np.interp(found, curve.xs, curve.ys), dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(curve.slope * found + curve.offset)), dtype=np.float64)


def _member(described: Member, compiled: CompiledModel, width: int) -> _Linear | _Forest | _Calibrated:
    if isinstance(described, Calibrated):
        return _Calibrated(described, compiled, width)
    if isinstance(described, Linear):
        return _Linear(described)
    trees = open_trees(compiled.trees[described.file], described.file)
    if trees.features != width or trees.outputs != described.outputs:
        raise CompiledError(
            f"trees read {trees.features} numbers and give {trees.outputs}", where=described.file,
            allowed=f"{width} and {described.outputs}",
        )  # fmt: skip
    return _Forest(described, trees)


def _linked(sums: Floats, link: Link) -> Floats:
    """A model's sums, (n, outputs), as its answers: (n, 1) numbers, or (n, classes) probabilities."""
    if link == "exponential":
        return np.array([[_exp(one)] for one in sums[:, 0].tolist()]).reshape(-1, 1)
    if link == "sigmoid":
        with np.errstate(over="ignore"):
            positive = 1.0 / (1.0 + np.exp(-sums))
        return np.hstack([1.0 - positive, positive])
    if link == "softmax":
        raised = np.exp(sums - sums.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)
    return sums


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
