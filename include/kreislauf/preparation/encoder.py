"""From named features to the numbers that a model sees: one transform, for training and for the service.

What is fitted is kept as plain arrays and lists, so that rows can be encoded without pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.classes import (
    category_text as category_text,  # also for those who profile features
)
from include.kreislauf.preparation.classes import is_missing

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
LARGEST = 1e30
"""Larger numbers are pulled in to it: their squares would overflow."""
MISSING = "__missing"
WHERE = "encoder"


class FeatureEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardised numbers, indicators of missing ones, and one column per category seen in training.

    Numbers: infinite counts as missing; missing becomes the median of training, and gets an indicator column
    (``<name>__missing``) if one was missing in training; then the mean of training is taken off, and its standard
    deviation (of a constant: 1) divided by. A number that training never saw is 0. Categories: compared as text;
    one that training did not see, or a missing one, is zero in all of its columns.

    Parameters
    ----------
    numeric, categorical: names of the features, in the order of the output.

    Attributes
    ----------
    medians_, means_, scales_: per numeric feature; a median of NaN: training saw no number.
    flagged_: whether each numeric feature has an indicator.
    categories_: per categorical feature its values, sorted as text.
    feature_names_out_: names of the output's columns.
    """

    def __init__(self, numeric: Sequence[str] = (), categorical: Sequence[str] = ()) -> None:
        self.numeric = numeric
        self.categorical = categorical

    def fit(self, X: pd.DataFrame, y: Any = None) -> FeatureEncoder:  # noqa: ARG002, N803
        """Learn medians, means, scales and categories; the order of the rows makes no difference.

        Raises
        ------
        PreparationError: columns are missing, or a value is not a number; names them.
        """
        numbers, texts = self._columns(X)
        missing = np.isnan(numbers)
        self.medians_ = np.array([_median(column) for column in numbers.T], dtype=np.float64)
        # Sorted: sums of floating-point numbers depend on their order.
        filled = np.sort(np.where(missing, self.medians_, numbers), axis=0)
        moments = [_mean_and_scale(column) for column in filled.T]
        self.means_ = np.array([mean for mean, _ in moments], dtype=np.float64)
        self.scales_ = np.array([scale for _, scale in moments], dtype=np.float64)
        self.flagged_ = [bool(column.any()) for column in missing.T]
        self.categories_ = [sorted({one for one in column if one is not None}) for column in texts]
        self.feature_names_out_ = self._names()
        self.feature_names_in_ = np.array([*self.numeric, *self.categorical], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        return self

    def transform(self, X: pd.DataFrame) -> Floats:  # noqa: N803
        """Encoded rows, float64 (rows x output columns), all finite.

        Raises
        ------
        PreparationError: as :meth:`fit`; or it has not been called.
        """
        self._require_fitted()
        return self._encode(*self._columns(X))

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """The same for rows by feature name, without pandas; ``None`` and NaN are missing values.

        Raises
        ------
        PreparationError: a row lacks a feature, or a value is not a number; or :meth:`fit` has not been called.
        """
        self._require_fitted()
        for row in rows:
            self._require_names(row)
        columns = [[_number(row[name], name) for row in rows] for name in self.numeric]
        numbers = np.array(columns, dtype=np.float64).reshape(len(self.numeric), len(rows)).T
        return self._encode(
            _finite(numbers), [[category_text(row[name]) for row in rows] for name in self.categorical]
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:  # noqa: ARG002
        """Names of the output's columns."""
        self._require_fitted()
        return np.array(self.feature_names_out_, dtype=object)

    def _encode(self, numbers: Floats, texts: Sequence[Sequence[str | None]]) -> Floats:
        missing = np.isnan(numbers)
        scaled = (np.where(missing, self.medians_, numbers) - self.means_) / self.scales_
        scaled[:, np.isnan(self.medians_)] = 0.0
        flags = missing[:, self.flagged_].astype(np.float64)
        hot = [_one_hot(values, known) for values, known in zip(texts, self.categories_, strict=True)]
        return np.hstack([scaled, flags, *hot])

    def _columns(self, X: pd.DataFrame) -> tuple[Floats, list[list[str | None]]]:  # noqa: N803
        """Numbers (rows x numeric features; not finite: NaN), and the text of each categorical feature's values."""
        self._require_names(X.columns)
        numbers = np.empty((len(X), len(self.numeric)), dtype=np.float64)
        for place, name in enumerate(self.numeric):
            column = X[name]
            if getattr(column.dtype, "kind", "O") in "iuf":
                numbers[:, place] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                numbers[:, place] = [_number(value, name) for value in column.tolist()]
        return _finite(numbers), [
            [category_text(value) for value in X[name].tolist()] for name in self.categorical
        ]

    def _require_names(self, given: Iterable[Any]) -> None:
        there = set(given)
        if lacking := [name for name in (*self.numeric, *self.categorical) if name not in there]:
            raise PreparationError(
                f"features are missing: {', '.join(lacking)}", where=WHERE,
                allowed=(*self.numeric, *self.categorical),
            )  # fmt: skip

    def _require_fitted(self) -> None:
        if not hasattr(self, "feature_names_out_"):
            raise PreparationError("has not been fitted", where=WHERE, next_step="call fit first")

    def _names(self) -> list[str]:
        flags = [
            f"{name}{MISSING}" for name, flagged in zip(self.numeric, self.flagged_, strict=True) if flagged
        ]
        known = zip(self.categorical, self.categories_, strict=True)
        return [*self.numeric, *flags, *(f"{name}={value}" for name, values in known for value in values)]


def _finite(numbers: Floats) -> Floats:
    return np.clip(np.where(np.isfinite(numbers), numbers, np.nan), -LARGEST, LARGEST)


def _median(column: Floats) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if known.size else float("nan")


def _mean_and_scale(column: Floats) -> tuple[float, float]:
    """Mean and standard deviation; 1 for a constant, told from rounding errors by scikit-learn's bound."""
    if not column.size or np.isnan(column).any():
        return 0.0, 1.0
    mean, variance, eps = float(column.mean()), float(column.var()), np.finfo(np.float64).eps
    bound = column.size * eps * variance + (column.size * mean * eps) ** 2
    if column[0] == column[-1]:  # sorted
        return float(column[0]), 1.0
    return mean, 1.0 if variance <= bound else float(np.sqrt(variance))


def _one_hot(values: Sequence[str | None], known: Sequence[str]) -> Floats:
    place = {value: number for number, value in enumerate(known)}
    hot = np.zeros((len(values), len(known)))
    for row, value in enumerate(values):
        if value is not None and (column := place.get(value)) is not None:
            hot[row, column] = 1.0
    return hot


def _number(value: Any, name: str) -> float:
    """A number, NaN where it is missing; text is never taken for one."""
    if is_missing(value):
        return float("nan")
    if isinstance(value, str | bytes):
        raise PreparationError(f"{name} is {value!r}", where=WHERE, allowed="a number, or none")
    convert: Callable[[Any], float] = float
    try:
        return convert(value)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError) as error:
        raise PreparationError(f"{name} is {value!r}", where=WHERE, allowed="a number, or none") from error
