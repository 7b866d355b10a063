"""Parts of the rows that are judged on their own, and what no row stands for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from include.kreislauf.errors import EvaluationError, PreparationError
from include.kreislauf.preparation.features import day_of
from include.kreislauf.requirements.science import Segment
from include.kreislauf.training.design import Design, Rows
from include.kreislauf.training.step import Training

AGE = "entity_age"
AGES: tuple[tuple[str, float], ...] = (
    ("1 to 8 periods", 8),
    ("9 to 20 periods", 20),
    ("over 20 periods", np.inf),
)
"""Names of the segments by age, each with its last period since the entity's first row."""  # fmt: skip


def segments_of(frame: pd.DataFrame, design: Design, rules: Sequence[Segment]) -> pd.DataFrame:
    """One column per segment rule, by row: its position among those with known target.

    Parameters
    ----------
    frame: the whole feature version; ages count from an entity's first row in it.

    Raises
    ------
    EvaluationError: a rule names a column that is no categorical feature.
    """
    known = [*design.categorical, *([AGE] if design.period else [])]
    if unknown := [rule.by for rule in rules if rule.by not in known]:
        raise EvaluationError(
            f"{', '.join(unknown)} is no segment", where="contract: performance.segments", allowed=known,
            next_step="correct the contract",
        )  # fmt: skip
    rows = Rows.of(frame, design)
    return pd.DataFrame(
        {
            rule.by: _ages(frame, rows) if rule.by == AGE else rows.frame[rule.by].astype(str)
            for rule in rules
        },
        index=rows.frame.index,
    )


def unknown_entities(training: Training, held_out: pd.DataFrame) -> float:
    """Share of what happened in the held-out periods that is about entities without features: what no model knows."""
    problem = training.contract.problem
    if problem.time is None or problem.entity is None:
        return 0.0
    try:
        if training.raw is None:
            return 0.0
        happened = training.module.outcomes(training.raw.copy(), day_of(training.order.as_of, problem))
    except PreparationError:  # told by preparation already, which used the same rows
        return 0.0
    happened = happened[pd.to_datetime(happened["period"]).isin(pd.to_datetime(held_out["period"]))]
    known = set(zip(held_out["entity"], pd.to_datetime(held_out["period"]), strict=True))
    seen = [key in known for key in zip(happened["entity"], pd.to_datetime(happened["period"]), strict=True)]
    return 1.0 - float(np.mean(seen)) if seen else 0.0


def _ages(frame: pd.DataFrame, rows: Rows) -> pd.Series:
    times = pd.Series(rows.design.times(frame["period"]), index=frame.index)
    first = times.groupby(frame["entity"]).min()
    age = rows.times - rows.frame["entity"].map(first) + 1
    return pd.Series(
        [next(name for name, last in AGES if periods <= last) for periods in age], index=age.index
    )
