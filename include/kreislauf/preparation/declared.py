"""Features without code: the columns that a contract declares, as they stand in the data."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from include.kreislauf.periods import number_of, numbers_of
from include.kreislauf.preparation.classes import category_text
from include.kreislauf.preparation.features import (
    GROUP,
    KEYS,
    TARGET,
    ContractFaultError,
    FeatureModule,
    features_path,
    load_features,
    row_numbers,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import Rows

WHERE = "contract: sources.columns"
ENTITY, PERIOD = KEYS
OUTCOME = "outcome"
NOTHING = "missing"
"""What stands for a category that is missing."""


def features_of(contract: Contract, use_cases: Path) -> FeatureModule:
    """The features of a use case: its ``features.py``, or else the columns that its contract declares.

    Raises
    ------
    PreparationError: as :func:`~include.kreislauf.preparation.features.load_features`; or there is neither a file nor
        ``problem.target``.
    ContractFaultError: as :class:`DeclaredFeatures`.
    """
    if contract.problem.target is None or features_path(use_cases, contract.name).exists():
        return load_features(use_cases, contract.name)
    return DeclaredFeatures(contract)


class DeclaredFeatures:
    """Every declared column but keys, target, group, dates, and those with ``feature: false``.

    Numbers may all be missing in a row; a missing text is a category of its own. Where rows have time, the target that
    stands in a row is taken as known when ``problem.horizon`` periods after the row's own have ended.

    Parameters
    ----------
    contract: one with ``problem.target``.

    Attributes
    ----------
    NUMERIC, CATEGORICAL, MAY_BE_MISSING: names of the columns, in the contract's order.

    Raises
    ------
    ContractFaultError: there is no such column, or one has a name that the table of features needs itself.
    """

    def __init__(self, contract: Contract) -> None:
        self._problem = contract.problem
        types = _types(contract)
        self.NUMERIC = tuple(name for name, kind in types.items() if kind == "number")
        self.CATEGORICAL = tuple(name for name, kind in types.items() if kind == "text")
        self.MAY_BE_MISSING = self.NUMERIC
        self._check_names()

    def build(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """One row for each raw one that was complete at ``as_of``; see
        :class:`~include.kreislauf.preparation.features.FeatureModule`.
        """
        rows = self._complete(raw, as_of)
        numbers = {name: rows[name].astype("float64") for name in self.NUMERIC}
        texts = {
            name: rows[name].map(category_text).fillna(NOTHING).astype("str") for name in self.CATEGORICAL
        }
        return pd.DataFrame(
            {**self._keys(rows), **numbers, **texts, TARGET: self._target(rows, as_of)}
        ).reset_index(drop=True)  # fmt: skip

    def outcomes(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """What happened in every row whose target was known at ``as_of``: columns entity, period and outcome."""
        rows = self._complete(raw, as_of)
        found = pd.DataFrame({**self._keys(rows), OUTCOME: self._target(rows, as_of)})
        return found.drop(columns=GROUP, errors="ignore").dropna(subset=[OUTCOME]).reset_index(drop=True)

    def _check_names(self) -> None:
        names = (*self.NUMERIC, *self.CATEGORICAL)
        if not names:
            raise ContractFaultError(
                "no declared column is left to learn from", where=WHERE,
                allowed="columns of type number or text beside keys, target and group",
                next_step="declare more of the sources' columns, or take feature: false away",
            )  # fmt: skip
        if taken := [name for name in names if name in self._own_names()]:
            raise ContractFaultError(
                f"{', '.join(taken)} cannot be the name of a feature", where=WHERE,
                allowed=f"any name but {', '.join(self._own_names())}",
                next_step="rename the column in the source, or set feature: false on it",
            )  # fmt: skip

    def _own_names(self) -> list[str]:
        """The columns of the table of features that are none."""
        optional = [(PERIOD, self._problem.time), (GROUP, self._problem.group)]
        return [ENTITY, TARGET, *(name for name, column in optional if column)]

    def _complete(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        if self._problem.time is None:
            return raw
        return raw[self._problem.ends_of(raw[self._problem.time]) <= pd.Timestamp(as_of)]

    def _keys(self, rows: pd.DataFrame) -> dict[str, pd.Series]:
        problem = self._problem
        entities = rows[problem.entity] if problem.entity else row_numbers(rows)
        keys = {ENTITY: entities}
        if problem.time:
            keys[PERIOD] = rows[problem.time]
        if problem.group:
            keys[GROUP] = rows[problem.group]
        return keys

    def _target(self, rows: pd.DataFrame, as_of: date) -> pd.Series:
        problem = self._problem
        target: pd.Series = rows[str(problem.target)]
        if problem.time is None:
            return target
        ended = numbers_of(rows[problem.time], problem.calendar) + problem.horizon
        return target.where(ended < number_of(pd.Timestamp(as_of).to_pydatetime(), problem.calendar))


def _types(contract: Contract) -> dict[str, str]:
    """Type of each declared column that may be a feature."""
    problem = contract.problem
    others = {problem.entity, problem.time, problem.group, problem.target}
    types: dict[str, str] = {}
    for source in contract.sources:
        if isinstance(source, Rows):
            types |= {name: one.type for name, one in source.columns.items() if one.feature}
        else:
            types |= dict.fromkeys(source.columns, "number")
    return {name: kind for name, kind in types.items() if name not in others}
