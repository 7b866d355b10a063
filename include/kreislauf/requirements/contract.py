"""The use-case contract: frozen, strict models of ``contract.yaml``.

The SHA-256 of a contract's canonical JSON is its version: every handover, release and run carries it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from include.kreislauf.handovers import Name
from include.kreislauf.requirements.business import (
    BusinessMetric,
    GateMetric,
    PortfolioUplift,
    Reported,
    is_gate,
)
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.consistency import check_columns, check_metric, check_step, check_types
from include.kreislauf.requirements.delivery import Delivery
from include.kreislauf.requirements.monitoring import Monitoring
from include.kreislauf.requirements.problem import Problem, fitting
from include.kreislauf.requirements.science import Performance, Preparation, Training
from include.kreislauf.requirements.section import Section, inconsistent
from include.kreislauf.requirements.sources import Counted, Source

__all__ = [
    "BusinessMetric",
    "Contract",
    "PortfolioUplift",
    "Problem",
    "Reported",
    "canonical_json",
    "json_schema",
]


class Quality(Section):
    """What the raw data must satisfy before a version of it exists."""

    min_rows: int = Field(1, ge=1, description="Least rows.", examples=[200])
    min_entities: int = Field(
        1, ge=1, description="Least different entities; of rows without entity, rows.", examples=[15]
    )
    max_age_periods: int = Field(
        2, ge=1, description="Newest row may be this many periods older than as_of.", examples=[2]
    )
    max_bad_lines: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of unreadable lines above which a file is rejected whole.",
        examples=[0.01],
    )
    min_coverage: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a period's files that must be there; below, the period is missing.",
        examples=[0.5],
    )
    max_missing_periods: int = Field(
        2, ge=0, description="Of the last eight periods, so many may be missing in a source.", examples=[2]
    )
    max_volume_change: float = Field(
        5.0,
        gt=1,
        description="A period's volume may be this many times more, or less, than the median before.",
        examples=[5.0],
    )
    on_failure: Literal["loop", "retry"] = Field(
        "loop",
        description="A broken rule goes to requirements at once, or only after the task's retries have failed as well.",
        examples=["retry"],
    )


class Emerging(Section):
    """How technologies that are not in the catalogue are found, and when they are taken in."""

    min_sources: int = Field(2, ge=1, le=10, description="Sources that must show it growing.", examples=[2])
    min_count: int = Field(
        20, ge=1, description="Least count in the last year, in each of them.", examples=[20]
    )
    min_growth: float = Field(
        1.5,
        ge=1,
        description="Share in the last year over that in the year before, in each of them.",
        examples=[1.5],
    )
    propose: int = Field(
        20, ge=1, le=200, description="How many the data sheet names at most.", examples=[20]
    )
    adopt: int = Field(
        0, ge=0, le=100,
        description="How many a loop from monitoring or data science may take in without asking; 0: none.",examples=[12])  # fmt: skip


class Governor(Section):
    """Bounds on the loops, so that they end."""

    cool_down_days: int = Field(
        ge=0, description="Least time between two cycles opened by monitoring.", examples=[80]
    )
    max_hops: int = Field(
        ge=0, le=100, description="Loops inside one cycle before a person is asked.", examples=[6]
    )
    cycle_timeout_hours: float = Field(
        24.0, gt=0, description="An active cycle older than this is given up.", examples=[24]
    )
    help_periods: int = Field(
        2, ge=1, description="Matured periods after which a loop is judged: did it help?", examples=[2]
    )
    weekly_budget: int = Field(
        3, ge=1, le=100, description="Cycles that monitoring may open within seven days.", examples=[3]
    )
    back_off: float = Field(
        2.0, ge=1, le=10,
        description="The cool-down grows by this factor with each loop in a row that did not help, to eight times at most.",examples=[2])  # fmt: skip
    ask_after: int = Field(
        2, ge=1, le=20, description="Loops in a row that did not help before a person is asked.", examples=[2]
    )


class Contract(Section):
    """A signed requirement: everything the ring needs to know of one use case."""

    version: Literal[1] = Field(description="Version of this format.")
    name: Name = Field(description="The folder of the use case has the same name.", examples=["shop_growth"])
    title: str = Field(
        min_length=1,
        max_length=200,
        description="What people read in lists and documents.",
        examples=["Shops that will grow"],
    )
    purpose: str = Field(
        min_length=1,
        description="What it is for, in a few sentences: the first thing each role reads.",
        examples=["Next month's advertising goes to the shops that will grow most."],
    )
    owner: str = Field(
        min_length=1,
        description="The role or team that answers for the requirement.",
        examples=["head of sales"],
    )
    sign_off: Literal["required", "automatic"] = Field(
        "required",
        description="required: a person signs each version of the contract in Airflow's UI; automatic: recorded as signed automatically.",
        examples=["required"],
    )
    problem: Problem
    sources: tuple[Source, ...] = Field(
        min_length=1, strict=False, description="Where the raw data come from; joined by entity and time."
    )
    technologies: tuple[Technology, ...] = Field(
        (), strict=False, description="Filled from technologies.yaml beside the contract."
    )
    emerging: Emerging = Emerging()
    quality: Quality = Quality()
    preparation: Preparation = Preparation()
    training: Training
    performance: Performance
    business_metrics: tuple[BusinessMetric, ...] = Field(
        min_length=1,
        strict=False,
        description="What success is measured by; the first that can be computed in the lab is the gate's.",
    )
    delivery: Delivery = Delivery()
    monitoring: Monitoring = Monitoring()
    governor: Governor

    @field_validator("sources")
    @classmethod
    def _sources_have_the_keys(cls, sources: tuple[Source, ...], info: ValidationInfo) -> tuple[Source, ...]:
        names = [source.name for source in sources]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise inconsistent(f"named twice: {', '.join(repeated)}", allowed="each name once")
        problem: Problem | None = info.data.get("problem")  # None: it is at fault itself
        if problem:
            check_columns(sources, problem)
            check_types(sources, problem)
        return sources

    @field_validator("preparation")
    @classmethod
    def _cleaning_fits_the_problem(cls, preparation: Preparation, info: ValidationInfo) -> Preparation:
        problem: Problem | None = info.data.get("problem")  # None: it is at fault itself
        for step in preparation.cleaning if problem else ():
            check_step(step, cast("Problem", problem))
        return preparation

    @field_validator("performance")
    @classmethod
    def _performance_fits_the_problem(cls, performance: Performance, info: ValidationInfo) -> Performance:
        problem: Problem | None = info.data.get("problem")
        if problem is None:  # it is at fault itself
            return performance
        metrics, baselines = fitting(problem)
        found = (("metric", performance.metric, metrics), ("baseline", performance.baseline, baselines))
        for field, value, allowed in found:
            if value not in allowed:
                raise inconsistent(
                    f"{field} {value} does not judge a problem of kind {problem.kind}"
                    + ("" if problem.time else " without time"),
                    allowed=", ".join(allowed),
                )
        return performance

    @model_validator(mode="after")
    def _counted_sources_have_a_catalogue(self) -> Contract:
        counted = [source.name for source in self.sources if isinstance(source, Counted)]
        if counted and not self.technologies:
            raise inconsistent(
                f"source {counted[0]} counts technologies, but there is no catalogue",
                allowed="a technologies.yaml beside the contract",
            )
        if counted and self.emerging.min_sources > len(counted):
            raise inconsistent(
                f"emerging.min_sources is {self.emerging.min_sources}: nothing can be seen in so many sources",
                allowed=f"1 to {len(counted)}, the number of counted sources",
            )
        return self

    @field_validator("business_metrics")
    @classmethod
    def _metrics_fit_the_gate(
        cls, metrics: tuple[BusinessMetric, ...], info: ValidationInfo
    ) -> tuple[BusinessMetric, ...]:
        names = [metric.name for metric in metrics]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise inconsistent(f"named twice: {', '.join(repeated)}", allowed="each name once")
        if not any(map(is_gate, metrics)):
            raise inconsistent(
                "the gate has no metric",
                allowed="at least one of kind portfolio_uplift or decision_value, or of kind outcomes or own with a gate_threshold",
            )
        problem: Problem | None = info.data.get("problem")
        for metric in metrics if problem else ():
            check_metric(metric, cast("Problem", problem))
        return metrics

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON (sorted keys, no white space), in hexadecimal."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    @property
    def gate_metric(self) -> GateMetric:
        """The first business metric that can be computed in the lab and live by the same function."""
        return cast("GateMetric", next(filter(is_gate, self.business_metrics)))


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no white space, UTF-8 kept (after RFC 8785 in spirit, not in number format)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_schema(model: type[Section] = Contract) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``contract.yaml``, or of another file's model, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
