"""What each column of a table is: its type, and whether it names rows, says nothing, or only looks like something."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from include.kreislauf.drafting.table import Table

Kind = Literal["number", "text", "date"]
Trouble = Literal[
    "", "empty", "constant", "identifier", "free_text", "dates_as_text", "numbers_as_text", "sparse"
]

SPARSE = 0.9
"""Share of missing values from which a column is proposed to be left alone."""
UNIQUE = 0.95
"""Share of different values among those that are there, from which a text names its row."""
LEAST_ROWS = 20
"""Of fewer rows, different values say nothing."""
DENSE = 1.5
"""Whole numbers that spread over at most so many times their count are running numbers."""
SENTENCE = 40
"""Mean length from which a text of its own in every row is free text, no name."""
MANY_TEXTS = 100
ALMOST_ALL = 0.9
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_DATE = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*|\d{1,2}\.? ?[A-Za-zÀ-ž]{3,9}\.? \d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4}"
)
_COMMA_NUMBER = re.compile(r"[-+]?\d{1,3}([. ']\d{3})*,\d+|[-+]?\d+,\d+")
_CALLED_ID = re.compile(
    r"(^|[^a-z])(id|ids|key|uuid|guid|index|idx|nr|number|row|rownum|serial)$|^unnamed: \d+$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Column:
    """One column as the sample shows it.

    Parameters
    ----------
    type: as a contract names it.
    missing: share of values that are missing; ``known``: how many are not, in the sample.
    distinct: how many different values the sample has.
    whole: whether all numbers are whole.
    trouble: why models should not see it; empty: they may.
    why: the trouble in words, with its numbers.
    """

    name: str
    type: Kind
    missing: float
    known: int
    distinct: int
    whole: bool = False
    trouble: Trouble = ""
    why: str = ""

    @property
    def called_id(self) -> bool:
        """Whether its name says that it names something."""
        return bool(_CALLED_ID.search(_CAMEL.sub("_", self.name).lower()))


def profile(table: Table) -> dict[str, Column]:
    """Every column, by name."""
    return {str(name): _column(str(name), table.frame[name], table) for name in table.frame.columns}


def _column(name: str, values: pd.Series, table: Table) -> Column:
    known = values.dropna()
    missing = 1 - len(known) / len(values)
    column = Column(name, _type(known), missing, len(known), int(known.nunique()), _whole(known))
    trouble, why = _trouble(column, known, table)
    return replace(column, trouble=trouble, why=why)


def _type(known: pd.Series) -> Kind:
    if pd.api.types.is_bool_dtype(known):
        return "text"
    if pd.api.types.is_numeric_dtype(known) and len(known):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(known):
        return "date"
    if (
        len(known)
        and not pd.api.types.is_numeric_dtype(known)
        and _share(known, _ISO) == 1.0
        and _is_calendar(known)
    ):
        return "date"
    return "text"


def _is_calendar(known: pd.Series) -> bool:
    parsed = pd.to_datetime(known.astype("str"), errors="coerce", utc=True, format="ISO8601")
    return bool(parsed.notna().all())


def _share(known: pd.Series, pattern: re.Pattern[str]) -> float:
    """Share of texts that are wholly of a form."""
    return sum(1 for one in known if pattern.fullmatch(str(one).strip())) / max(1, len(known))


def _whole(known: pd.Series) -> bool:
    if not len(known) or not pd.api.types.is_numeric_dtype(known) or pd.api.types.is_bool_dtype(known):
        return False
    return bool((known.astype("float64") % 1 == 0).all())


def _trouble(column: Column, known: pd.Series, table: Table) -> tuple[Trouble, str]:
    if not len(known):
        return "empty", "no value is known"
    if column.distinct == 1 and not column.missing:
        return "constant", f"always {_short(known.iloc[0])}"
    if column.missing >= SPARSE:
        return "sparse", f"{column.missing:.0%} of the values are missing"
    if column.type == "text":
        return _trouble_of_text(column, known)
    if column.type == "number" and _is_running_number(column, known, table):
        return (
            "identifier",
            "a whole number of its own in every row: it names rows, and says nothing of others",
        )
    return "", ""


def _trouble_of_text(column: Column, known: pd.Series) -> tuple[Trouble, str]:
    if (dates := _share(known, _DATE)) >= ALMOST_ALL:
        shown = ", ".join(dict.fromkeys(_short(one) for one in _of_each_form(known)))
        return "dates_as_text", f"{dates:.0%} look like dates, but not in ISO 8601 (such as {shown})"
    if _share(known, _COMMA_NUMBER) >= ALMOST_ALL:
        return "numbers_as_text", f"looks like numbers with a comma (such as {_short(known.iloc[0])})"
    if (
        numbers := float(pd.to_numeric(known, errors="coerce").notna().mean())
    ) >= ALMOST_ALL and column.distinct > 2:
        other = known[pd.to_numeric(known, errors="coerce").isna()]
        if len(other):
            return (
                "numbers_as_text",
                f"{numbers:.0%} are numbers, others are not (such as {_short(other.iloc[0])})",
            )
    if len(known) >= LEAST_ROWS and column.distinct >= UNIQUE * len(known):
        if float(known.astype("str").str.len().mean()) >= SENTENCE:
            return "free_text", f"a text of its own in {column.distinct} of {len(known)} rows"
        return "identifier", f"a value of its own in {column.distinct} of {len(known)} rows: it names rows"
    if column.distinct > MANY_TEXTS and column.distinct > len(known) / 5:
        return (
            "free_text",
            f"{column.distinct} different texts in {len(known)} rows: too few of each to learn from",
        )
    return "", ""


def _is_running_number(column: Column, known: pd.Series, table: Table) -> bool:
    """Whole numbers, each once, that are called an identifier or leave hardly any number out."""
    if not column.whole or len(known) < LEAST_ROWS or column.distinct < len(known):
        return False
    total = round(table.rows * (1 - column.missing))
    return column.called_id or float(known.max() - known.min()) + 1 <= DENSE * max(total, len(known))


def _of_each_form(known: pd.Series) -> list[str]:
    """One text of each form, digits taken as equal; three at most."""
    forms: dict[str, str] = {}
    for one in known.astype("str"):
        forms.setdefault(re.sub(r"[A-Za-zÀ-ž]+", "a", re.sub(r"\d+", "0", one)), one)
    return list(forms.values())[:3]


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
