"""What one discipline gives the next, and what a loop sends back: frozen models, validated on emit and on receipt.

A model here is at once the ``extra`` of an asset event, a row of the workflow store, and (rendered) a document that
the receiving role reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from include.kreislauf.errors import HandoverError

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
CYCLE_PATTERN = r"^[a-z0-9][a-z0-9.:_-]{0,126}$"
KEY_SEPARATOR = "|"
MACHINE = "kreislauf"
"""Who raised, signed or decided what no person did."""


class Role(StrEnum):
    """Who works in which DAG; the value is the DAG's id."""

    REQUIREMENTS = "requirements"
    DATA_ENGINEERING = "data_engineering"
    DATA_SCIENCE = "data_science"
    MLOPS = "mlops"
    MONITORING = "monitoring"


PEOPLE: dict[Role, str] = {
    Role.REQUIREMENTS: "product owner",
    Role.DATA_ENGINEERING: "data engineer",
    Role.DATA_SCIENCE: "data scientist",
    Role.MLOPS: "MLOps engineer",
    Role.MONITORING: "MLOps engineer",
}
"""Whose DAG it is."""


class Stage(StrEnum):
    """The seven disciplines, in the order of the ring."""

    REQUIREMENTS = "requirements"
    COLLECTION = "collection"
    PREPARATION = "preparation"
    TRAINING = "training"
    EVALUATION = "evaluation"
    DEPLOYMENT = "deployment"
    MONITORING = "monitoring"


TAKES: dict[Role, Stage] = {
    Role.DATA_ENGINEERING: Stage.REQUIREMENTS,
    Role.DATA_SCIENCE: Stage.COLLECTION,
    Role.MLOPS: Stage.EVALUATION,
    Role.MONITORING: Stage.DEPLOYMENT,
}
"""The discipline whose handover starts a role's work."""

GIVES: dict[Role, Stage] = {
    Role.REQUIREMENTS: Stage.REQUIREMENTS,
    Role.DATA_ENGINEERING: Stage.COLLECTION,
    Role.DATA_SCIENCE: Stage.EVALUATION,
    Role.MLOPS: Stage.DEPLOYMENT,
    Role.MONITORING: Stage.MONITORING,
}
"""The discipline whose handover ends a role's work."""


class Edge(StrEnum):
    """Every way back: who raises the loop, and who receives it."""

    DATA_ENGINEERING_TO_REQUIREMENTS = "data_engineering→requirements"
    DATA_SCIENCE_TO_DATA_ENGINEERING = "data_science→data_engineering"
    DATA_SCIENCE_TO_DATA_SCIENCE = "data_science→data_science"
    DATA_SCIENCE_TO_REQUIREMENTS = "data_science→requirements"
    MLOPS_TO_DATA_SCIENCE = "mlops→data_science"
    MONITORING_TO_MLOPS = "monitoring→mlops"
    MONITORING_TO_DATA_SCIENCE = "monitoring→data_science"
    MONITORING_TO_DATA_ENGINEERING = "monitoring→data_engineering"
    MONITORING_TO_REQUIREMENTS = "monitoring→requirements"

    @property
    def raised_by(self) -> Role:
        """The role whose DAG emits the loop."""
        return Role(self.value.split("→")[0])

    @property
    def received_by(self) -> Role:
        """The role whose DAG is started by the loop."""
        return Role(self.value.split("→")[1])

    @property
    def opens_cycle(self) -> bool:
        """Loops from monitoring open a new cycle; the others stay inside theirs and raise the attempt."""
        return self.raised_by is Role.MONITORING


OPENING: tuple[Edge, ...] = tuple(edge for edge in Edge if edge.opens_cycle)
"""The loops that ask for a new cycle."""


class Reason(StrEnum):
    """Why a loop was raised."""

    SOURCE_FAILED = "source_failed"
    QUALITY_TOO_LOW = "quality_too_low"
    COVERAGE_TOO_LOW = "coverage_too_low"
    PERFORMANCE_SHORT = "performance_short"
    FEATURES_AT_FAULT = "features_at_fault"
    BUSINESS_METRIC_SHORT = "business_metric_short"
    WORSE_THAN_CHAMPION = "worse_than_champion"
    METRIC_AND_MODEL_DISAGREE = "metric_and_model_disagree"
    BUDGET_SPENT = "budget_spent"
    RELEASE_FAILED = "release_failed"
    ROLLED_BACK = "rolled_back"
    WORSE_THAN_BEFORE = "worse_than_before"
    FEATURES_SHIFTED = "features_shifted"
    CHALLENGER_BETTER = "challenger_better"
    BUSINESS_METRIC_FELL = "business_metric_fell"
    NEW_ENTITIES = "new_entities"
    NEW_CATEGORIES = "new_categories"
    LOOPS_DID_NOT_HELP = "loops_did_not_help"
    RETRIGGERED = "retriggered"


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
CycleId = Annotated[str, Field(pattern=CYCLE_PATTERN)]


class Frozen(BaseModel):
    """Strict, immutable, no unknown fields: the base of every model that crosses a boundary."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Evidence(Frozen):
    """One number behind a decision, with its unit."""

    name: str = Field(description="What was measured.")
    value: float | None = Field(description="The number; empty: it could not be had.")
    unit: str = Field("", description="What the number counts.")
    note: str = Field("", description="What else is to be known of it, such as its interval.")


class Message(Frozen):
    """What handovers and loops share: the thread they belong to and when they count."""

    use_case: Name = Field(description="Whose thread it belongs to.")
    cycle_id: CycleId = Field(description="The pass round the ring.")
    attempt: int = Field(1, ge=1, description="Raised by each loop inside the cycle.")
    hop: int = Field(0, ge=0, description="Loops taken since the cycle was opened.")
    contract_hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="Version of the contract.")
    as_of: AwareDatetime = Field(description="The time the data, and every decision, may know of.")
    run_id: str = Field("", description="The DAG run that made this message.")

    @property
    def key(self) -> str:
        """The partition key of every event and DAG run of the cycle."""
        return partition_key(self.use_case, self.cycle_id)


class Handover(Message):
    """The result of one discipline: a version, what it was made from, and a summary for the next role."""

    kind: Literal["handover"] = Field("handover", description="Tells handovers from loops.")
    stage: Stage = Field(description="The discipline whose result it is.")
    code_version: str = Field(description="Commit or release of the code that made it.")
    inputs: dict[str, str] = Field(default_factory=dict, description="Version of each input, by name.")
    output: str = Field(description="The version this stage produced.")
    summary: dict[str, JsonValue] = Field(
        default_factory=dict, description="What the discipline says of its result."
    )
    address: str = Field("", description="Digest of the basis; empty: the stage is always done anew.")
    basis: dict[str, str] = Field(
        default_factory=dict, description="What the result depends on, by name: code, contract, inputs."
    )
    reused_from: str = Field("", description="Id of the handover whose output is used; empty: made anew.")

    @property
    def id(self) -> str:
        """Unique per (cycle, stage, attempt)."""
        return f"{self.key}{KEY_SEPARATOR}{self.stage}{KEY_SEPARATOR}{self.attempt}"


class Loop(Message):
    """The way back: what was found wrong, with evidence, and who should act."""

    kind: Literal["loop"] = Field("loop", description="Tells loops from handovers.")
    edge: Edge = Field(description="Who raised it, and who receives it.")
    reason: Reason = Field(description="The reason as a word, for programs.")
    text: str = Field(description="The reason in a sentence, for people.")
    evidence: tuple[Evidence, ...] = Field((), description="The numbers behind it.")
    step: Stage | None = Field(
        None, description="The discipline to take up again, where the receiver has several."
    )
    parent_cycle_id: CycleId | None = Field(
        None, description="The cycle that was live when the loop was raised."
    )
    metric: str = Field("", description="The business metric in breach, where one is.")
    metric_before: Evidence | None = Field(None, description="Its level before the loop.")
    by: str = Field(MACHINE, description="The person or the program that raised the loop.")
    override: bool = Field(False, description="What is at work, or waits, makes way: a person decided it.")

    @property
    def id(self) -> str:
        """Unique per (cycle, edge, attempt)."""
        return f"{self.key}{KEY_SEPARATOR}{self.edge}{KEY_SEPARATOR}{self.attempt}"


class WorkOrder(Message):
    """What a DAG run has to do: made at its receipt, passed from task to task."""

    inputs: dict[str, str] = Field(default_factory=dict, description="Version of each input, by name.")
    started_by: str = Field(description="The asset, or the manual run, that started it.")
    reason: str = ""
    step: Stage | None = Field(
        None, description="Where to take up work again, where a role has several disciplines."
    )
    forced_loop: Edge | None = Field(
        None, description="The loop to raise instead of working: a person or the governor wants it."
    )
    by: str = Field(MACHINE, description="The person or the program that asked for it.")
    override: bool = Field(
        False, description="Whether a person decided to go on although others are at work."
    )
    fresh: bool = Field(False, description="Whether a person wants the work done anew, whatever is known.")

    def handover(
        self, stage: Stage, *, code_version: str, output: str, summary: dict[str, JsonValue]
    ) -> Handover:
        """The handover of one stage of this order."""
        return Handover(
            **self._message_fields(), stage=stage, code_version=code_version, inputs=self.inputs, output=output,
            summary=summary,
        )  # fmt: skip

    def after(self, handover: Handover) -> WorkOrder:
        """The order as the next discipline of the same role gets it: with a result, and what that was made from."""
        inputs = {**self.inputs, **handover.inputs, handover.stage: handover.output}
        return self.model_copy(update={"inputs": inputs})

    def loop(self, edge: Edge, reason: Reason, text: str, **fields: Any) -> Loop:
        """A loop inside this cycle: the attempt that it asks for is the next one."""
        own = {**self._message_fields(), "attempt": self.attempt + 1, "hop": self.hop + 1}
        return Loop(**{**own, "edge": edge, "reason": reason, "text": text, **fields})

    def _message_fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Message.model_fields}


@dataclass(frozen=True)
class StepResult:
    """What a discipline came to: its handover or a loop, the next role's document, and files beside it."""

    message: Handover | Loop
    document: str = ""


class PersonNeeded(Exception):
    """A discipline cannot go on without a person's answer; nothing of it has been recorded yet.

    Parameters
    ----------
    question: what the person is asked, in Markdown.
    """

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(question)


@dataclass(frozen=True)
class PersonAnswer:
    """What the person said: whether it is genuine, and who that was."""

    genuine: bool
    by: str


def partition_key(use_case: str, cycle_id: str) -> str:
    """``use_case|cycle_id``: one thread through all DAGs."""
    return f"{use_case}{KEY_SEPARATOR}{cycle_id}"


def split_key(key: str) -> tuple[str, str]:
    """Use case and cycle id of a partition key.

    Raises
    ------
    HandoverError: the key is not of the form ``use_case|cycle_id``.
    """
    use_case, _, cycle_id = key.partition(KEY_SEPARATOR)
    if not (re.fullmatch(NAME_PATTERN, use_case) and re.fullmatch(CYCLE_PATTERN, cycle_id)):
        raise HandoverError(
            f"{key!r} is not a cycle's key", where="partition_key", allowed="use_case|cycle_id, both in lower case",
            next_step="leave the key empty to open a new cycle, or copy the key of an existing one",
        )  # fmt: skip
    return use_case, cycle_id


def parse_message(extra: dict[str, Any]) -> Handover | Loop:
    """The handover or loop carried by an asset event.

    Raises
    ------
    HandoverError: the payload is neither, or one of its fields is not valid; names each field.
    """
    payload = {name: value for name, value in extra.items() if name != "from_rest_api"}
    model: type[Handover] | type[Loop] = Loop if payload.get("kind") == "loop" else Handover
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise HandoverError(
            f"not a valid {model.__name__.lower()}: {faults}", where="asset event",
            next_step="emit events with Kreislauf's own tasks, or send the fields of the published schema",
        ) from error  # fmt: skip


def to_extra(message: Handover | Loop) -> dict[str, Any]:
    """The JSON form of a message, as an asset event's ``extra``."""
    return message.model_dump(mode="json")


def cycle_id_for(number: int, as_of: datetime) -> str:
    """Readable and sortable: ``c0003-2016-04-01``."""
    return f"c{number:04d}-{as_of:%Y-%m-%d}"
