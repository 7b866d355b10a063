"""Requests and answers of the prediction service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

MAX_ROWS = 1000
FIRST_YEAR, LAST_YEAR = 1900, 2200  # far enough from what a conversion to UTC could overflow
MAX_RELEASE = 2**31 - 1  # what the store's integer column can hold


def _no_number(value: Any) -> Any:
    # pydantic would take 2016 for seconds since 1970
    if not isinstance(value, str):
        raise ValueError("must be a string in ISO 8601 with a time zone, such as 2016-01-01T00:00:00Z")
    return value


def _date_is_midnight(value: Any) -> Any:
    return f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == len("2016-01-01") else value


def _to_utc(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"must lie between the years {FIRST_YEAR} and {LAST_YEAR}")
    return value.astimezone(UTC)


def _schema(*formats: str) -> WithJsonSchema:
    kinds = [{"type": "string", "format": name} for name in formats]
    return WithJsonSchema(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


Moment = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_to_utc), _schema("date-time")]
Start = Annotated[
    AwareDatetime, BeforeValidator(_date_is_midnight), BeforeValidator(_no_number), AfterValidator(_to_utc),
    _schema("date", "date-time"),
]  # fmt: skip
# PostgreSQL stores no NUL character, and other control characters are never part of a name.
Text = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _number_or_class(value: Any) -> float | str:
    if isinstance(value, str):
        return _text.validate_python(value)
    return _number.validate_python(value)


_text: TypeAdapter[str] = TypeAdapter(Text)
_number: TypeAdapter[float] = TypeAdapter(Number)
NumberOrClass = Annotated[
    float | str, PlainValidator(_number_or_class, json_schema_input_type=Number | Text), WithJsonSchema(TypeAdapter(Number | Text).json_schema()),
]  # fmt: skip
"""One or the other, so that what is wrong is told of the field and not of both."""
Answer = Literal["stored", "duplicate", "conflict", "unknown", "accepted"]


class Request(BaseModel):
    """Base of everything a client sends: an unknown field is an error that names the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(cls.model_fields))):
            raise ValueError(f"unknown field {unknown[0][:100]!r}; allowed: {', '.join(cls.model_fields)}")
        return data


class Row(Request):
    """One thing to predict: by its name, by its features, or both."""

    entity: Text | None = Field(
        default=None,
        description="Name of the entity; one that the live release does not know is answered with null. Where all "
        "features have to be sent it is a label that is logged.",
    )
    features: dict[str, Any] | None = Field(
        default=None,
        description="All features of the live release: finite numbers, and texts for the categorical ones; null where "
        "the release knows what is missing. Left out: the features of the entity when the release was made, where it is "
        "asked by entity.",
    )

    def features_text(self) -> str | None:
        """The features as JSON; ``None``: it has none. What JSON cannot carry becomes what no release takes."""
        if self.features is None:
            return None
        try:
            return msgspec.json.encode(self.features).decode()
        except (ValueError, OverflowError, RecursionError):
            return ""


class PredictionsRequest(Request):
    """Rows to predict with the live release of a use case."""

    as_of: Moment | None = Field(
        default=None,
        description="Time the predictions are made for. Default: now; required where the clock is 'given'.",
    )
    period: Start | None = Field(
        default=None,
        description="Start of the period whose features are used; a date means midnight UTC. Default: as_of.",
    )
    key: Text | None = Field(
        default=None,
        description="While a new release answers a share of the requests, the same key always meets the same release; "
        "such as a user or a session. Default: each request by chance.",
    )
    rows: list[Row] = Field(min_length=1, max_length=MAX_ROWS)


class Prediction(BaseModel):
    """One prediction; it stands in the store when the client reads this."""

    prediction_id: str = Field(description="To be sent back with the outcome.")
    entity: str | None
    known: bool = Field(
        description="Whether the release knows the entity, or all categorical values of the features."
    )
    value: float | None = Field(
        description="A number; of two classes the probability of the second; of more the position of the most probable one, "
        "from 0. null: the entity is not known to the release."
    )
    low: float | None = Field(description="Lower end of the prediction interval; null: the release has none.")
    high: float | None = Field(description="Upper end of the prediction interval.")
    label: str | None = Field(
        default=None, description="The most probable class; absent where numbers are predicted."
    )
    probabilities: dict[str, float] | None = Field(
        default=None, description="Of every class; absent where numbers are predicted."
    )
    action: str | None = Field(
        default=None,
        description="What costs least by the contract's matrix of costs; null without one, absent for numbers.",
    )


class PredictionsAnswer(BaseModel):
    """Predictions in the order of the rows, all by one release."""

    use_case: str
    release: int
    predictions: list[Prediction]


class Outcome(Request):
    """What really happened to something that was predicted."""

    prediction_id: Id
    value: NumberOrClass = Field(
        description="A number; where classes are predicted the class's name, or its position from 0."
    )
    observed_at: Moment


class OutcomesRequest(Request):
    """Outcomes of predictions of one use case."""

    outcomes: list[Outcome] = Field(min_length=1, max_length=MAX_ROWS)


class OutcomeResult(BaseModel):
    """What became of one outcome."""

    prediction_id: str
    result: Answer
    reason: str | None = Field(
        description="Why it was not stored, or not yet; null for stored and duplicate."
    )


class OutcomesAnswer(BaseModel):
    """One result per outcome, in the order they were sent."""

    results: list[OutcomeResult]


class Report(Request):
    """A business metric as its users experienced it with the recommendations of one release."""

    id: Text = Field(
        description="Chosen by the client, unique in the store; sending a report twice stores it once."
    )
    metric: str = Field(description="A metric of kind 'reported' in the signed contract of the use case.")
    release: int = Field(
        strict=True, ge=1, le=MAX_RELEASE, description="Release whose recommendations were followed."
    )
    value: Number
    period: Start = Field(description="Start of the period the value is about; a date means midnight UTC.")
    observed_at: Moment


class ReportsRequest(Request):
    """Reports of business metrics of one use case."""

    reports: list[Report] = Field(min_length=1, max_length=MAX_ROWS)


class ReportResult(BaseModel):
    """What became of one report."""

    id: str
    result: Answer
    reason: str | None = Field(description="Why it was not stored; null for stored and duplicate.")


class ReportsAnswer(BaseModel):
    """One result per report, in the order they were sent."""

    results: list[ReportResult]


class RankedEntity(BaseModel):
    """An entity of the snapshot and its prediction."""

    model_config = ConfigDict(frozen=True)

    entity: str
    value: float


class RankingAnswer(BaseModel):
    """The entities with the highest values, highest first; equal ones by name."""

    use_case: str
    release: int
    ranking: list[RankedEntity]


class ReleaseAnswer(BaseModel):
    """A release, from its manifest."""

    model_config = ConfigDict(frozen=True)

    use_case: str
    version: int
    cycle_id: str
    as_of: datetime
    contract_hash: str
    family: str
    metrics: dict[str, Any]
    interval: dict[str, Any] = Field(
        default={}, description="level, half_width and measured coverage of the prediction intervals."
    )
    engine: dict[str, Any] = Field(
        default={}, description="kind: compiled or scikit-learn; and the reason, where it is not compiled."
    )
    problem: dict[str, Any] = Field(
        default={},
        description="kind, classes, how requests come, what may be missing, and what decisions cost.",
    )


class Change(BaseModel):
    """One change of the live release."""

    version: int
    previous: int | None = Field(description="The release that answered before; null: none did.")
    cycle_id: str
    reason: str
    as_of: datetime
    at: datetime = Field(description="When the pointer was changed.")


class ReleasesAnswer(BaseModel):
    """Every change of the live release, oldest first."""

    use_case: str
    changes: list[Change]


class WorkerAnswer(BaseModel):
    """One process of the service and what it holds."""

    id: str
    host: str
    pid: int
    serving: dict[str, dict[str, int]] = Field(description="Use case -> champion or candidate -> version.")
    problems: dict[str, str]
    started_at: datetime
    seen_at: datetime


class WorkersAnswer(BaseModel):
    """The workers that were heard of within the last ten seconds."""

    workers: list[WorkerAnswer]


class LiveAnswer(BaseModel):
    """The process runs."""

    live: Literal[True] = True


class ReadyAnswer(BaseModel):
    """Whether the store is reachable and every live release of it is served."""

    ready: bool
    use_cases: dict[str, int] = Field(description="Use case -> version of the release that answers now.")
    reasons: list[str] = Field(default=[], description="Why the service is not ready.")


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    field: str = Field(
        description="Path to the field, such as rows.0.features.stars; empty: the whole request."
    )
    reason: str
    allowed: str = Field(default="", description="What would have been accepted, where this can be told.")


class ErrorAnswer(BaseModel):
    """Why a request was refused. Nothing of it was stored."""

    error: str
    faults: list[Fault] = Field(default=[], description="At most 20 of them.")
