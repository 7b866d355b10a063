"""A compiled pipeline at work; neither pandas nor scikit-learn is imported."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.inference.compiled import CompiledError, CompiledModel, Forest, Linear, Link
from include.kreislauf.inference.encoding import Row, RowEncoder
from include.kreislauf.inference.gtil import Trees, open_trees

Floats = npt.NDArray[np.float64]


class Predictor:
    """Predicts rows of features. Any thread may call it: each call has its own buffers, and nothing is kept.

    Parameters
    ----------
    numeric: names of the numeric features; values are numbers, ``None`` or NaN.
    categorical: names of the categorical features, each with the values seen in training.
    classes: of a classification; its answers are these numbers. Empty for a regression.
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
        self._members = tuple(_member(one, compiled, description.plan.width) for one in description.members)
        self._total = sum(one.weight for one in self._members)
        plain = len(self._members) == 1 and self._members[0].link == "identity"
        self._one = self._members[0].one if plain else self._mean_of_one

    def predict_one(self, row: Row) -> float:
        """The prediction for a row: a number, or the most probable class.

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
            return float(self.evaluate(self.encode([values]))[0])
        return self._one(self._by_position.one(values))

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Predictions, (n,), each exactly as :meth:`predict_one` gives it; raises as it does."""
        return self.evaluate(self._encoder.many(rows))

    def encode(self, values: Sequence[Sequence[Any]]) -> Floats:
        """Rows as :meth:`predict_values` takes them, encoded, (n, width): plain Python, which needs its lock."""
        return self._by_position.many(values)

    def evaluate(self, encoded: Floats) -> Floats:
        """Predictions for encoded rows, (n,): most of it is trees, which do not need Python's lock."""
        found = self._mean(encoded)
        if not self.classes:
            return found[:, 0]
        likeliest: Floats = np.array(self.classes, dtype=np.float64)[np.argmax(found, axis=1)]
        return likeliest

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of the classes, (n, classes); for a regression nothing, (n, 0)."""
        return self._mean(self._encoder.many(rows)) if self.classes else np.empty((len(rows), 0))

    def _mean(self, encoded: Floats) -> Floats:
        """The members' weighted mean, (n, answers)."""
        found = [one.many(encoded) for one in self._members]
        if len(found) == 1:
            return found[0]
        weighted = [one.weight * answer for one, answer in zip(self._members, found, strict=True)]
        return np.asarray(sum(weighted[1:], start=weighted[0]) / self._total, dtype=np.float64)

    def _mean_of_one(self, row: array[float]) -> float:
        found = [one.one(row) for one in self._members]
        if len(found) == 1:
            return found[0]
        weighted = [one.weight * answer for one, answer in zip(self._members, found, strict=True)]
        return sum(weighted[1:], start=weighted[0]) / self._total


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


def _member(described: Linear | Forest, compiled: CompiledModel, width: int) -> _Linear | _Forest:
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
