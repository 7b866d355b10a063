"""Categories as text, and classes of a target as positions in the contract's list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.kreislauf.preparation.features import FEATURES, ContractFaultError
from include.kreislauf.requirements.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""Unknown classes that an error names at most."""


def category_text(value: Any) -> str | None:
    """A category as text; a column of whole numbers with missing ones among them holds 1.0 for 1."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_missing(value: Any) -> bool:
    """None, NaN, or one of the missing values of pandas, which is not imported here."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def positions(values: pd.Series, problem: Problem, where: str = FEATURES) -> pd.Series:
    """What happened as a model learns it: of classes their positions in ``problem.classes``, of numbers themselves.

    Parameters
    ----------
    values: targets or outcomes as a feature module gives them: numbers, or names of classes; missing ones stay so.

    Raises
    ------
    ContractFaultError: the values hold a class that the contract does not name.
    """
    if problem.task == "regression":
        return values
    names = values.map(category_text, na_action="ignore")
    place = {name: float(number) for number, name in enumerate(problem.classes)}
    unknown = names[~names.isin(place) & names.notna()]
    if len(unknown):
        counts = unknown.value_counts().head(SHOWN)
        shown = ", ".join(f"{name!r} in {count} rows" for name, count in counts.items())
        raise ContractFaultError(
            f"the target is of no class of the contract: {shown}", where=where, allowed=problem.classes,
            next_step="correct problem.classes in the contract, or the source's rows",
        )  # fmt: skip
    return names.map(place).astype("float64")
