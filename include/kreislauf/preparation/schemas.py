"""What must hold at the boundaries of preparation: raw data as they come in, features as they go out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.classes import positions
from include.kreislauf.preparation.features import (
    FEATURES,
    GROUP,
    LEVEL,
    TARGET,
    FeatureModule,
    keys_of,
    may_be_missing,
    with_entity,
)
from include.kreislauf.requirements.contract import Contract, Problem
from include.kreislauf.requirements.science import KeepLatest
from include.kreislauf.requirements.sources import Rows

RAW = "raw data"


def raw_schema(contract: Contract) -> pa.DataFrameSchema:
    """The raw-data version as preparation receives it: keys, declared columns and their types.

    Each key is there once, unless rows may repeat, or the contract's cleaning keeps the latest of several.
    """
    problem = contract.problem
    types, required = declared(contract)
    columns = {
        name: pa.Column(checks=_type_check(kind), nullable=name not in (*problem.keys, *required))
        for name, kind in types.items()
    }
    repeated = any(isinstance(step, KeepLatest) for step in contract.preparation.cleaning)
    return pa.DataFrameSchema(columns, unique=None if repeated else problem.unique or None)


def declared(contract: Contract) -> tuple[dict[str, str], set[str]]:
    """Type (text, number, date) of every column that the contract's sources declare, and those never empty."""
    problem = contract.problem
    types: dict[str, str] = dict.fromkeys([problem.entity] if problem.entity else [], "text")
    required: set[str] = set()
    for source in contract.sources:
        if isinstance(source, Rows):
            types |= {name: column.type for name, column in source.columns.items()}
            # Sources are joined: what one requires is empty where only another has a row.
            if len(contract.sources) == 1:
                required |= {name for name, column in source.columns.items() if column.required}
        else:
            types |= dict.fromkeys(source.columns, "number")
    return types | dict.fromkeys([problem.time] if problem.time else [], "date"), required


def check_raw(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Raw data, validated: see :func:`raw_schema`. Further columns are let through.

    Returns
    -------
    The rows with text as ``str``, numbers as ``float64`` and dates as ``datetime64`` without a zone.

    Raises
    ------
    PreparationError: there are no rows, or some break a rule; names column, rule and value.
    """
    if frame.empty:
        raise PreparationError("there are no rows", where=RAW, next_step="collect again")
    valid = _validated(raw_schema(contract), frame, RAW)
    types, _ = declared(contract)
    return valid.assign(**{name: _CONVERT[kind](valid[name]) for name, kind in types.items()})


def check_features(
    frame: pd.DataFrame, module: FeatureModule, problem: Problem, excluded: Collection[str] = ()
) -> pd.DataFrame:
    """The features, validated: one row per entity and period, finite numbers, no empty category.

    A number may be missing where the module names its feature in ``MAY_BE_MISSING``; it may never be infinite.

    Parameters
    ----------
    frame: what the module has built.
    excluded: features that are not in the frame.

    Returns
    -------
    The frame; of classes the target is their position in ``problem.classes``, and rows without entity have numbers.

    Raises
    ------
    PreparationError: there are no rows, or some break a rule; names column, rule and value.
    ContractFaultError: a target is of no class that the contract names.
    """
    if frame.empty:
        raise PreparationError("no entity has enough history for features", where=FEATURES)
    numeric = [name for name in module.NUMERIC if name not in excluded]
    _reject_empty(frame, numeric)
    named = with_entity(frame, problem)
    if TARGET in named:
        named = named.assign(**{TARGET: positions(named[TARGET], problem)})
    valid = _validated(_feature_schema(named, module, problem, excluded), named, FEATURES)
    _reject_constant_target(valid[TARGET], problem)
    return valid


def _feature_schema(
    frame: pd.DataFrame, module: FeatureModule, problem: Problem, excluded: Collection[str]
) -> pa.DataFrameSchema:
    never_infinite = pa.Check(lambda values: ~np.isinf(values), name="finite")
    optional = set(may_be_missing(module))
    numbers = dict.fromkeys([*module.NUMERIC, *({LEVEL} & set(frame.columns))])
    columns = {
        "entity": pa.Column(nullable=False),
        **({"period": pa.Column("datetime64[ns]", coerce=True)} if problem.time else {}),
        **({GROUP: pa.Column(nullable=False)} if problem.group else {}),
        **{
            name: pa.Column(float, never_infinite, nullable=name in optional, coerce=True) for name in numbers
        },
        **{name: pa.Column(nullable=False) for name in module.CATEGORICAL},
        TARGET: pa.Column(float, never_infinite, nullable=True, coerce=True),
    }
    kept = {name: column for name, column in columns.items() if name not in excluded}
    return pa.DataFrameSchema(kept, unique=keys_of(problem) if problem.unique else None, strict=True)


def _reject_empty(frame: pd.DataFrame, numeric: Collection[str]) -> None:
    """A feature without a single number is told as a whole, not row by row."""
    numbers = [name for name in numeric if name in frame and pd.api.types.is_numeric_dtype(frame[name])]
    empty = [
        name for name in numbers if not np.isfinite(frame[name].to_numpy("float64", na_value=np.nan)).any()
    ]
    if empty:
        raise PreparationError(
            f"{', '.join(empty)} is missing or infinite in all {len(frame)} rows", where=FEATURES,
            next_step="correct features.py, or name it in preparation.exclude of the contract",
        )  # fmt: skip


def _reject_constant_target(target: pd.Series, problem: Problem) -> None:
    known = target.dropna()
    if known.empty:
        raise PreparationError(
            "the target is not known in any row",
            where=FEATURES,
            next_step="collect rows whose target is known",
        )
    if len(known) > 1 and known.nunique() == 1:
        value = problem.classes[int(known.iloc[0])] if problem.classes else f"{known.iloc[0]:g}"
        raise PreparationError(
            f"the target is {value} in all {len(known)} rows that have one", where=FEATURES,
            allowed="two different values or more: nothing can be learnt from one",
            next_step="collect rows in which something else happened, or choose another target",
        )  # fmt: skip


def _validated(schema: pa.DataFrameSchema, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        case = error.failure_cases.head(1).to_dict("records")[0]
        what = f"{case['column']} fails {case['check']}, found {case['failure_case']!r}"
        if case["check"] == "column_in_dataframe":
            what = f"column {case['failure_case']} is missing"
        raise PreparationError(f"{what}; {len(error.failure_cases)} faults in all", where=where) from error


def _type_check(kind: str) -> pa.Check:
    return pa.Check(_IS[kind], name=kind)


def _is_text(values: pd.Series) -> Any:
    return values.map(lambda value: isinstance(value, str))


def _is_number(values: pd.Series) -> Any:
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(False, index=values.index)
    if pd.api.types.is_numeric_dtype(values):
        return pd.Series(True, index=values.index)
    return values.map(lambda value: isinstance(value, int | float) and not isinstance(value, bool))


def _is_date(values: pd.Series) -> Any:
    return values.map(lambda value: isinstance(value, date))


def _as_date(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, utc=True).dt.tz_localize(None)


_IS: dict[str, Callable[[pd.Series], Any]] = {"text": _is_text, "number": _is_number, "date": _is_date}
_CONVERT: dict[str, Callable[[pd.Series], pd.Series]] = {
    "text": lambda values: values.astype("str"),
    "number": lambda values: values.astype("float64"),
    "date": _as_date,
}
