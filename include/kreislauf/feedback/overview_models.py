"""What the overview of a use case is made of: frozen models, served as JSON by the workflow page."""

from __future__ import annotations

from pydantic import AwareDatetime

from include.kreislauf.feedback.standing import Standing
from include.kreislauf.handovers import Frozen


class UseCase(Frozen):
    """A use case to choose; ``problem`` says why its contract cannot be used."""

    name: str
    title: str = ""
    problem: str = ""


class Predicted(Frozen):
    """What a use case predicts, in words; ``classes`` in the order of the contract, none for a number."""

    kind: str
    classes: tuple[str, ...]
    text: str


class SignOff(Frozen):
    """Who decided on the contract; empty: nobody yet."""

    contract: str
    decision: str = ""
    by: str = ""
    how: str = ""


class Document(Frozen):
    """Something to read; ``href`` is its address below the page."""

    name: str
    href: str


class Change(Frozen):
    """The business metric before and after a cycle, from the loop that opened it."""

    metric: str
    unit: str
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    gain_low: float | None
    gain_high: float | None
    helped: bool | None


class CycleLine(Frozen):
    """One pass around the ring."""

    cycle_id: str
    started_by: str
    reason: str
    state: str
    note: str
    as_of: AwareDatetime
    opened_at: AwareDatetime
    release: int | None
    change: Change | None
    documents: tuple[Document, ...] = ()


class Fired(Frozen):
    """A loop that fired in the newest cycles: how often, and where and why it did so last."""

    edge: str
    raised_by: str
    received_by: str
    times: int
    refused: int
    cycle_id: str
    reason: str
    text: str
    in_current: bool


class LoopKind(Frozen):
    """What the loops of one way, for one reason, have come to; gains are positive where the metric became better."""

    edge: str
    reason: str
    metric: str
    unit: str
    raised: int
    refused: int
    closed: int
    helped: int
    surely_helped: int
    surely_harmed: int
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    machine_seconds: float


class LiveRelease(Frozen):
    """What the service answers with."""

    version: int
    cycle_id: str
    since: AwareDatetime
    promoted_at: AwareDatetime
    reason: str
    family: str
    metric: str
    gain: float | None
    """Share by which the error of the baseline is undercut, in the metric named."""
    documents: tuple[Document, ...] = ()


class Promotion(Frozen):
    """A change of the live release."""

    version: int
    previous: int | None
    as_of: AwareDatetime
    reason: str


class Point(Frozen):
    """A verdict on one release at one time."""

    as_of: AwareDatetime
    release: int
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    text: str


class MetricHistory(Frozen):
    """A business metric of the contract with its verdicts, oldest first."""

    name: str
    unit: str
    threshold: float | None
    direction: str
    """What is better, ``higher`` or ``lower``; empty: the contract does not know the metric any more."""
    points: tuple[Point, ...]


class Overview(Frozen):
    """Everything the workflow page shows of one use case; cycles newest first, promotions oldest first."""

    use_case: UseCase
    purpose: str
    owner: str
    predicted: Predicted | None
    sign_off: SignOff | None
    current: CycleLine | None
    standing: Standing
    fired: tuple[Fired, ...]
    fired_cycles: int
    loop_kinds: tuple[LoopKind, ...]
    stranded: tuple[str, ...]
    """What was handed over or sent back and nobody receives, though it was emitted again and again."""
    live: LiveRelease | None
    promotions: tuple[Promotion, ...]
    metrics: tuple[MetricHistory, ...]
    cycles: tuple[CycleLine, ...]
