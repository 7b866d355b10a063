"""A use case's own code, ``features.py``: found by convention, imported, and asked for what it must offer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from include.kreislauf.errors import PreparationError
from include.kreislauf.own_code import load_own
from include.kreislauf.requirements.loading import folder_of
from include.kreislauf.requirements.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

FEATURES = "features"
"""The table of feature versions."""
KEYS = ("entity", "period")
TARGET, LEVEL, GROUP = "target", "level", "group"
WANTED = ("NUMERIC", "CATEGORICAL", "build", "outcomes")


class ContractFaultError(PreparationError):
    """The contract asks for what is not there: it goes back to those who wrote it."""


class FeatureModule(Protocol):
    """What a use case's ``features.py`` offers; without one, see
    :class:`~include.kreislauf.preparation.declared.DeclaredFeatures`.

    Of rows without time there is no column period, of rows without entity none needs to be given. Where the problem has
    a group, its column is called group. Classes are given by their names, as the contract names them.

    It may also offer ``MAY_BE_MISSING: tuple[str, ...]``, the numeric features that need not be known in every row.
    """

    NUMERIC: tuple[str, ...]
    CATEGORICAL: tuple[str, ...]

    def build(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """Columns entity, period, NUMERIC, CATEGORICAL and target (empty where not known at ``as_of``); level as well,
        where the target is a change of it.
        """

    def outcomes(self, raw: pd.DataFrame, as_of: date) -> pd.DataFrame:
        """Columns entity, period, outcome: what happened to every entity, those without features among them."""


def features_path(use_cases: Path, name: str) -> Path:
    """Where a use case's own code stands, if it has any."""
    return folder_of(use_cases, name) / "features.py"


def load_features(use_cases: Path, name: str) -> FeatureModule:
    """A use case's ``features.py``, found by convention.

    Raises
    ------
    PreparationError: the file is missing, cannot be imported (names file and line), or lacks a name it must offer.
    """
    path = features_path(use_cases, name)
    module = load_own(
        path, PreparationError,
        next_step="add one (see the guide), or name the column problem.target in the contract",
    )  # fmt: skip
    _require_names(module, path)
    return cast("FeatureModule", module)


def may_be_missing(module: FeatureModule) -> tuple[str, ...]:
    """Numeric features that need not be known in every row."""
    return tuple(getattr(module, "MAY_BE_MISSING", ()))


def day_of(as_of: datetime, problem: Problem) -> date:
    """What a module is told of a time: its day; the time itself (in UTC, without a zone) where periods are hours."""
    return as_of.astimezone(UTC).replace(tzinfo=None) if problem.period == "hour" else as_of.date()


def row_numbers(rows: pd.DataFrame) -> pd.Series:
    """What rows without entity are called: their numbers, as text."""
    return rows.index.to_series().map("{:09d}".format).astype("str")


def keys_of(problem: Problem) -> list[str]:
    """The columns of a table of features by which a row is found."""
    return [*KEYS] if problem.time else [KEYS[0]]


def with_entity(frame: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """What a module has built, with the column entity that it need not give where rows have none."""
    if problem.entity is not None or KEYS[0] in frame:
        return frame
    numbered = frame.reset_index(drop=True)
    return numbered.assign(**{KEYS[0]: row_numbers(numbered)})


def names_of(module: FeatureModule) -> tuple[str, ...]:
    """All features of a module, numeric ones first."""
    return (*module.NUMERIC, *module.CATEGORICAL)


def columns_of(frame: pd.DataFrame, module: FeatureModule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Numeric and categorical features that a feature version really holds: excluded ones are not in its table."""
    there = set(frame.columns)
    numeric = tuple(name for name in module.NUMERIC if name in there)
    return numeric, tuple(name for name in module.CATEGORICAL if name in there)


def _require_names(module: ModuleType, path: Path) -> None:
    where = str(path)
    if missing := [wanted for wanted in WANTED if not hasattr(module, wanted)]:
        raise PreparationError(f"lacks {', '.join(missing)}", where=where)
    for name in ("NUMERIC", "CATEGORICAL", "MAY_BE_MISSING"):
        _require_strings(getattr(module, name, ()), name, where)
    if not (callable(module.build) and callable(module.outcomes)):
        raise PreparationError("build and outcomes are not both functions", where=where)
    given = (*module.NUMERIC, *module.CATEGORICAL)
    if faults := sorted({name for name in given if given.count(name) > 1 or name in (*KEYS, TARGET)}):
        raise PreparationError(
            f"{', '.join(faults)} cannot be a feature", where=where,
            allowed=f"each name once in NUMERIC or CATEGORICAL, none of {', '.join((*KEYS, TARGET))}",
        )  # fmt: skip
    if unknown := [name for name in getattr(module, "MAY_BE_MISSING", ()) if name not in module.NUMERIC]:
        raise PreparationError(
            f"MAY_BE_MISSING names {', '.join(unknown)}", where=where, allowed=module.NUMERIC
        )


def _require_strings(value: object, name: str, where: str) -> None:
    is_text = isinstance(value, str) or not isinstance(value, Iterable)
    if is_text or not all(isinstance(one, str) for one in cast("Iterable[object]", value)):
        raise PreparationError(f"{name} is {value!r}", where=where, allowed="a tuple of column names")
