"""The contract's part on monitoring: how live metrics are judged, and what warns before outcomes are known."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, field_validator, model_validator

from include.kreislauf.handovers import Name
from include.kreislauf.requirements.section import Section, inconsistent


class SequentialTest(Section):
    """A test that may be looked at as often as one likes: its false-alarm rate holds however often that is."""

    bounds: tuple[float, float] = Field(
        strict=False,
        description="Least and greatest value of one observation; others are not plausible.",
        examples=[[0, 1]],
    )
    reference: float | None = Field(
        None,
        description="The level shown at promotion, below which the metric may not have fallen. Empty: below any level "
        "at which it was stable, which takes longer to see.",
        examples=[0.8],
    )
    learn: int = Field(
        200,
        ge=20,
        le=100_000,
        description="Observations after which the first level of a new release is known: with it, loops are closed.",
        examples=[200],
    )
    false_alarms: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="Probability of a false breach within per_days, proven, not estimated.",
        examples=[0.01],
    )
    per_days: float = Field(90.0, gt=0, description="Days to which false_alarms refers.", examples=[90])
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Of the interval shown with the level.", examples=[0.95]
    )

    @field_validator("bounds")
    @classmethod
    def _bounds_are_in_order(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not bounds[0] < bounds[1]:
            raise inconsistent(f"bounds {list(bounds)} hold nothing", allowed="[least, greatest]")
        return bounds

    @field_validator("reference")
    @classmethod
    def _reference_is_within(cls, reference: float | None, info: object) -> float | None:
        bounds = getattr(info, "data", {}).get("bounds")
        if reference is not None and bounds and not bounds[0] < reference < bounds[1]:
            raise inconsistent(
                f"reference {reference:g} lies outside of the bounds",
                allowed=f"between {bounds[0]:g} and {bounds[1]:g}",
            )
        return reference


class Tested(Protocol):
    """A metric that may have a test."""

    @property
    def test(self) -> SequentialTest | None:
        """The test; ``None``: it has none."""

    @property
    def threshold(self) -> float:
        """A level on the wrong side of it is bad."""

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """What is better."""


def check_levels(metric: Tested) -> None:
    """Whether the test can tell the levels of its metric apart.

    Raises
    ------
    PydanticCustomError: the threshold lies not within the bounds, or the reference not on its better side.
    """
    if metric.test is None:
        return
    least, greatest = metric.test.bounds
    if not least < metric.threshold < greatest:
        raise inconsistent(
            f"threshold {metric.threshold:g} lies not within the test's bounds: no level could ever be on its wrong side",
            allowed=f"between {least:g} and {greatest:g}",
        )
    reference, side = metric.test.reference, "above" if metric.direction == "higher" else "below"
    if reference is None:
        return
    if reference == metric.threshold or (reference > metric.threshold) != (metric.direction == "higher"):
        raise inconsistent(
            f"reference {reference:g} lies not on the better side of the threshold {metric.threshold:g}",
            allowed=f"a reference {side} the threshold: of this metric, {metric.direction} is better",
        )


MEASURES_OF: dict[str, tuple[str, ...]] = {
    "outcome": (), "hit": (), "absolute_error": ("regression",), "squared_error": ("regression", "binary"),
}  # fmt: skip
"""By measure the kinds of problem it fits; none: any."""


class Observed(Section):
    """Base of the metrics with one number of each prediction and what really happened, watched live, and a gate or not."""

    name: Name = Field(
        description="Told apart by it: in verdicts, loops and the ledger.", examples=["forecast_kept"]
    )
    gate_threshold: float | None = Field(
        None,
        description="What a candidate must reach on the held-out rows; empty: it is watched live only.",
        examples=[0.7],
    )
    level: float = Field(
        0.8, gt=0.5, lt=1, description="Confidence level of the interval in the lab.", examples=[0.8]
    )
    direction: Literal["higher", "lower"] = Field(
        "higher", description="What is better.", examples=["higher"]
    )
    threshold: float = Field(description="A level on the wrong side of it is bad.", examples=[0.7])
    maturity_days: float = Field(
        0.0,
        ge=0,
        description="Days after a prediction before its outcome counts, however early it came.",
        examples=[14],
    )
    test: SequentialTest
    unit: str = Field("share", description="Shown with the numbers.", examples=["share"])

    @model_validator(mode="after")
    def _levels_fit_the_test(self) -> Self:
        check_levels(self)
        return self


class Outcomes(Observed):
    """A number computed of each prediction and what really happened."""

    kind: Literal["outcomes"]
    measure: Literal["outcome", "hit", "absolute_error", "squared_error"] = Field(
        description="The outcome itself; 1 where the prediction was right (the class, or a number within tolerance), else 0; "
        "their distance; or its square (of a probability: the Brier score).",
        examples=["hit"],
    )
    tolerance: float | None = Field(
        None, gt=0, description="For measure hit of a number, in the target's unit.", examples=[0.05]
    )

    @model_validator(mode="after")
    def _levels_fit_the_measure(self) -> Outcomes:
        if self.measure == "hit" and (self.test.bounds != (0.0, 1.0) or self.direction != "higher"):
            raise inconsistent(
                "a hit is 0 or 1, and 1 is better",
                allowed="bounds [0, 1] and direction higher with measure hit",
            )
        if self.measure.endswith("_error") and (self.test.bounds[0] != 0 or self.direction != "lower"):
            raise inconsistent(
                "an error begins at 0, and less is better",
                allowed=f"bounds [0, greatest] and direction lower with measure {self.measure}",
            )
        return self

    @model_validator(mode="after")
    def _tolerance_belongs_to_hit(self) -> Outcomes:
        if self.measure != "hit" and self.tolerance is not None:
            raise inconsistent(
                f"measure {self.measure} has no tolerance",
                allowed="tolerance with measure hit, and only there",
            )
        if self.measure == "outcome" and self.gate_threshold is not None:
            raise inconsistent(
                "the outcome itself is the same for every candidate",
                allowed="gate_threshold with another measure",
            )
        return self


class SqlQuery(Section):
    """A query against a database."""

    engine: Literal["sql"]
    connection: Name = Field(
        description="Airflow connection, or KREISLAUF_CONNECTION_<NAME> without Airflow.", examples=["orders"]
    )
    query: str = Field(
        min_length=1,
        description="Gives the columns observed_at and value, one row per observation; :since and :until are filled in.",
        examples=[
            "SELECT observed_at, value FROM returns WHERE observed_at > :since AND observed_at <= :until"
        ],
    )


class PromQuery(Section):
    """A query against a Prometheus server."""

    engine: Literal["promql"]
    connection: Name = Field(
        description="Airflow connection, or KREISLAUF_CONNECTION_<NAME> without Airflow.",
        examples=["prometheus"],
    )
    query: str = Field(
        min_length=1,
        description="An instant query that gives one series.",
        examples=["sum(rate(orders_total[1h]))"],
    )
    every_hours: float = Field(
        1.0,
        gt=0,
        le=2000,
        description="One observation per step: long enough that they are independent.",
        examples=[1],
    )


class Queried(Section):
    """A number that another system knows: from a database or from a Prometheus server."""

    kind: Literal["query"]
    name: Name = Field(
        description="Told apart by it: in verdicts, loops and the ledger.", examples=["orders_kept"]
    )
    source: Annotated[SqlQuery | PromQuery, Field(discriminator="engine")] = Field(
        description="Where the number is asked for."
    )
    direction: Literal["higher", "lower"] = Field(
        "higher", description="What is better.", examples=["higher"]
    )
    threshold: float = Field(description="A level on the wrong side of it is bad.", examples=[0.7])
    test: SequentialTest
    unit: str = Field("share", description="Shown with the numbers.", examples=["share"])

    @model_validator(mode="after")
    def _levels_fit_the_test(self) -> Queried:
        check_levels(self)
        return self


class Control(Section):
    """A share of the requests that the release before answers, to tell a worse model from a worse world."""

    share: float = Field(gt=0, le=0.2, description="Of the requests, by request key.", examples=[0.05])


class Monitoring(Section):
    """What is watched while outcomes mature, and when what is known does not suffice for a verdict."""

    max_novelty: float = Field(0.1, gt=0, le=1, description="Share of requests outside what the model knows: above it, a warning.", examples=[0.1])  # fmt: skip
    max_shift: float = Field(0.2, gt=0, description="Population stability index of a feature or of the predictions: above it, a warning.", examples=[0.2])  # fmt: skip
    max_errors: float = Field(0.01, gt=0, lt=1, description="Share of requests that may fail before a warning.", examples=[0.01])  # fmt: skip
    max_age_days: float | None = Field(None, gt=0, description="Age of the live release's data: above it, a warning. Empty: none.", examples=[120])  # fmt: skip
    starved_days: float | None = Field(
        None,
        gt=0,
        description="So long without a new outcome is a warning: feedback starved. Empty: none.",
        examples=[7],
    )
    max_client_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="More of the outcomes from one client, where there are several: inconclusive.",
        examples=[0.5],
    )
    max_implausible: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="A larger share of observations outside the bounds: inconclusive.",
        examples=[0.05],
    )
    rollback_days: float = Field(
        14.0,
        ge=0,
        description="So long after a promotion, a breach goes back to the release before, first.",
        examples=[14],
    )
    retrain_on_warning: bool = Field(
        False,
        description="Whether novelty or a shift alone, without a breach, sends the work back.",
        examples=[False],
    )
    control: Control | None = None
