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
from include.kreislauf.periods import MONTHS
from include.kreislauf.preparation.cleaning import period_numbers
from include.kreislauf.preparation.features import KEYS, LEVEL, TARGET, FeatureModule, names_of
from include.kreislauf.requirements.contract import Problem

ROWS = "rows"
"""Named in place of a feature: rows themselves are there, or not, because of the future."""
TOLERANCE = 1e-9
"""Times a column's largest number: a smaller difference is rounding."""
LEAST_ROWS = 30
"""Fewer rows with a target say nothing about a correlation."""


@dataclass(frozen=True)
class Leak:
    """A feature (or ``target``, ``level``, ``rows``) that knows what it must not.

    Parameters
    ----------
    what: it reads the future, or it goes with the target too well.
    value: largest share of a cut's rows that differ, or the rank correlation.
    cut: the time at which it was found; none for a correlation.
    """

    feature: str
    what: Literal["future", "correlation"]
    value: float
    cut: date | None = None

    @property
    def unit(self) -> str:
        """Of the value."""
        return "share of rows that differ" if self.what == "future" else "rank correlation"


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
    raw: the rows that ``build`` gets, cleaned; columns ``problem.entity`` and ``problem.time`` (datetime64).
    checks: how many times of the past; 0: none, and nothing is found.

    Returns
    -------
    One leak per column, that of the cut at which most rows differ.
    """
    numbers = _cut_numbers(raw, as_of, problem, checks)
    if not numbers:
        return ()
    full = module.build(raw.copy(), as_of)
    ended = period_numbers(raw[problem.time], problem.period)
    found = _known_too_early(full, _number(as_of, problem), problem)
    for cut in numbers:
        part = _build(module, raw[ended < cut].reset_index(drop=True), _day(cut, problem), full)
        found += _known_too_early(part, cut, problem)
        found += _differences(full, part, cut, module, problem)
    worst = {one.feature: one for one in sorted(found, key=lambda one: one.value)}
    return tuple(worst[name] for name in sorted(worst))


def correlated_leaks(frame: pd.DataFrame, module: FeatureModule, limit: float) -> tuple[Leak, ...]:
    """Numeric features of the frame whose absolute rank correlation (Spearman) with the target reaches a limit."""
    found = []
    for name in (one for one in module.NUMERIC if one in frame.columns):
        pairs = frame[[name, TARGET]].dropna()
        if len(pairs) < LEAST_ROWS or pairs[name].nunique() < 2 or pairs[TARGET].nunique() < 2:
            continue
        ranks = pairs.rank()
        value = float(np.corrcoef(ranks[name], ranks[TARGET])[0, 1])
        if abs(value) >= limit - TOLERANCE:
            found.append(Leak(name, "correlation", value))
    return tuple(found)


def _cut_numbers(raw: pd.DataFrame, as_of: date, problem: Problem, checks: int) -> list[int]:
    numbers = np.unique(period_numbers(raw[problem.time], problem.period))
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


def _known_too_early(frame: pd.DataFrame, cut: int, problem: Problem) -> list[Leak]:
    """Rows of periods that have not ended, and targets that are not known yet."""
    numbers = period_numbers(frame[KEYS[1]], problem.period)
    unknown = numbers + problem.horizon >= cut
    target = frame[TARGET].notna() & unknown
    day = _day(cut, problem)
    return [*_leak(TARGET, target, day), *_leak(ROWS, numbers >= cut, day)]


def _differences(
    full: pd.DataFrame, part: pd.DataFrame, cut: int, module: FeatureModule, problem: Problem
) -> list[Leak]:
    """Columns, and rows, of the time before the cut that are not the same with and without the future."""
    day = _day(cut, problem)
    columns = list(dict.fromkeys([*names_of(module), LEVEL, TARGET]))
    before = full[period_numbers(full[KEYS[1]], problem.period) < cut]
    left, right = _keyed(before, columns), _keyed(part, columns)
    found = _leak(ROWS, ~_in_both(left, right), day)
    keys = left.index.intersection(right.index)
    left, right = left.loc[keys], right.loc[keys]
    known = np.asarray(period_numbers(keys.get_level_values(1), problem.period)) + problem.horizon < cut
    for name in columns:
        differs = _differ(left[name], right[name])
        found += _leak(name, differs & known if name == TARGET else differs, day)
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
    return [Leak(name, "future", share, day)] if share else []


def _number(day: date, problem: Problem) -> int:
    return int(period_numbers(pd.Timestamp(day), problem.period))


def _day(number: int, problem: Problem) -> date:
    months = number * MONTHS[problem.period]
    return date(months // 12, months % 12 + 1, 1)
