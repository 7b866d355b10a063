"""The rows of one training as models see them: columns, kind of target, calendar, and the splits that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import TrainingError
from include.kreislauf.periods import Period, numbers_of, starts_of
from include.kreislauf.preparation.features import GROUP
from include.kreislauf.preparation.splits import Fold, Splits, split_by_time, split_rows
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.requirements.science import Training
from include.kreislauf.statistics.metrics import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def purge_of(problem: Problem) -> int:
    """Periods from a row's period to the first one whose model may have learnt from it.

    Rows shorter than a period are predicted from its start on, not at its end: one more.
    """
    return problem.horizon + (problem.row_hours is not None)


@dataclass(frozen=True)
class Design:
    """Which columns of a feature frame a model sees, and what its rows are.

    A feature frame has the columns ``entity``, ``period`` (unless ``period`` here is ``None``), the features, and
    ``target`` (NaN if unknown; of classes the position).

    Parameters
    ----------
    classes: of the contract, in the order of their positions; none for numbers.
    period: length of a period; ``None`` for rows without time.
    purge: periods from a row's period to the first one whose model may have learnt from it, see :func:`purge_of`.
    group: column whose rows stay together in a split without time; empty: the entity, where entities repeat.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    classes: tuple[str, ...] = ()
    period: Period | None = "quarter"
    purge: int = 1
    group: str = ""

    @classmethod
    def of(cls, problem: Problem, numeric: tuple[str, ...], categorical: tuple[str, ...]) -> Design:
        """The design of a problem with these features."""
        return cls(
            numeric, categorical, problem.classes, problem.period, purge_of(problem),
            GROUP if problem.group else "",
        )  # fmt: skip

    @property
    def task(self) -> Task:
        """Numbers, or classes."""
        return "classification" if self.classes else "regression"

    @property
    def names(self) -> list[str]:
        """All model inputs, numbers first."""
        return [*self.numeric, *self.categorical]

    def times(self, starts: pd.Series) -> Ints:
        """Periods as consecutive numbers."""
        assert self.period is not None  # noqa: S101 - asked of rows with time only
        return np.asarray(numbers_of(pd.to_datetime(starts), self.period), dtype=np.int64)

    def labels(self, starts: pd.Series) -> list[str]:
        """The period that holds each time, as ISO text; hours with the hour."""
        assert self.period is not None  # noqa: S101 - asked of rows with time only
        form = "%Y-%m-%dT%H:%M" if self.period == "hour" else "%Y-%m-%d"
        return list(starts_of(pd.to_datetime(starts), self.period).dt.strftime(form))


@dataclass(frozen=True)
class Rows:
    """The rows with known target in one order, so that results do not depend on the order of a frame."""

    design: Design
    frame: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, frame: pd.DataFrame, design: Design) -> Rows:
        """The rows of a feature frame whose target is known.

        Raises
        ------
        TrainingError: a class stands alone.
        """
        known = frame[frame["target"].notna()].copy()
        if design.period:
            known["period"] = pd.to_datetime(known["period"])
        order = ["period", "entity"] if design.period else ["entity", *design.names, "target"]
        rows = cls(design, known.sort_values(order, ignore_index=True, kind="stable"))
        if design.classes and len(seen := np.unique(rows.outcomes)) < 2:
            named = ", ".join(design.classes[int(one)] for one in seen) or "(none)"
            raise TrainingError(
                f"the target knows the class {named} only", where="target", allowed="two classes or more",
                next_step="collect rows of another class",
            )  # fmt: skip
        return rows

    @property
    def classes(self) -> list[str]:
        """The classes of the target in the order of their positions; none for numbers."""
        return list(self.design.classes)

    @cached_property
    def outcomes(self) -> Floats:
        """Shape (n,): the target, or the position of its class."""
        return self.frame["target"].to_numpy(np.float64)

    @cached_property
    def times(self) -> Ints:
        """Shape (n,): number of each row's period; 0 without time."""
        if self.design.period is None:
            return np.zeros(len(self.frame), dtype=np.int64)
        return self.design.times(self.frame["period"])

    @cached_property
    def blocks(self) -> list[str]:
        """Shape (n,): what is drawn together in a bootstrap: the period, or the group, or the entity."""
        if self.design.period:
            return self.design.labels(self.frame["period"])
        return self.groups or self.frame["entity"].astype(str).tolist()

    @cached_property
    def groups(self) -> list[str] | None:
        """Shape (n,): the groups of rows without time, where there are any."""
        if self.design.group:
            return self.frame[self.design.group].astype(str).tolist()
        entities = self.frame["entity"].astype(str).tolist()
        return entities if len(set(entities)) < len(entities) else None

    def splits(self, training: Training) -> Splits:
        """The folds of the search and those held out, as the contract wants them; each learns from two classes or more.

        Raises
        ------
        TrainingError: rows without time are fewer than folds.
        """
        if self.design.period:
            found = split_by_time(
                self.times, self.blocks, horizon=self.design.purge, held_out=training.held_out_periods,
                search=training.search_periods, min_rows=training.min_rows,
            )  # fmt: skip
        else:
            classes = [str(one) for one in self.outcomes] if self.classes else None
            found = split_rows(
                len(self.frame), training.folds, training.seed, classes=classes, groups=self.groups
            )
        return Splits(tuple(filter(self._can_learn, found.search)), tuple(filter(self._can_learn, found.held_out)))  # fmt: skip

    def _can_learn(self, fold: Fold) -> bool:
        return not self.classes or len(np.unique(self.outcomes[fold.learn])) > 1

    def features(self, positions: Ints) -> pd.DataFrame:
        """The model inputs of some rows."""
        return self.frame[self.design.names].iloc[positions]
