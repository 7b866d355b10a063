"""The target: which column it may be, what kind of problem it makes, and which classes it has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from include.kreislauf.drafting.profiling import Column
from include.kreislauf.drafting.table import MOST_VALUES, DraftError, Table
from include.kreislauf.drafting.wishes import ProblemKind, Wishes
from include.kreislauf.preparation.classes import category_text

LEAST_ROWS = 20
"""With fewer known targets nothing can be learnt and judged."""
LEAST_PER_CLASS = 2
"""One to learn from and one to be judged by."""
FEW_NUMBERS = 10
"""Whole numbers with up to so many different values are likely classes."""
_CALLED_TARGET = re.compile(
    r"(^|_)(target|label|class|y|outcome|result|diagnosis|churn|failure|price|score)(_|$)"
)
_NEGATIVE = re.compile(r"^(0|no|false|n|none|negative|normal|ok|healthy|benign)$", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Parameters
    ----------
    classes: in the order of the contract; none for numbers.
    counts: rows of each class.
    unsure: the question, where the kind was guessed.
    known: how many of the sample's rows have it.
    """

    name: str
    kind: ProblemKind
    known: int
    classes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    unsure: str = ""


def target_candidates(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Columns that may be the target, the likeliest first: by name, then from the last one on."""
    fit = [
        one
        for one in columns.values()
        if one.type != "date" and one.distinct > 1 and one.trouble in ("", "sparse")
    ]
    called = [one.name for one in fit if _CALLED_TARGET.search(one.name.lower())]
    others = [one.name for one in reversed(fit) if one.name not in called]
    return tuple([*reversed(called), *others][:5])


def target_of(table: Table, columns: Mapping[str, Column], wishes: Wishes) -> Target:
    """The target that is wished, with its kind and classes.

    Raises
    ------
    DraftError: it does not exist, is constant, has too few rows or too many classes, or is not of the kind.
    """
    where = f"target {wishes.target}"
    column = columns.get(wishes.target)
    if column is None:
        given = f"there is no column {wishes.target!r}" if wishes.target else "no target is named"
        raise DraftError(
            given, where="--target", allowed=", ".join(target_candidates(columns)) or "a column of the table",
            next_step="name the column that is to be predicted",
        )  # fmt: skip
    values = table.frame[column.name].dropna()
    if column.distinct < 2 and len(table.counts.get(column.name, {})) < 2:
        only = f"always {values.iloc[0]!r}" if len(values) else "never known"
        raise DraftError(
            f"is {only}: there is nothing to predict", where=where,
            allowed=", ".join(target_candidates(columns)) or "a column that differs between rows",
            next_step="name another column, or data in which it differs",
        )  # fmt: skip
    if len(values) < LEAST_ROWS:
        raise DraftError(
            f"is known in {len(values)} rows only",
            where=where,
            allowed=f"at least {LEAST_ROWS}",
            next_step="collect more rows",
        )
    kind, unsure = _kind(column, table, wishes, where)
    if kind == "regression":
        return Target(column.name, kind, len(values), unsure=unsure)
    counts = _counts(table, column)
    _require_classes(counts, kind, where)
    return Target(column.name, kind, len(values), _ordered(counts, kind, wishes, where), counts, unsure)


def _kind(column: Column, table: Table, wishes: Wishes, where: str) -> tuple[ProblemKind, str]:
    distinct = len(table.counts.get(column.name, {})) or column.distinct
    guessed, unsure = _guess(column, distinct)
    if not wishes.kind:
        return guessed, unsure
    if wishes.kind == "regression" and column.type != "number":
        raise DraftError(
            f"holds no numbers ({column.why or 'it is text'})", where=where, allowed="binary or multiclass for texts",
            next_step="correct --kind or --target",
        )  # fmt: skip
    return wishes.kind, ""


def _guess(column: Column, distinct: int) -> tuple[ProblemKind, str]:
    if column.type != "number":
        return ("binary" if distinct == 2 else "multiclass"), ""
    if distinct == 2:
        return "binary", ""
    if column.whole and distinct <= FEW_NUMBERS:
        text = f"{column.name} has {distinct} different whole numbers: are they classes, or a number to be estimated?"
        return "multiclass", text
    return "regression", ""


def _counts(table: Table, column: Column) -> dict[str, int]:
    """Rows of each class in the whole table; of more classes than can be counted, those of the sample."""
    known = table.counts.get(column.name)
    if known is not None:
        numbers = column.type == "number"
        return {str(category_text(float(name)) if numbers else name): count for name, count in known.items()}
    named = table.frame[column.name].map(category_text, na_action="ignore").dropna()
    return {str(name): int(count) for name, count in pd.Series(named).value_counts().items()}


def _require_classes(counts: Mapping[str, int], kind: ProblemKind, where: str) -> None:
    if len(counts) > MOST_VALUES:
        raise DraftError(
            f"has {len(counts)} different values", where=where, allowed=f"up to {MOST_VALUES} classes, or numbers",
            next_step="name another target, or merge classes in the source",
        )  # fmt: skip
    if (kind == "binary") != (len(counts) == 2):
        raise DraftError(
            f"has {len(counts)} classes", where=where, allowed="two with kind binary, more with multiclass",
            next_step="correct --kind",
        )  # fmt: skip
    if rare := [f"{name!r} ({count})" for name, count in counts.items() if count < LEAST_PER_CLASS]:
        raise DraftError(
            f"classes with too few rows: {', '.join(rare[:5])}", where=where,
            allowed=f"at least {LEAST_PER_CLASS} rows of each class: one to learn from, one to be judged by",
            next_step="collect more rows of them, or leave them out or merge them in the source",
        )  # fmt: skip


def _ordered(counts: Mapping[str, int], kind: ProblemKind, wishes: Wishes, where: str) -> tuple[str, ...]:
    """Sorted, numbers by their size; of two, the wished one last, else the one that is no plain no, else the rarer."""
    names = sorted(counts, key=_by_size)
    if wishes.positive and wishes.positive not in counts:
        raise DraftError(
            f"there is no class {wishes.positive!r}",
            where=where,
            allowed=names,
            next_step="correct --positive",
        )
    if kind != "binary":
        return tuple(names)
    negative = [name for name in names if _NEGATIVE.match(name)]
    last = wishes.positive or (
        _other(names, negative[0]) if len(negative) == 1 else min(names, key=lambda name: counts[name])
    )
    return _other(names, last), last


def _other(two: list[str], one: str) -> str:
    return two[1] if two[0] == one else two[0]


def _by_size(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
