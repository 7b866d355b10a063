"""The contract's part on deployment: what a release must show on live traffic before it becomes the live one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from include.kreislauf.requirements.section import Section


class Shadow(Section):
    """The release computes what the champion answers; nobody sees its predictions."""

    min_rows: int = Field(
        ge=1, description="Predictions it must have computed, all without an error.", examples=[1000]
    )
    max_hours: float = Field(
        gt=0, le=2000, description="After so long without them it is inconclusive.", examples=[24]
    )
    max_difference: float | None = Field(
        None,
        gt=0,
        description="99 of 100 predictions may differ from the champion's by so much at most, in the target's unit; of more "
        "than two classes, the share of predictions that may be of another class.",
        examples=[0.5],
    )


class Canary(Section):
    """The release answers a share of the requests and is compared with an equally large share of the champion's."""

    share: float = Field(
        gt=0, le=0.5, description="Of the requests that the release answers.", examples=[0.1]
    )
    min_requests: int = Field(ge=10, description="Requests in each arm before it can pass.", examples=[2000])
    max_hours: float = Field(
        gt=0, le=2000, description="After so long without a verdict it is inconclusive.", examples=[24]
    )
    max_slowdown: float = Field(
        1.5,
        ge=1,
        description="Mean and 99th percentile of its time may be so many times the champion's.",
        examples=[1.5],
    )
    max_errors: float = Field(
        0.01, gt=0, lt=1, description="Share of its requests that may fail.", examples=[0.01]
    )
    business: bool = Field(
        False,
        description="Whether reported business metrics, or else decision_value, outcomes or the error on what happened, "
        "must be known and no worse than the champion's. Only for outcomes that are known within max_hours.",
        examples=[True],
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="With which a verdict is right.", examples=[0.95]
    )


class Delivery(Section):
    """How a verified release becomes the live one. Empty: as soon as every worker of the service has loaded it."""

    shadow: Shadow | None = Field(None, description="Compare with the champion on live traffic, unseen.")
    canary: Canary | None = Field(None, description="Answer a part of the live traffic.")
    on_inconclusive: Literal["wait", "ask", "promote", "reject"] = Field(
        "ask", description="What follows when time is over and the numbers do not decide.", examples=["ask"]
    )
    approval: Literal["none", "required"] = Field(
        "none",
        description="required: a person who did not train the model must agree before it goes live.",
        examples=["required"],
    )
