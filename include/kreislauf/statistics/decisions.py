"""What acting on predictions is worth, from a matrix of costs: one function for gate, service, canary and monitoring.

Source: Elkan, The foundations of cost-sensitive learning, IJCAI 2001.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
LIKELY = 0.5
"""Of two classes, the second is predicted from this probability on."""


@dataclass(frozen=True)
class Costs:
    """What each action costs, by what then happens.

    Parameters
    ----------
    actions: by action and class its cost, in any currency.
    without: the action that is taken where there is no model.
    classes: in the order of their positions; of two, the probability of the second is predicted.
    per: so many units a prediction is about.
    """

    actions: Mapping[str, Mapping[str, float]]
    without: str
    classes: tuple[str, ...]
    per: float = 1.0

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Costs:
        """From what :meth:`to_dict` gave."""
        return cls(kept["actions"], kept["without"], tuple(kept["classes"]), float(kept["per"]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "actions": {name: dict(costs) for name, costs in self.actions.items()}, "without": self.without,
            "classes": list(self.classes), "per": self.per,
        }  # fmt: skip

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The actions, in the order of their positions; the one without a model first, so that it wins ties."""
        return (self.without, *(name for name in self.actions if name != self.without))

    @cached_property
    def matrix(self) -> Floats:
        """Shape (actions, classes)."""
        rows: Sequence[Sequence[float]] = [
            [self.actions[name][one] for one in self.classes] for name in self.names
        ]
        return np.array(rows, dtype=np.float64)

    def chosen(self, predicted: npt.ArrayLike) -> Places:
        """Shape (n,): position in :attr:`names` of the action that each prediction leads to.

        Parameters
        ----------
        predicted: shape (n,). Of two classes the probability of the second one: the action with the least expected cost
            is chosen. Of more the position of the predicted class: the action that costs least if that is true.
        """
        values = np.asarray(predicted, dtype=np.float64)
        if len(self.classes) == 2:
            expected = (1 - values)[:, None] * self.matrix[:, 0] + values[:, None] * self.matrix[:, 1]
            return np.asarray(expected.argmin(axis=1), dtype=np.intp)
        best: Places = np.asarray(self.matrix.argmin(axis=0), dtype=np.intp)
        return best[values.astype(np.intp)]

    def threshold(self, action: str) -> float | None:
        """Of two classes: the probability of the second from which an action costs less than :attr:`without`; ``None``: there is none
        between 0 and 1, or it is one below which the action pays.
        """
        saved = self.matrix[0] - self.matrix[self.names.index(action)]
        if len(self.classes) != 2 or not saved[0] < 0 < saved[1]:
            return None
        return float(saved[0] / (saved[0] - saved[1]))

    def values(self, predicted: npt.ArrayLike, happened: npt.ArrayLike) -> Floats:
        """Shape (n,): what each prediction saved, against :attr:`without`, per unit.

        Parameters
        ----------
        predicted: see :meth:`chosen`.
        happened: shape (n,), position of the class that really happened.
        """
        places = np.asarray(happened, dtype=np.float64).astype(np.intp)
        paid = self.matrix[self.chosen(predicted), places]
        saved: Floats = (self.matrix[0, places] - paid) / self.per
        return saved
