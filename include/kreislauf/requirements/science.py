"""The data scientist's part of a contract: how rows are cleaned, what is tried, and what a candidate must show."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from include.kreislauf.requirements.section import ColumnName, Section, inconsistent

Values = Annotated[tuple[JsonValue, ...], Field(min_length=1, strict=False)]
Columns = Annotated[tuple[ColumnName, ...], Field(min_length=1, strict=False)]


class DropMissing(Section):
    """Leave out rows that lack a value in one of the columns."""

    step: Literal["drop_missing"]
    columns: Columns = Field(description="Raw columns it works on.", examples=[["revenue"]])


class FillValue(Section):
    """Put a constant where a value is missing."""

    step: Literal["fill_value"]
    columns: Columns = Field(description="Raw columns it works on.", examples=[["revenue"]])
    value: float | int | str = Field(description="What stands for a missing value.", examples=[0])


class FillPrevious(Section):
    """Put the entity's last known value where one is missing; never a later one."""

    step: Literal["fill_previous"]
    columns: Columns = Field(description="Raw columns it works on.", examples=[["revenue"]])
    limit: int = Field(1, ge=1, le=100, description="So many periods in a row at most.", examples=[2])


def _check_order(low: float | None, high: float | None) -> None:
    """Whether two bounds, as far as there are any, hold something between them.

    Raises
    ------
    PydanticCustomError: they do not.
    """
    if low is not None and high is not None and low >= high:
        raise inconsistent(f"low {low:g} is not below high {high:g}", allowed="low < high")


class Clip(Section):
    """Pull numbers outside of bounds in to them."""

    step: Literal["clip"]
    columns: Columns = Field(description="Raw columns it works on.", examples=[["growth"]])
    low: float | None = Field(None, description="Least number; empty: no bound.", examples=[-1])
    high: float | None = Field(None, description="Greatest number; empty: no bound.", examples=[1])

    @model_validator(mode="after")
    def _has_bounds(self) -> Clip:
        if self.low is None and self.high is None:
            raise inconsistent("clip has no bound", allowed="low, high, or both")
        _check_order(self.low, self.high)
        return self


class OutOfRangeMissing(Section):
    """Take numbers outside of bounds as missing; infinite ones always are."""

    step: Literal["out_of_range_missing"]
    columns: Columns = Field(description="Raw columns it works on.", examples=[["revenue"]])
    low: float | None = Field(
        None, description="Least number that is believed; empty: no bound.", examples=[0]
    )
    high: float | None = Field(
        None, description="Greatest number that is believed; empty: no bound.", examples=[1000000]
    )

    @model_validator(mode="after")
    def _bounds_hold_something(self) -> OutOfRangeMissing:
        _check_order(self.low, self.high)
        return self


class KeepLatest(Section):
    """Of rows with the same entity and time, keep the last one."""

    step: Literal["keep_latest"]


CleaningStep = Annotated[
    DropMissing | FillValue | FillPrevious | Clip | OutOfRangeMissing | KeepLatest,
    Field(discriminator="step"),
]


class Preparation(Section):
    """What is done to raw rows before features are built from them, and which features are left out."""

    cleaning: tuple[CleaningStep, ...] = Field((), strict=False, description="Done in this order.")
    exclude: tuple[ColumnName, ...] = Field(
        (), strict=False, description="Features that no model sees.", examples=[["season"]]
    )
    leak_checks: int = Field(
        3,
        ge=0,
        le=20,
        description="Times at which features are built anew without the future, and compared.",
        examples=[5],
    )
    leak_correlation: float = Field(
        0.98, gt=0.5, le=1,
        description="A feature whose rank correlation with the target reaches this is taken for a leak.",examples=[0.95])  # fmt: skip


class Family(Section):
    """A model family to try."""

    family: str = Field(min_length=1, description="Registered name of a model family.", examples=["ridge"])
    space: dict[str, Values] = Field(
        default_factory=dict,
        description="Values to try by parameter, instead of the family's own; the first is the default.",
        examples=[{"alpha": [30, 100, 300]}],
    )


class Training(Section):
    """Which candidates are trained, how they are searched, and how they are compared."""

    candidates: tuple[Family, ...] = Field(min_length=1, strict=False)
    ensembles: tuple[Literal["mean", "stack"], ...] = Field(
        ("mean",),
        strict=False,
        description="Made of the best configuration of each family.",
        examples=[["mean", "stack"]],
    )
    configurations: int = Field(
        8,
        ge=1,
        le=1000,
        description="Configurations tried per family; doubled by each loop that asks for it.",
        examples=[6],
    )
    held_out_periods: int = Field(
        8,
        ge=4,
        le=200,
        description="Latest periods with known target, kept for the gate; of rows with time.",
        examples=[8],
    )
    search_periods: int = Field(
        8,
        ge=1,
        le=200,
        description="Periods before those, on which configurations are compared.",
        examples=[8],
    )
    folds: int = Field(5, ge=2, le=50, description="Folds of a use case without time.", examples=[5])
    min_rows: int = Field(
        100, ge=2, description="Least rows to learn from before a period may be predicted.", examples=[100]
    )
    budget_seconds: float = Field(
        900,
        gt=0,
        description="Wall clock of the search; what is not done by then is left out.",
        examples=[600],
    )
    candidate_seconds: float = Field(
        120, gt=0, description="A candidate that takes longer for one fit counts as failed.", examples=[60]
    )
    calibration: Literal["none", "sigmoid", "isotonic"] = Field(
        "sigmoid",
        description="How probabilities of classes are corrected, by predictions of rows that were not learnt from. "
        "Isotonic needs a thousand rows of the rarer class.",
        examples=["sigmoid"],
    )
    seed: int = Field(0, description="Of everything random: equal inputs give equal models.", examples=[7])


class Segment(Section):
    """A part of the rows in which a candidate must not do badly, however good it is on average."""

    by: str = Field(
        min_length=1,
        description="A categorical feature, or entity_age (periods since its first row).",
        examples=["entity_age"],
    )
    max_loss: float = Field(
        0.1,
        ge=0,
        description="Share by which the baseline's error may be exceeded in any one segment.",
        examples=[0.1],
    )
    min_rows: int = Field(
        30, ge=1, description="Smaller segments are shown, but decide nothing.", examples=[30]
    )
    required: bool = Field(
        True, description="Whether a bad segment keeps a candidate from passing.", examples=[False]
    )


class Performance(Section):
    """The performance metric and what it must reach against the naive baseline."""

    metric: Literal["mae", "rmse", "log_loss", "brier"] = Field(
        description="Error that is compared: mae or rmse of numbers, log_loss or brier of probabilities.",
        examples=["mae"],
    )
    baseline: Literal["persistence", "momentum", "drift", "prior"] = Field(
        description="persistence: 0, no change; momentum: the entity's last known target; drift, prior: the mean target, or "
        "the shares of the classes, of the rows learnt from.",
        examples=["persistence"],
    )
    min_gain: float = Field(
        ge=0, le=1, description="Share by which the baseline's error must be undercut.", examples=[0.01]
    )
    confidence: float = Field(
        0.8,
        gt=0.5,
        lt=1,
        description="Confidence at which that must hold: one-sided, over whole periods.",
        examples=[0.9],
    )
    champion_tolerance: float = Field(
        0.02, ge=0, le=1, description="Share by which the champion may be missed.", examples=[0.02]
    )
    too_good_to_be_true: float = Field(
        0.8,
        gt=0,
        le=1,
        description="A gain above this stops the cycle and asks the data scientist.",
        examples=[0.5],
    )
    interval: float = Field(
        0.8, gt=0.5, lt=1, description="Share of outcomes that prediction intervals hold.", examples=[0.8]
    )
    interval_tolerance: float = Field(
        0.1, gt=0, lt=1, description="The measured share may differ from that by so much.", examples=[0.1]
    )
    max_calibration_error: float = Field(
        0.1, gt=0, lt=1,
        description="Of classes: by so much the shares that happened may differ from the probabilities, in the mean.",examples=[0.1])  # fmt: skip
    segments: tuple[Segment, ...] = Field((), strict=False)
