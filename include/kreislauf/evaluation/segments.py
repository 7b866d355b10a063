"""Parts of the rows that are judged on their own, and what no row stands for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from include.kreislauf.errors import EvaluationError, PreparationError
from include.kreislauf.requirements.science import Segment
from include.kreislauf.training.design import Design
from include.kreislauf.training.step import Training

AGE = "entity_age"
AGES: tuple[tuple[str, float], ...] = (
    ("1 to 8 periods", 8),
    ("9 to 20 periods", 20),
    ("over 20 periods", np.inf),
)
"""Names of the segments by age, each with its last period since the entity's first row."""  # fmt: skip


def segments_of(frame: pd.DataFrame, design: Design, rules: Sequence[Segment]) -> pd.DataFrame:
    """The rows' keys with one column per segment rule.

    Raises
    ------
    EvaluationError: a rule names a column that is no categorical feature.
    """
    keys = ["entity", "period"] if design.period else ["entity"]
    known = [*design.categorical, *([AGE] if design.period else [])]
    if unknown := [rule.by for rule in rules if rule.by not in known]:
        raise EvaluationError(
            f"{', '.join(unknown)} is no segment", where="contract: performance.segments", allowed=known,
            next_step="correct the contract",
        )  # fmt: skip
    marks = frame[keys].copy()
    for rule in rules:
        marks[rule.by] = _ages(frame, design) if rule.by == AGE else frame[rule.by].astype(str)
    if design.period:
        marks["period"] = pd.to_datetime(marks["period"])
    return marks


def unknown_entities(training: Training, held_out: pd.DataFrame) -> float:
    """Share of what happened in the held-out periods that is about entities without features: what no model knows."""
    if "period" not in held_out:
        return 0.0
    try:
        if training.raw is None:
            return 0.0
        happened = training.module.outcomes(training.raw.copy(), training.order.as_of.date())
    except PreparationError:  # told by preparation already, which used the same rows
        return 0.0
    happened = happened[pd.to_datetime(happened["period"]).isin(pd.to_datetime(held_out["period"]))]
    known = set(zip(held_out["entity"], pd.to_datetime(held_out["period"]), strict=True))
    seen = [key in known for key in zip(happened["entity"], pd.to_datetime(happened["period"]), strict=True)]
    return 1.0 - float(np.mean(seen)) if seen else 0.0


def _ages(frame: pd.DataFrame, design: Design) -> pd.Series:
    times = pd.Series(design.times(frame["period"]), index=frame.index)
    age = times - times.groupby(frame["entity"]).transform("min") + 1
    return age.map(lambda periods: next(name for name, last in AGES if periods <= last))
