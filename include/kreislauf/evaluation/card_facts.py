"""What a model card is about: everything an evaluation knows, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from include.kreislauf.evaluation.models import Decision, Importance, Report, Scores, SegmentScore
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Segment


@dataclass(frozen=True)
class Card:
    """Everything that a model card tells of.

    Parameters
    ----------
    rows: held-out rows of the winner, or of the candidate that came closest: entity, period, prediction, target,
        low, high (not finite where there is no interval) and baseline; no period where there is no time. In classification prediction, target and baseline
        are classes, or the target is 0 or 1 and the others are probabilities of 1. May be empty.
    importance: most important first; may be empty.
    training: facts of the training, where they are known: ``features`` and ``candidates`` (versions), ``numeric`` and
        ``categorical`` (lists of features), ``trained_until``, ``search`` (a dict per family: family, configurations,
        folds, fits, seconds).
    command: what a person types to make the evaluation again.
    """

    contract: Contract
    order: WorkOrder
    code_version: str
    report: Report
    decision: Decision
    rows: pd.DataFrame
    importance: tuple[Importance, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def subject(self) -> Scores | None:
        """The winner, or the candidate that came closest; ``None`` where there is nothing to show."""
        name = self.decision.winner or self.decision.closest
        return next((one for one in self.report.candidates if one.name == name), None)

    @property
    def has_intervals(self) -> bool:
        """Whether its predictions come with intervals."""
        return self.subject is not None and self.subject.coverage is not None

    def segment_rule(self, segment: SegmentScore) -> Segment | None:
        """What the contract says of a segment."""
        return next((one for one in self.contract.performance.segments if one.by == segment.by), None)

    def too_small(self, segment: SegmentScore) -> bool:
        """Whether a segment has too few rows to decide anything."""
        rule = self.segment_rule(segment)
        return rule is not None and segment.n_rows < rule.min_rows


def period_label(start: object, period: str) -> str:
    """A period as people name it: ``2016 Q2``; a text that is no date stays as it is."""
    try:
        time = datetime.fromisoformat(str(start))
    except ValueError:
        return str(start)
    if period == "quarter":
        return f"{time.year} Q{(time.month + 2) // 3}"
    return f"{time:%Y-%m}" if period == "month" else f"{time:%Y}"


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that are numbers."""
    return [float(value) for value in values if value is not None and isfinite(value)]


def are_probabilities(rows: pd.DataFrame) -> bool:
    """Whether rows of a classification hold probabilities of the outcome 1, not classes."""
    columns = rows[["prediction", "target"]]
    if not all(pd.api.types.is_numeric_dtype(columns[name]) for name in columns):
        return False
    values = columns.dropna().to_numpy(dtype=np.float64)
    return bool(np.isin(values[:, 1], (0, 1)).all() and ((values >= 0) & (values <= 1)).all())


def metric_label(name: str) -> str:
    """A metric as people write it."""
    return words(name) if "_" in name or name == "brier" else name.upper()


def words(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")
