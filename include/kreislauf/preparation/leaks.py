"""Automatic checks for leaks: features that know the future, and features that are the target in disguise.

A feature table must not change when the future is taken away. So it is built anew from the rows that had ended at
some times of the past, and compared with the full one: what differs reads the future (Kaufman et al., Leakage in
Data Mining, 2012: "legitimate" features are observable before the prediction is made).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.kreislauf.errors import PreparationError
from include.kreislauf.periods import number_of, numbers_of, start_of_number
from include.kreislauf.preparation.association import association
from include.kreislauf.preparation.features import (
    KEYS,
    LEVEL,
    TARGET,
    FeatureModule,
    day_of,
    names_of,
    with_entity,
)
from include.kreislauf.requirements.contract import Problem

ROWS = "rows"
"""Named in place of a feature: rows themselves are there, or not, because of the future."""
TOLERANCE = 1e-9
"""Times a column's largest number: a smaller difference is rounding."""
DIFFERS = "share of rows that differ"
LEAST_ROWS = 30
"""Fewer rows with a target say nothing about a correlation."""


@dataclass(frozen=True)
class Leak:
    """A feature (or ``target``, ``level``, ``rows``) that knows what it must not.

    Parameters
    ----------
    what: it reads the future, or it goes with the target too well.
    value: largest share of a cut's rows that differ, or the association with the target.
    unit: of the value.
    cut: the time at which it was found; none for a correlation.
    """

    feature: str
    what: Literal["future", "correlation"]
    value: float
    unit: str
    cut: date | None = None


def cuts(raw: pd.DataFrame, as_of: date, problem: Problem, checks: int) -> tuple[date, ...]:
    """Ends of periods, spread over the later half of those that were complete at ``as_of``; the last says nothing."""
    return tuple(_day(number, problem) for number in _cut_numbers(raw, as_of, problem, checks))


def future_leaks(
    module: FeatureModule, raw: pd.DataFrame, as_of: date, problem: Problem, checks: int
) -> tuple[Leak, ...]:
    """What differs when features are built without the future, at several times.

    Values and rows of the time before a cut, and targets known by then, must be what they are in the full build;
    targets that were not known yet must be missing.

    Parameters
    ----------
    raw: the rows that ``build`` gets, cleaned; a column ``problem.time`` (datetime64).
    checks: how many times of the past; 0: none, and nothing is found, as in rows without time.

    Returns
    -------
    One leak per column, that of the cut at which most rows differ.
    """
    numbers = _cut_numbers(raw, as_of, problem, checks)
    if not numbers:
        return ()
    full = with_entity(module.build(raw.copy(), as_of), problem)
    ends = problem.ends_of(raw[str(problem.time)])
    found = _known_too_early(full, as_of, problem)
    for cut in (_day(number, problem) for number in numbers):
        part = _build(module, raw[ends <= pd.Timestamp(cut)].reset_index(drop=True), cut, full)
        part = with_entity(part, problem)
        found += _known_too_early(part, cut, problem)
        found += _differences(full, part, cut, module, problem)
    worst = {one.feature: one for one in sorted(found, key=lambda one: one.value)}
    return tuple(worst[name] for name in sorted(worst))


def correlated_leaks(
    frame: pd.DataFrame, module: FeatureModule, problem: Problem, limit: float
) -> tuple[Leak, ...]:
    """Features of the frame whose association with the target reaches a limit; see
    :func:`~include.kreislauf.preparation.association.association`.

    Parameters
    ----------
    frame: checked features; of classes the target is their position.
    """
    found = []
    target, known = frame[TARGET], frame[TARGET].notna()
    for name in (one for one in names_of(module) if one in frame.columns):
        both = (known & frame[name].notna()).to_numpy()
        if both.sum() < LEAST_ROWS:
            continue
        value, unit = association(frame[name][both], target[both], classes=bool(problem.classes))
        if abs(value) >= limit - TOLERANCE:
            found.append(Leak(name, "correlation", value, unit))
    return tuple(found)


def _cut_numbers(raw: pd.DataFrame, as_of: date, problem: Problem, checks: int) -> list[int]:
    if problem.time is None:
        return []
    numbers = np.unique(numbers_of(raw[problem.time], problem.calendar))
    complete = numbers[numbers < _number(as_of, problem)]
    candidates = complete[len(complete) // 2 : -1] + 1
    if not checks or not len(candidates):
        return []
    places = np.linspace(0, len(candidates) - 1, min(checks, len(candidates))).round().astype(int)
    return [int(candidates[place]) for place in places]


def _build(module: FeatureModule, raw: pd.DataFrame, cut: date, full: pd.DataFrame) -> pd.DataFrame:
    """Features as of a cut; none where the module says that there is too little to build them from."""
    try:
        return module.build(raw, cut)
    except PreparationError:
        return full.head(0)


def _known_too_early(frame: pd.DataFrame, cut: date, problem: Problem) -> list[Leak]:
    """Rows of times that have not ended, and targets that are not known yet."""
    target = frame[TARGET].notna() & ~_target_is_known(frame[KEYS[1]], cut, problem)
    return [*_leak(TARGET, target, cut), *_leak(ROWS, ~_has_ended(frame, cut, problem), cut)]


def _has_ended(frame: pd.DataFrame, cut: date, problem: Problem) -> pd.Series:
    return problem.ends_of(frame[KEYS[1]]) <= pd.Timestamp(cut)


def _target_is_known(periods: pd.Series, cut: date, problem: Problem) -> pd.Series:
    return numbers_of(periods, problem.calendar) + problem.horizon < _number(cut, problem)


def _differences(
    full: pd.DataFrame, part: pd.DataFrame, cut: date, module: FeatureModule, problem: Problem
) -> list[Leak]:
    """Columns, and rows, of the time before the cut that are not the same with and without the future."""
    columns = list(dict.fromkeys([*names_of(module), LEVEL, TARGET]))
    left, right = _keyed(full[_has_ended(full, cut, problem)], columns), _keyed(part, columns)
    found = _leak(ROWS, ~_in_both(left, right), cut)
    keys = left.index.intersection(right.index)
    left, right = left.loc[keys], right.loc[keys]
    known = _target_is_known(keys.get_level_values(1).to_series(), cut, problem).to_numpy()
    for name in columns:
        differs = _differ(left[name], right[name])
        found += _leak(name, differs & known if name == TARGET else differs, cut)
    return found


def _keyed(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    keys = list(KEYS)
    table = frame.drop_duplicates(keys).astype({KEYS[1]: "datetime64[ns]"})
    return table.set_index(keys).reindex(columns=list(columns)).sort_index()


def _in_both(left: pd.DataFrame, right: pd.DataFrame) -> Any:
    every = left.index.union(right.index)
    return every.isin(left.index) & every.isin(right.index)


def _differ(left: pd.Series, right: pd.Series) -> Any:
    """Where two columns differ; missing is equal to missing."""
    if not (pd.api.types.is_numeric_dtype(left) and pd.api.types.is_numeric_dtype(right)):
        both_missing = (left.isna() & right.isna()).to_numpy()
        return ~(both_missing | (left.astype("str").to_numpy() == right.astype("str").to_numpy()))
    a, b = left.to_numpy("float64", na_value=np.nan), right.to_numpy("float64", na_value=np.nan)
    sizes = np.abs(np.concatenate([a, b]))
    largest = np.max(sizes, where=np.isfinite(sizes), initial=0.0)
    return ~np.isclose(a, b, rtol=0.0, atol=TOLERANCE * largest, equal_nan=True)


def _leak(name: str, differs: Any, day: date) -> list[Leak]:
    share = float(np.mean(differs)) if len(differs) else 0.0
    return [Leak(name, "future", share, DIFFERS, day)] if share else []


def _number(day: date, problem: Problem) -> int:
    return number_of(pd.Timestamp(day).to_pydatetime(), problem.calendar)


def _day(number: int, problem: Problem) -> date:
    return day_of(start_of_number(number, problem.calendar), problem)
