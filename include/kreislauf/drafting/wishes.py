"""What a person wants of a use case, and what is asked where it is left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ProblemKind = Literal["regression", "binary", "multiclass"]
MeasureName = Literal["hit", "absolute_error", "squared_error", "decision_value"]
NONE = "none"
"""What a person writes who wants no entity, time or group, where one is proposed."""


@dataclass(frozen=True)
class Wishes:
    """What is known of a use case beside its data; empty: to be proposed.

    Parameters
    ----------
    name: of the use case and of its folder.
    target, entity, time, group: columns; :data:`NONE` for none of those but the target.
    positive: of two classes, the one whose probability is predicted.
    period: length of a period, where rows have time.
    horizon: periods from a row to the end of its target.
    measure: what each prediction is worth, once its outcome is known.
    costs: by action and class what the action costs; the first action is the one taken without a model, unless
        ``without`` names another.
    """

    name: str
    title: str = ""
    purpose: str = ""
    owner: str = ""
    sign_off: Literal["required", "automatic"] = "required"
    target: str = ""
    kind: ProblemKind | Literal[""] = ""
    positive: str = ""
    entity: str = ""
    time: str = ""
    period: str = ""
    horizon: int = 1
    group: str = ""
    measure: MeasureName | Literal[""] = ""
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    without: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Question:
    """Something that the data do not say.

    Parameters
    ----------
    field: of :class:`Wishes`, that the answer is for.
    proposals: likely answers, the best first.
    default: what is taken where nobody answers; empty: an answer is needed.
    """

    field: str
    text: str
    proposals: tuple[str, ...] = ()
    default: str = ""
