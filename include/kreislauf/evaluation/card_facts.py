"""What a model card is about: everything an evaluation knows, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

import pandas as pd

from include.kreislauf.evaluation.business import costs_of
from include.kreislauf.evaluation.models import Decision, Importance, Report, Scores, SegmentScore
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.periods import Period
from include.kreislauf.requirements.business import DecisionValue
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Segment
from include.kreislauf.statistics.decisions import Costs


@dataclass(frozen=True)
class Card:
    """Everything that a model card tells of.

    Parameters
    ----------
    rows: held-out rows of the winner, or of the candidate that came closest: fold, target, loss and baseline_loss; of
        numbers prediction, low and high (not finite where there is no interval); of classes p0, p1, ... May be empty.
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

    @property
    def costs(self) -> Costs | None:
        """What acting on a prediction costs; ``None``: the contract has no such matrix."""
        problem = self.contract.problem
        found = [one for one in self.contract.business_metrics if isinstance(one, DecisionValue)]
        return costs_of(found[0], problem) if found else None

    def segment_rule(self, segment: SegmentScore) -> Segment | None:
        """What the contract says of a segment."""
        return next((one for one in self.contract.performance.segments if one.by == segment.by), None)

    def too_small(self, segment: SegmentScore) -> bool:
        """Whether a segment has too few rows to decide anything."""
        rule = self.segment_rule(segment)
        return rule is not None and segment.n_rows < rule.min_rows


def period_label(start: object, period: Period | None) -> str:
    """A period as people name it: ``2016 Q2``; a text that is no date stays as it is."""
    try:
        time = datetime.fromisoformat(str(start))
    except ValueError:
        return str(start)
    if period == "quarter":
        return f"{time.year} Q{(time.month + 2) // 3}"
    forms: dict[Period | None, str] = {
        "month": "%Y-%m", "year": "%Y", "week": "%Y-%m-%d", "day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:%M",
    }  # fmt: skip
    return f"{time:{forms[period]}}" if period in forms else str(start)


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that are numbers."""
    return [float(value) for value in values if value is not None and isfinite(value)]


def metric_label(name: str) -> str:
    """A metric as people write it."""
    if name == "roc_auc":
        return "ROC AUC"
    return words(name) if "_" in name or name in ("brier", "accuracy") else name.upper()


def words(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")
