"""The contract's cleaning steps on raw rows, each with an account of what it changed.

No step looks ahead: cleaning the rows up to any time gives what cleaning all rows gives up to that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.kreislauf.errors import PreparationError
from include.kreislauf.periods import numbers_of
from include.kreislauf.requirements.contract import Contract, Problem
from include.kreislauf.requirements.science import (
    CleaningStep,
    Clip,
    DropMissing,
    FillPrevious,
    FillValue,
    KeepLatest,
    OutOfRangeMissing,
)

WHERE = "preparation.cleaning"
INFINITE = "infinite_missing"
"""What is done always: an infinite number is none."""


@dataclass(frozen=True)
class Cleaned:
    """What one step changed: so many rows left out, or so many values replaced."""

    step: str
    columns: tuple[str, ...]
    changed: int
    unit: Literal["rows", "values"]


def clean(frame: pd.DataFrame, contract: Contract) -> tuple[pd.DataFrame, list[Cleaned]]:
    """Raw rows after the contract's steps, in their order, and what each of them changed.

    Parameters
    ----------
    frame: raw rows as :func:`~include.kreislauf.preparation.schemas.check_raw` returns them; left as they are.

    Raises
    ------
    PreparationError: a step names a column that is not there, or one whose type it cannot work on.
    """
    account: list[Cleaned] = []
    frame, infinite, columns = _without_infinite(frame.reset_index(drop=True))
    if infinite:
        account.append(Cleaned(INFINITE, columns, infinite, "values"))
    for step in contract.preparation.cleaning:
        names = _known_columns(frame, step, contract.problem)
        before = frame
        frame = _STEPS[step.step](frame, step, contract.problem)
        account.append(_cleaned(step, names, before, frame))
    return frame, account


def _without_infinite(frame: pd.DataFrame) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
    """Infinite numbers as missing; how many there were, and in which columns."""
    numbers = [str(name) for name in frame.select_dtypes("number")]
    counts = {name: int(np.isinf(frame[name].dropna()).sum()) for name in numbers}
    found = tuple(name for name, count in counts.items() if count)
    changed = frame.assign(**{name: frame[name].replace([np.inf, -np.inf], np.nan) for name in found})
    return changed, sum(counts.values()), found


def _known_columns(frame: pd.DataFrame, step: CleaningStep, problem: Problem) -> tuple[str, ...]:
    """The columns of a step, which must be there and be of a type that it can work on; keys are not changed."""
    if isinstance(step, KeepLatest):
        return tuple(problem.unique)
    allowed = [name for name in frame.columns if name not in problem.keys]
    if isinstance(step, Clip | OutOfRangeMissing):
        allowed = [name for name in allowed if pd.api.types.is_numeric_dtype(frame[name])]
    if isinstance(step, FillValue):
        wants_number = not isinstance(step.value, str)
        allowed = [name for name in allowed if pd.api.types.is_numeric_dtype(frame[name]) == wants_number]
    if unknown := [name for name in step.columns if name not in allowed]:
        raise PreparationError(
            f"{step.step} cannot be done on {', '.join(unknown)}", where=WHERE, allowed=allowed,
            next_step="correct preparation.cleaning in the contract",
        )  # fmt: skip
    return step.columns


def _cleaned(
    step: CleaningStep, columns: Sequence[str], before: pd.DataFrame, after: pd.DataFrame
) -> Cleaned:
    if isinstance(step, DropMissing | KeepLatest):
        return Cleaned(step.step, tuple(columns), len(before) - len(after), "rows")
    names = list(columns)
    same = (before[names] == after[names]) | (before[names].isna() & after[names].isna())
    return Cleaned(step.step, tuple(columns), int((~same).to_numpy().sum()), "values")


def _drop_missing(frame: pd.DataFrame, step: DropMissing, _: Problem) -> pd.DataFrame:
    return frame.dropna(subset=list(step.columns)).reset_index(drop=True)


def _fill_value(frame: pd.DataFrame, step: FillValue, _: Problem) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].fillna(step.value) for name in step.columns})


def _fill_previous(frame: pd.DataFrame, step: FillPrevious, problem: Problem) -> pd.DataFrame:
    """The entity's value before, where it is at most ``limit`` calendar periods old."""
    of, time = problem.keys  # the contract holds that both are there
    ordered = frame.sort_values(time, kind="stable")
    number = numbers_of(ordered[time], problem.calendar)
    filled = {}
    for name in step.columns:
        values, entity = ordered[name], ordered[of]
        known_at = number.where(values.notna()).groupby(entity).ffill()
        previous = values.groupby(entity).ffill()
        filled[name] = previous.where(number - known_at <= step.limit).sort_index()
    return frame.assign(**filled)


def _clip(frame: pd.DataFrame, step: Clip, _: Problem) -> pd.DataFrame:
    numbers = {name: frame[name].astype("float64").clip(step.low, step.high) for name in step.columns}
    return frame.assign(**numbers)


def _out_of_range_missing(frame: pd.DataFrame, step: OutOfRangeMissing, _: Problem) -> pd.DataFrame:
    low = -np.inf if step.low is None else step.low
    high = np.inf if step.high is None else step.high
    numbers = {name: frame[name].astype("float64") for name in step.columns}
    return frame.assign(**{name: values.where(values.between(low, high)) for name, values in numbers.items()})


def _keep_latest(frame: pd.DataFrame, _: KeepLatest, problem: Problem) -> pd.DataFrame:
    return frame.drop_duplicates(problem.unique, keep="last", ignore_index=True)


_STEPS: dict[str, Callable[[pd.DataFrame, Any, Problem], pd.DataFrame]] = {
    "drop_missing": _drop_missing,
    "fill_value": _fill_value,
    "fill_previous": _fill_previous,
    "clip": _clip,
    "out_of_range_missing": _out_of_range_missing,
    "keep_latest": _keep_latest,
}
