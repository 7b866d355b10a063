"""What a contract says is predicted: the kind of target, what rows are about, and how requests come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from include.kreislauf.periods import Period, offset
from include.kreislauf.requirements.section import ColumnName, Section, inconsistent

if TYPE_CHECKING:
    import pandas as pd

ClassName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
MAX_CLASSES = 100


class Problem(Section):
    """What is predicted, for what, and how far ahead."""

    kind: Literal["regression", "binary", "multiclass"] = Field(
        description="Kind of target: a number, one of two classes, one of several.", examples=["regression"]
    )
    target: ColumnName | None = Field(
        None,
        description="Raw column that holds it; empty: features.py beside the contract makes the target.",
        examples=["growth"],
    )
    classes: tuple[ClassName, ...] = Field(
        (), strict=False, max_length=MAX_CLASSES,
        description="Every class, as it stands in the data. Of two, the second is the one whose probability is predicted.",examples=[['sound', 'failure']])  # fmt: skip
    entity: ColumnName | None = Field(
        None, description="Column that names what a row is about; empty: rows are about nothing that has a name.", examples=['shop'])  # fmt: skip
    group: ColumnName | None = Field(
        None,
        description="Of rows without time: column whose rows are never both learnt from and judged by.",
        examples=["patient"],
    )
    time: ColumnName | None = Field(
        None,
        description="Column with the start of the time a row is about; empty: rows have no time.",
        examples=["month_start"],
    )
    period: Period | None = Field(
        None, description="Length of one period; with time only.", examples=["month"]
    )
    row_hours: float | None = Field(
        None,
        gt=0,
        le=24 * 366,
        description="Hours that a row is about, where that is less than a period.",
        examples=[8],
    )
    horizon: int = Field(
        1, ge=1, le=400, description="Periods from a row to the end of its target.", examples=[1]
    )
    requests: Literal["entity", "features"] = Field(
        "entity",
        description="entity: clients may ask by name, for what is known of it; features: they send all features.",
        examples=["entity"],
    )

    @property
    def task(self) -> Literal["regression", "classification"]:
        """What learns it: numbers, or classes."""
        return "regression" if self.kind == "regression" else "classification"

    @property
    def keys(self) -> list[str]:
        """The columns that name a row: entity and time, as far as there are any."""
        return [one for one in (self.entity, self.time) if one is not None]

    @property
    def calendar(self) -> Period:
        """The length of a period, for those who go by time.

        Raises
        ------
        ValueError: rows have no time.
        """
        if self.period is None:
            raise ValueError("rows without time have no periods")
        return self.period

    @property
    def unique(self) -> list[str]:
        """The columns by which a row is there only once; none: rows may repeat."""
        if self.entity is None or (self.time is None and self.group == self.entity):
            return []
        return self.keys

    def ends_of(self, times: pd.Series) -> pd.Series:
        """When the time that each row is about is over, by the starts of rows (without a zone)."""
        import pandas as pd

        if self.row_hours is not None:
            return times + pd.Timedelta(hours=self.row_hours)
        return times + offset(self.calendar)

    @model_validator(mode="after")
    def _time_has_periods(self) -> Problem:
        if (self.time is None) != (self.period is None):
            raise inconsistent("time and period belong together", allowed="both, or neither of them")
        if self.time is None and self.row_hours is not None:
            raise inconsistent("row_hours without time", allowed="row_hours with time and period")
        if self.time is not None and self.group is not None:
            raise inconsistent(
                "group with time", allowed="group for rows without time: others are split by time"
            )
        return self

    @model_validator(mode="after")
    def _classes_fit_the_kind(self) -> Problem:
        repeated = sorted({one for one in self.classes if self.classes.count(one) > 1})
        if repeated:
            raise inconsistent(f"classes named twice: {', '.join(repeated)}", allowed="each class once")
        fits = {
            "regression": not self.classes,
            "binary": len(self.classes) == 2,
            "multiclass": len(self.classes) > 2,
        }
        if not fits[self.kind]:
            allowed = {"regression": "none", "binary": "two: the second is the one whose probability is predicted",
                       "multiclass": f"three to {MAX_CLASSES}; two are kind binary"}  # fmt: skip
            raise inconsistent(
                f"{len(self.classes)} classes with kind {self.kind}", allowed=allowed[self.kind]
            )
        return self

    @model_validator(mode="after")
    def _requests_can_be_answered(self) -> Problem:
        if self.requests == "entity" and self.entity is None:
            raise inconsistent(
                "requests by entity, but rows have none", allowed="an entity, or requests: features"
            )
        columns = [one for one in (self.target, self.entity, self.group, self.time) if one is not None]
        if len(set(columns)) < len(columns) and not (self.group and self.group == self.entity):
            raise inconsistent(
                "one column has two roles", allowed="different columns for target, entity and time"
            )
        return self


def fitting(problem: Problem) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics and the baselines that judge a kind of problem."""
    if problem.task == "classification":
        return ("log_loss", "brier"), ("prior",)
    return ("mae", "rmse"), ("prior", "persistence", "momentum", "drift") if problem.time else ("prior",)
