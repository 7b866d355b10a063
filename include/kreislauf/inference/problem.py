"""What a release answers: a number, or classes with their probabilities and the action that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from include.kreislauf.inference.predictor import values_of
from include.kreislauf.statistics.decisions import LIKELY, Costs

Floats = npt.NDArray[np.float64]


class ClassAnswer(NamedTuple):
    """What is answered where classes are predicted.

    Parameters
    ----------
    value: what is logged.
    label: the most probable class.
    action: what follows by the contract's matrix of costs; ``None``: it has none.
    """

    value: float
    label: str
    probabilities: dict[str, float]
    action: str | None


@dataclass(frozen=True)
class ServedProblem:
    """The part ``problem`` of a release's manifest; without one, as in older releases, numbers by entity.

    Parameters
    ----------
    classes: every class, in the contract's order.
    requests: whether clients may ask by name, or send all features.
    entity: whether rows are about something that has a name.
    may_be_missing: numeric features that need not be known.
    decision: what acting on a prediction costs; ``None``: the contract has no such matrix.
    """

    kind: Literal["regression", "binary", "multiclass"] = "regression"
    classes: tuple[str, ...] = ()
    requests: Literal["entity", "features"] = "entity"
    entity: bool = True
    may_be_missing: tuple[str, ...] = ()
    decision: Costs | None = None

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ServedProblem:
        """From a release's manifest."""
        kept = manifest.get("problem")
        if not kept:
            return cls()
        return cls(
            kind=kept["kind"], classes=tuple(kept["classes"]), requests=kept["requests"], entity=bool(kept["entity"]),
            may_be_missing=tuple(kept["may_be_missing"]),
            decision=Costs.from_dict(kept["decision"]) if kept["decision"] else None,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "kind": self.kind, "classes": list(self.classes), "requests": self.requests, "entity": self.entity,
            "may_be_missing": list(self.may_be_missing),
            "decision": self.decision.to_dict() if self.decision else None,
        }  # fmt: skip

    @property
    def is_ranked(self) -> bool:
        """Whether entities can be ranked by what is predicted for them: the places of several classes are no order."""
        return self.requests == "entity" and self.kind != "multiclass"

    def shares(self, found: Floats, known: Sequence[float]) -> Floats:
        """Probabilities of all classes, (n, classes).

        Parameters
        ----------
        found: those of the classes that the model has seen, (n, known).
        known: positions of these.
        """
        places = np.asarray(known, dtype=np.intp)
        if len(places) == len(self.classes):
            return found
        shares = np.zeros((len(found), len(self.classes)))
        shares[:, places] = found
        return shares

    def values(self, found: Floats, known: Sequence[float]) -> Floats:
        """What is logged for each row, (n,); see :func:`~include.kreislauf.inference.predictor.values_of`.

        Parameters
        ----------
        found: what the model says: numbers, (n,), or as in :meth:`shares`.
        """
        if self.classes:
            return values_of(self.shares(found, known))
        if found.ndim == 1:
            return found
        # a release of classes from before there were kinds
        likeliest: Floats = np.asarray(known, dtype=np.float64)[found.argmax(axis=1)]
        return likeliest

    def label(self, value: float) -> str:
        """The class that a logged value stands for."""
        place = int(value >= LIKELY) if self.kind == "binary" else int(value)
        return self.classes[place]

    def answers(self, found: Floats, known: Sequence[float]) -> list[ClassAnswer]:
        """What is answered for each row, from probabilities; see :meth:`shares`. NaN where they are not finite."""
        shares = self.shares(found, known)
        values = values_of(shares)
        if not np.isfinite(values).all():  # then none is answered
            return [ClassAnswer(value, "", {}, None) for value in values.tolist()]
        named = (dict(zip(self.classes, row, strict=True)) for row in shares.tolist())
        actions = self._actions(values)
        return [
            ClassAnswer(value, self.label(value), probabilities, action)
            for value, probabilities, action in zip(values.tolist(), named, actions, strict=True)
        ]

    def outcome(self, sent: float | str) -> float | None:
        """What is stored of an outcome, a number or the position of a class; ``None``: it cannot be one."""
        if not self.classes:
            return None if isinstance(sent, str) else sent
        if isinstance(sent, str):
            return float(self.classes.index(sent)) if sent in self.classes else None
        return sent if sent in range(len(self.classes)) else None

    def _actions(self, values: Floats) -> Sequence[str | None]:
        if self.decision is None:
            return [None] * len(values)
        names = self.decision.names
        return [names[place] for place in self.decision.chosen(values).tolist()]
