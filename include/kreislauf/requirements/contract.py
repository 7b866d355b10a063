"""The use-case contract: frozen, strict models of ``contract.yaml``.

The SHA-256 of a contract's canonical JSON is its version: every handover, release and run carries it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from include.kreislauf.handovers import Name

ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class Section(BaseModel):
    """Base of every part of a contract: immutable, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Problem(Section):
    """What is predicted, for what, and how far ahead."""

    kind: Literal["regression"] = Field(description="Kind of target.")
    entity: ColumnName = Field(description="Column that names what a prediction is about.")
    time: ColumnName = Field(description="Column with the start of the period a row is about.")
    period: Literal["month", "quarter", "year"] = Field(description="Length of one period.")
    horizon: int = Field(1, ge=1, le=40, description="Periods from a row to the end of its target.")


class Column(Section):
    """One column that the sources must deliver."""

    type: Literal["text", "number", "date"]
    required: bool = Field(
        False, description="A missing column, or an empty value where nulls are not allowed, stops."
    )
    minimum: float | None = None
    maximum: float | None = None


class TableSource(Section):
    """Rows from a CSV or Parquet file, on a disk or in an object store."""

    kind: Literal["table"]
    name: Name
    url: str = Field(
        min_length=1, description="File path or URL; {data} stands for the installation's data URL."
    )
    available_after_days: int = Field(
        0, ge=0, le=3650, description="Days from the end of a period to its rows."
    )
    columns: dict[ColumnName, Column] = Field(min_length=1)


class Quality(Section):
    """What the raw data must satisfy before a version of it exists."""

    min_rows: int = Field(1, ge=1)
    min_entities: int = Field(1, ge=1)
    max_age_periods: int = Field(2, ge=1, description="Newest row may be this many periods older than as_of.")


class Family(Section):
    """A model family to try."""

    family: str = Field(min_length=1, description="Registered name of a model family.")


class Training(Section):
    """Which candidates are trained, and how they are compared."""

    candidates: tuple[Family, ...] = Field(min_length=1, strict=False)
    held_out_periods: int = Field(
        ge=4, le=200, description="Latest periods with known target, kept for the gate."
    )
    seed: int = 0


class Performance(Section):
    """The performance metric and what it must reach against the naive baseline."""

    metric: Literal["mae"]
    baseline: Literal["persistence"]
    min_gain: float = Field(ge=0, le=1, description="Share by which the baseline's error must be undercut.")
    champion_tolerance: float = Field(
        0.02, ge=0, le=1, description="Share by which the champion may be missed."
    )


class PortfolioUplift(Section):
    """Mean realised growth of the recommended entities minus the mean of all."""

    kind: Literal["portfolio_uplift"]
    name: Name
    top: int = Field(ge=1, le=1000, description="How many entities are recommended.")
    gate_threshold: float = Field(description="What a candidate must reach on the held-out periods.")
    threshold: float = Field(description="Live: a mean below it, over the window, is a breach.")
    window_periods: int = Field(ge=1, le=100, description="Matured periods the live mean is taken over.")
    level: float = Field(0.8, gt=0.5, lt=1, description="Confidence level of the interval shown with it.")
    unit: str = "log points per period"


class Reported(Section):
    """A number that the users of the recommendation report themselves."""

    kind: Literal["reported"]
    name: Name
    threshold: float
    window_periods: int = Field(ge=1, le=100)
    min_reports: int = Field(10, ge=1, description="Fewer reports in the window are inconclusive.")
    level: float = Field(0.8, gt=0.5, lt=1)
    unit: str = "index points"


BusinessMetric = Annotated[PortfolioUplift | Reported, Field(discriminator="kind")]


class Governor(Section):
    """Bounds on the loops, so that they end."""

    cool_down_days: int = Field(ge=0, description="Least time between two cycles opened by monitoring.")
    max_hops: int = Field(ge=0, le=100, description="Loops inside one cycle before a person is asked.")
    cycle_timeout_hours: float = Field(24.0, gt=0, description="An active cycle older than this is given up.")
    help_periods: int = Field(
        2, ge=1, description="Matured periods after which a loop is judged: did it help?"
    )


class Contract(Section):
    """A signed requirement: everything the ring needs to know of one use case."""

    version: Literal[1] = Field(description="Version of this format.")
    name: Name
    title: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=1)
    owner: str = Field(min_length=1, description="The role or team that answers for the requirement.")
    sign_off: Literal["required", "automatic"] = "required"
    problem: Problem
    sources: tuple[TableSource, ...] = Field(min_length=1, strict=False)
    quality: Quality = Quality()
    training: Training
    performance: Performance
    business_metrics: tuple[BusinessMetric, ...] = Field(min_length=1, strict=False)
    governor: Governor

    @field_validator("sources")
    @classmethod
    def _sources_have_the_keys(
        cls, sources: tuple[TableSource, ...], info: ValidationInfo
    ) -> tuple[TableSource, ...]:
        problem: Problem | None = info.data.get("problem")  # None: it is at fault itself
        keys = {problem.entity, problem.time} if problem else set()
        for source in sources:
            if lacking := sorted(keys - set(source.columns)):
                raise _inconsistent(
                    f"the columns of source {source.name} lack {', '.join(lacking)} of the problem",
                    allowed="columns of the source in problem.entity and problem.time",
                )
        return sources

    @field_validator("business_metrics")
    @classmethod
    def _metrics_fit_the_gate(cls, metrics: tuple[BusinessMetric, ...]) -> tuple[BusinessMetric, ...]:
        names = [metric.name for metric in metrics]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise _inconsistent(f"named twice: {', '.join(repeated)}", allowed="each name once")
        if not any(isinstance(metric, PortfolioUplift) for metric in metrics):
            raise _inconsistent("the gate has no metric", allowed="at least one of kind portfolio_uplift")
        return metrics

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON (sorted keys, no white space), in hexadecimal."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json")).encode()).hexdigest()

    @property
    def gate_metric(self) -> PortfolioUplift:
        """The business metric that can be computed in the lab and live by the same function."""
        return next(metric for metric in self.business_metrics if isinstance(metric, PortfolioUplift))


def _inconsistent(what: str, *, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("inconsistent", "{what}", {"what": what, "expected": allowed})


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no white space, UTF-8 kept (after RFC 8785 in spirit, not in number format)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``contract.yaml``, for editors."""
    schema = Contract.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
