"""The rows of one training as models see them: columns, kind of target, calendar, and the splits that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import TrainingError
from include.kreislauf.periods import Period
from include.kreislauf.preparation.splits import Splits, split_by_time, split_rows
from include.kreislauf.requirements.science import Training
from include.kreislauf.statistics.metrics import Task

Floats = npt.NDArray[np.float64]
_FREQUENCY: dict[Period, str] = {"month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True)
class Design:
    """Which columns of a feature frame a model sees, and what its rows are.

    A feature frame has the columns ``entity``, ``period`` (unless ``period`` here is ``None``), the features, and
    ``target`` (NaN if unknown).

    Parameters
    ----------
    period: length of a period; ``None`` for rows without time.
    horizon: periods from a row to the end of its target.
    group: column whose rows stay together in a split without time; empty: the entity, where entities repeat.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    task: Task = "regression"
    period: Period | None = "quarter"
    horizon: int = 1
    group: str = ""

    @property
    def names(self) -> list[str]:
        """All model inputs, numbers first."""
        return [*self.numeric, *self.categorical]

    def times(self, periods: pd.Series) -> npt.NDArray[np.int64]:
        """Periods as consecutive numbers."""
        assert self.period is not None  # noqa: S101 - asked of rows with time only
        starts = pd.PeriodIndex(pd.to_datetime(periods), freq=_FREQUENCY[self.period])
        return np.asarray(starts.astype("int64"), dtype=np.int64)


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
        if design.task == "classification" and len(rows.classes) < 2:
            raise TrainingError(
                f"the target knows the class {', '.join(rows.classes) or '(none)'} only", where="target",
                allowed="two classes or more", next_step="collect rows of another class",
            )  # fmt: skip
        return rows

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the target, sorted; none for numbers."""
        if self.design.task == "regression":
            return []
        return sorted(self.frame["target"].map(_class_name).unique())

    @cached_property
    def outcomes(self) -> Floats:
        """Shape (n,): the target, or the position of its class."""
        if self.design.task == "regression":
            return self.frame["target"].to_numpy(np.float64)
        place = {name: float(number) for number, name in enumerate(self.classes)}
        return np.array([place[_class_name(value)] for value in self.frame["target"]], dtype=np.float64)

    @cached_property
    def times(self) -> npt.NDArray[np.int64]:
        """Shape (n,): number of each row's period; 0 without time."""
        if self.design.period is None:
            return np.zeros(len(self.frame), dtype=np.int64)
        return self.design.times(self.frame["period"])

    @cached_property
    def blocks(self) -> list[str]:
        """Shape (n,): what is drawn together in a bootstrap: the period, or the group, or the entity."""
        if self.design.period:
            return [f"{start:%Y-%m-%d}" for start in self.frame["period"]]
        return self.groups or self.frame["entity"].astype(str).tolist()

    @cached_property
    def groups(self) -> list[str] | None:
        """Shape (n,): the groups of rows without time, where there are any."""
        if self.design.group:
            return self.frame[self.design.group].astype(str).tolist()
        entities = self.frame["entity"].astype(str).tolist()
        return entities if len(set(entities)) < len(entities) else None

    def splits(self, training: Training) -> Splits:
        """The folds of the search and those held out, as the contract wants them.

        Raises
        ------
        TrainingError: rows without time are fewer than folds.
        """
        if self.design.period:
            return split_by_time(
                self.times, self.blocks, horizon=self.design.horizon, held_out=training.held_out_periods,
                search=training.search_periods, min_rows=training.min_rows,
            )  # fmt: skip
        classes = self.frame["target"].map(_class_name).tolist() if self.classes else None
        return split_rows(len(self.frame), training.folds, training.seed, classes=classes, groups=self.groups)

    def features(self, positions: npt.NDArray[np.int64]) -> pd.DataFrame:
        """The model inputs of some rows."""
        return self.frame[self.design.names].iloc[positions]


def _class_name(value: object) -> str:
    """``1.0`` and ``1`` are one class."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
