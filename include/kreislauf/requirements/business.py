"""The business metrics of a contract: what must hold in the lab, and what is watched live."""

from __future__ import annotations

from keyword import iskeyword
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from include.kreislauf.handovers import Name
from include.kreislauf.requirements.monitoring import (
    Observed,
    Outcomes,
    Queried,
    SequentialTest,
    check_levels,
)
from include.kreislauf.requirements.problem import ClassName
from include.kreislauf.requirements.section import Section, inconsistent

ActionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class PortfolioUplift(Section):
    """Mean realised growth of the recommended entities minus the mean of all."""

    kind: Literal["portfolio_uplift"]
    name: Name = Field(
        description="Told apart by it: in verdicts, loops and the ledger.", examples=["portfolio_uplift"]
    )
    top: int = Field(ge=1, le=1000, description="How many entities are recommended.", examples=[10])
    gate_threshold: float = Field(
        description="What a candidate must reach on the held-out periods.", examples=[0.02]
    )
    threshold: float = Field(
        description="Live: a mean below it, over the window, is a breach.", examples=[0.02]
    )
    window_periods: int = Field(
        ge=1, le=100, description="Matured periods the live mean is taken over.", examples=[3]
    )
    level: float = Field(
        0.8, gt=0.5, lt=1, description="Confidence level of the interval shown with it.", examples=[0.8]
    )
    unit: str = Field(
        "log points per period", description="Shown with the numbers.", examples=["log points per period"]
    )

    @property
    def direction(self) -> Literal["higher"]:
        """More growth is better."""
        return "higher"

    @property
    def test(self) -> None:
        """One number a period is too few for a test."""
        return None


class DecisionValue(Section):
    """What is saved by acting on the predictions, beside what is done without them, from a matrix of costs.

    Each prediction leads to the action that costs least: of two classes by the expected cost under the predicted
    probability, of more as if the predicted class were certain.

    Source: Elkan, The foundations of cost-sensitive learning, IJCAI 2001.
    """

    kind: Literal["decision_value"]
    name: Name = Field(
        description="Told apart by it: in verdicts, loops and the ledger.", examples=["downtime_avoided"]
    )
    actions: dict[ActionName, dict[ClassName, float]] = Field(
        min_length=2,
        description="Cost of each action, by the class that then happens.",
        examples=[{"inspect": {"sound": 60, "failure": 200}, "run_on": {"sound": 0, "failure": 2000}}],
    )
    without: ActionName = Field(
        description="The action that is taken where there is no model.", examples=["run_on"]
    )
    per: float = Field(
        1.0, gt=0, description="So many units one prediction is about, such as 8 machine-hours.", examples=[8]
    )
    gate_threshold: float = Field(
        description="What a candidate must reach on the held-out rows.", examples=[0.5]
    )
    threshold: float = Field(description="Live: a level below it is bad.", examples=[0.2])
    maturity_days: float = Field(
        0.0,
        ge=0,
        description="Days after a prediction before its outcome counts, however early it came.",
        examples=[3],
    )
    level: float = Field(
        0.8, gt=0.5, lt=1, description="Confidence level of the interval in the lab.", examples=[0.8]
    )
    test: SequentialTest = Field(
        description="How a fall is told from chance; its bounds hold the least and the greatest value of a decision.",
        examples=[{"bounds": [-8, 225]}],
    )
    unit: str = Field(
        "cost per prediction", description="Shown with the numbers.", examples=["euros per machine-hour"]
    )

    @property
    def direction(self) -> Literal["higher"]:
        """More saved is better."""
        return "higher"

    @property
    def classes(self) -> set[str]:
        """The classes that costs are given for."""
        return set(next(iter(self.actions.values())))

    @model_validator(mode="after")
    def _matrix_is_whole(self) -> DecisionValue:
        for name, costs in self.actions.items():
            if set(costs) != self.classes:
                raise inconsistent(
                    f"action {name} has costs for {', '.join(sorted(costs))}",
                    allowed=f"a cost for each of {', '.join(sorted(self.classes))}",
                )
        if self.without not in self.actions:
            raise inconsistent(f"without is {self.without}", allowed=", ".join(self.actions))
        return self

    @model_validator(mode="after")
    def _values_lie_within_the_bounds(self) -> DecisionValue:
        if self.without not in self.actions:
            return self
        otherwise = self.actions[self.without]
        values = [(otherwise.get(one, cost) - cost) / self.per for costs in self.actions.values() for one, cost in costs.items()]  # fmt: skip
        low, high = self.test.bounds
        if min(values) < low or max(values) > high:
            raise inconsistent(
                f"by the matrix a prediction is worth {min(values):g} to {max(values):g}",
                allowed=f"bounds of the test that hold this, such as [{min(values):g}, {max(values):g}]",
            )
        check_levels(self)
        return self


class OwnMetric(Observed):
    """A number that the use case's own ``metrics.py`` computes of each prediction and what really happened.

    The file offers a function of the metric's name: ``NAME(predicted, happened, options)``, of two arrays of one shape,
    as the prediction log has them: numbers; the probability of the second of two classes and its position; positions of
    more classes. It gives an array of that shape.
    """

    kind: Literal["own"]
    options: dict[str, JsonValue] = Field(
        {},
        description="Given to the function as they stand here.",
        examples=[{"price": 3.5, "cost": 2.0}],
    )

    @field_validator("name")
    @classmethod
    def _name_can_be_that_of_a_function(cls, name: str) -> str:
        if iskeyword(name):
            raise inconsistent(f"{name} is a word of Python's", allowed="a name that a function can have")
        return name


class Reported(Section):
    """A number that the users of the recommendation report themselves."""

    kind: Literal["reported"]
    name: Name = Field(
        description="Told apart by it: in verdicts, loops and the ledger.",
        examples=["development_productivity"],
    )
    threshold: float = Field(description="Live: a level on the wrong side of it is bad.", examples=[96.0])
    window_periods: int = Field(
        ge=1, le=100, description="Periods the live mean is taken over, where there is no test.", examples=[2]
    )
    min_reports: int = Field(
        10, ge=1, description="Fewer reports in the window are inconclusive.", examples=[10]
    )
    level: float = Field(
        0.8, gt=0.5, lt=1, description="Confidence level of the interval shown with it.", examples=[0.8]
    )
    direction: Literal["higher", "lower"] = Field(
        "higher", description="What is better.", examples=["higher"]
    )
    test: SequentialTest | None = Field(
        None,
        description="Each report is an observation of a sequential test; empty: mean over the window.",
        examples=[{"bounds": [0, 200], "reference": 104.0}],
    )
    unit: str = Field("index points", description="Shown with the numbers.", examples=["index points"])

    @model_validator(mode="after")
    def _levels_fit_the_test(self) -> Reported:
        check_levels(self)
        return self


BusinessMetric = Annotated[
    PortfolioUplift | DecisionValue | Reported | Outcomes | Queried | OwnMetric, Field(discriminator="kind")
]
GateMetric = PortfolioUplift | DecisionValue | Outcomes | OwnMetric
"""Metrics that one function computes in the lab and live; of ``outcomes`` and ``own`` those with a ``gate_threshold``."""
PerPrediction = DecisionValue | Outcomes | OwnMetric
"""Metrics with one observation for each prediction whose outcome is known."""


def is_gate(metric: BusinessMetric) -> bool:
    """Whether a candidate can be judged by it before it goes live."""
    return isinstance(metric, GateMetric) and metric.gate_threshold is not None
