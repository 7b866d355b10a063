"""From fitted encoders to a plan: each column of the encoded row is followed through the steps that made it.

What is followed is what a column is for a number, for a missing one, and for each category; so that steps may stand in
any order that leaves a column a single subtraction and division.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from include.kreislauf.inference.compiled import Flag, NotCompilable, Number, Plan, Table
from include.kreislauf.preparation.encoder import FeatureEncoder

UNPLACED = -1


class Raw(msgspec.Struct, frozen=True):
    """A categorical feature as it came; ``fill``: what a missing one was replaced by."""

    feature: str
    fill: str | None = None


Column = Number | Flag | Table | Raw
Known = dict[str, list[str]]
"""Categorical feature -> the values that an encoder saw."""


def plan(steps: Sequence[Any], numeric: Sequence[str], categorical: Sequence[str]) -> Plan:
    """The plan of the steps before the model.

    Raises
    ------
    NotCompilable: a step, or what it was asked for, is not among those that can be followed.
    """
    known: Known = {name: [] for name in categorical}
    columns: list[Column] = [*(_untouched(name) for name in numeric), *(Raw(name) for name in categorical)]
    ours = bool(steps) and isinstance(steps[0], FeatureEncoder)
    for step in steps:
        columns = _apply(step, columns, known)
    if raw := [column.feature for column in columns if isinstance(column, Raw)]:
        raise NotCompilable(f"categories reach the model as text: {', '.join(raw)}")
    if not columns:
        raise NotCompilable("no feature reaches the model")
    for column in columns:
        if (
            isinstance(column, Table)
            and column.refuses_other
            and {*column.values} != {*known[column.feature]}
        ):
            raise NotCompilable(f"two encoders of {column.feature} refuse different values")
    placed = [msgspec.structs.replace(column, place=place) for place, column in enumerate(columns)]
    return Plan(
        width=len(placed),
        numeric=tuple(numeric),
        categorical={name: tuple(sorted(set(values))) for name, values in known.items()},
        numbers=tuple(one for one in placed if isinstance(one, Number)),
        flags=tuple(one for one in placed if isinstance(one, Flag)),
        tables=tuple(one for one in placed if isinstance(one, Table)),
        bounded=ours,
        as_text=ours,
    )


def _untouched(name: str) -> Number:
    return Number(name, UNPLACED, 0.0, 1.0, None)


def _apply(step: Any, columns: list[Column], known: Known) -> list[Column]:
    """What a fitted step makes of columns."""
    kind = type(step)
    if step is None or step == "passthrough" or (kind is FunctionTransformer and step.func is None):
        return columns
    if step == "drop":
        return []
    if kind is Pipeline:
        for _, part in step.steps:
            columns = _apply(part, columns, known)
        return columns
    followed = {
        FeatureEncoder: _encoded, ColumnTransformer: _by_columns, StandardScaler: _scaled,
        SimpleImputer: _imputed, OneHotEncoder: _one_hot, OrdinalEncoder: _ordinal,
    }.get(kind)  # fmt: skip
    if followed is None:
        raise NotCompilable(f"{kind.__name__} cannot be compiled")
    return followed(step, columns, known)


def _by_columns(step: ColumnTransformer, columns: list[Column], known: Known) -> list[Column]:
    by_name = {str(column.feature): column for column in columns}
    if len(by_name) != len(columns):
        raise NotCompilable("ColumnTransformer after a step that made several columns of a feature")
    given = [str(name) for name in getattr(step, "feature_names_in_", by_name)]
    if lacking := [name for name in given if name not in by_name]:
        raise NotCompilable(f"ColumnTransformer reads {', '.join(lacking)}, which are no features")
    # Scikit-learn's own resolution of names, positions, slices, masks and callables; the parity check guards it.
    chosen = step._transformer_to_input_indices
    made: list[Column] = []
    for name, part, _ in step.transformers_:
        own = [by_name[given[place]] for place in chosen[name]]
        made += _apply(part, own, known) if own else []
    return made


def _encoded(step: FeatureEncoder, columns: list[Column], known: Known) -> list[Column]:
    """Our own encoder reads features by their names."""
    if any(column not in (_untouched(column.feature), Raw(column.feature)) for column in columns):
        raise NotCompilable("FeatureEncoder is not the first step")
    made: list[Column] = []
    parts = (step.numeric, step.medians_, step.means_, step.scales_)
    for name, median, mean, scale in zip(*parts, strict=True):
        if math.isnan(median):  # training saw no number: the column is always 0
            made.append(Flag(name, UNPLACED, 0.0, 0.0))
        else:
            missing = float((median - mean) / scale)
            made.append(Number(name, UNPLACED, float(mean), float(scale), missing))
    flagged = zip(step.numeric, step.flagged_, strict=True)
    made += [Flag(name, UNPLACED, 0.0, 1.0) for name, is_flagged in flagged if is_flagged]
    for name, values in zip(step.categorical, step.categories_, strict=True):
        known[name] += values
        made += [Table(name, UNPLACED, {value: 1.0}) for value in values]
    return made


def _scaled(step: StandardScaler, columns: list[Column], _: Known) -> list[Column]:
    count = len(columns)
    means = step.mean_ if step.with_mean and step.mean_ is not None else np.zeros(count)
    scales = step.scale_ if step.scale_ is not None else np.ones(count)
    return [
        _rescaled(column, float(mean), float(scale))
        for column, mean, scale in zip(columns, means, scales, strict=True)
    ]


def _rescaled(column: Column, mean: float, scale: float) -> Column:
    def of(value: float | None) -> float | None:
        return None if value is None else (value - mean) / scale

    if isinstance(column, Number):
        if (column.mean, column.scale) != (0.0, 1.0):
            raise NotCompilable(f"{column.feature} is scaled twice")
        return msgspec.structs.replace(column, mean=mean, scale=scale, missing=of(column.missing))
    if isinstance(column, Flag):
        return Flag(column.feature, UNPLACED, (column.present - mean) / scale, of(column.missing))
    if isinstance(column, Table):
        values = {text: (value - mean) / scale for text, value in column.values.items()}
        return msgspec.structs.replace(
            column, values=values, missing=of(column.missing), other=of(column.other)
        )
    raise NotCompilable(f"StandardScaler of categories: {column.feature}")


def _imputed(step: SimpleImputer, columns: list[Column], _: Known) -> list[Column]:
    if not _is_missing(step.missing_values):
        raise NotCompilable(f"SimpleImputer replaces {step.missing_values!r}, not missing values")
    made: list[Column] = []
    for column, value in zip(columns, step.statistics_.tolist(), strict=True):
        if isinstance(column, Raw):
            made.append(_filled(column, value))
        elif not _is_missing(value):  # without a statistic scikit-learn leaves the column out
            made.append(_replaced(column, float(value)))
    flags = [columns[place] for place in step.indicator_.features_] if step.add_indicator else []
    if any(not isinstance(column, Number) or column.missing is not None for column in flags):
        raise NotCompilable("indicators of what is no number")
    return [*made, *(Flag(column.feature, UNPLACED, 0.0, 1.0) for column in flags)]


def _filled(column: Raw, value: Any) -> Raw:
    if not isinstance(value, str):
        raise NotCompilable(f"{column.feature}: a missing category becomes {value!r}, which is no text")
    return column if column.fill is not None else Raw(column.feature, value)


def _replaced(column: Number | Flag | Table, value: float) -> Column:
    if isinstance(column, Table):
        found = {name: value for name in ("missing", "other") if getattr(column, name) is None}
        return msgspec.structs.replace(column, **found)
    return msgspec.structs.replace(column, missing=value) if column.missing is None else column


def _one_hot(step: OneHotEncoder, columns: list[Column], known: Known) -> list[Column]:
    if getattr(step, "_infrequent_enabled", False):
        raise NotCompilable("OneHotEncoder groups infrequent categories")
    dropped = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(columns)
    made: list[Column] = []
    refuses = step.handle_unknown == "error"
    for column, values, out in zip(_raw(step, columns), step.categories_, dropped, strict=True):
        texts, gap = _texts(column, values, known)
        kept = [place for place in range(len(values)) if place != out]
        if refuses and not kept:
            raise NotCompilable(f"OneHotEncoder refuses values of {column.feature} and makes no column of it")
        for place in kept:
            hot = {texts[place]: 1.0} if place != gap else {}
            # every table that refuses must know all that is not to be refused
            table = {text: hot.get(text, 0.0) for text in texts.values()} if refuses else hot
            made.append(_table(column, table, 1.0 if place == gap else 0.0, gap is not None, 0.0, refuses))
    return made


def _ordinal(step: OrdinalEncoder, columns: list[Column], known: Known) -> list[Column]:
    if getattr(step, "_infrequent_enabled", False):
        raise NotCompilable("OrdinalEncoder groups infrequent categories")
    refuses = step.handle_unknown == "error"
    other = math.nan if refuses else float(step.unknown_value)
    made: list[Column] = []
    for column, values in zip(_raw(step, columns), step.categories_, strict=True):
        texts, gap = _texts(column, values, known)
        codes = {text: float(place) for place, text in texts.items()}
        made.append(_table(column, codes, float(step.encoded_missing_value), gap is not None, other, refuses))
    return made


def _table(
    column: Raw, values: dict[str, float], gap: float, has_gap: bool, other: float, refuses: bool
) -> Table:
    """A table; a missing category is the one it was filled with, or the gap if training saw one, or an unseen one."""
    if column.fill is not None:
        missing = values.get(column.fill, other)
        refuses_missing = refuses and column.fill not in values
    else:
        missing = gap if has_gap else other
        refuses_missing = refuses and not has_gap
    return Table(
        column.feature, UNPLACED, values, missing=_json(missing), other=_json(other),
        refuses_missing=refuses_missing, refuses_other=refuses,
    )  # fmt: skip


def _raw(step: Any, columns: Iterable[Column]) -> list[Raw]:
    found = [column for column in columns if isinstance(column, Raw)]
    if len(found) != len(list(columns)):
        raise NotCompilable(f"{type(step).__name__} of numbers")
    return found


def _texts(column: Raw, values: Any, known: Known) -> tuple[dict[int, str], int | None]:
    """By place the categories, and the place of the missing one."""
    found = dict(enumerate(values.tolist()))
    gaps = [place for place, value in found.items() if _is_missing(value)]
    texts = {place: value for place, value in found.items() if place not in gaps}
    if len(gaps) > 1 or not all(isinstance(value, str) for value in texts.values()):
        raise NotCompilable(f"categories of {column.feature} are no texts, or missing in two ways")
    known[column.feature] += texts.values()
    return texts, gaps[0] if gaps else None


def _is_missing(value: Any) -> bool:
    return (
        value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ == "NAType"
    )


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value
