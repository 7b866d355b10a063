"""Every metric of the workflow exporter: its name, its meaning, its labels. What the service exports stands there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

PREFIX = "kreislauf_"

Family = GaugeMetricFamily | CounterMetricFamily


@dataclass(frozen=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name: without the prefix, and of a counter without ``_total``.
    text: what it means; the documentation has the same words.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    @property
    def exported(self) -> str:
        """Its name as Prometheus knows it."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"

    def family(self) -> Family:
        """An empty family of it."""
        make = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        return make(f"{PREFIX}{self.name}", self.text, labels=self.labels)


@dataclass
class Sheet:
    """Values of some metrics; a label that is not there has no value."""

    _families: dict[str, Family] = field(default_factory=dict)

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        """Write one value down."""
        self._families.setdefault(metric.name, metric.family()).add_metric(labels, value)

    def families(self) -> Iterable[Family]:
        """What was written, in the order of its first value."""
        return tuple(self._families.values())


STORE_UP = Metric("store_up", "Whether the workflow store answered the newest look.")
ERRORS = Metric("exporter_errors", "Looks at the store that failed or took too long.", kind="counter")
READ_SECONDS = Metric("exporter_read_seconds", "Time that the newest look at the store took.")
READ_AT = Metric("exporter_read_timestamp_seconds", "When the values were read; they are kept for 15 s.")

SCHEMA = Metric(
    "store_schema_info", "1: the store's schema, and whether it is the one that this code needs.", ("revision", "current")
)  # fmt: skip
STORE_BYTES = Metric("store_bytes", "Size of the workflow store's database.")
STORE_ROWS = Metric(
    "store_rows", "Rows of each table, about: from the database's own statistics.", ("table",)
)

CYCLES = Metric("cycles", "Cycles by state.", ("use_case", "state"))
CYCLE_OPENED = Metric("active_cycle_opened_timestamp_seconds", "When the cycle at work was opened.", ("use_case",))  # fmt: skip
CYCLE_MOVED = Metric(
    "active_cycle_moved_timestamp_seconds",
    "When the cycle at work last changed, or a handover or loop of it was recorded.",
    ("use_case",),
)

LOOPS_DECIDED = Metric(
    "loops_decided", "Loops that the governor has decided, of every use case.", ("use_case", "edge", "decision"), "counter"
)  # fmt: skip
LOOPS_REASONS = Metric(
    "loops_reasons", "The same, by the reason for which they were raised.", ("use_case", "reason", "decision"), "counter"
)  # fmt: skip
LOOPS_HELPED = Metric(
    "loops_closed", "Loops whose effect is measured, and whether they helped.", ("use_case", "helped"), "counter"
)  # fmt: skip

VERDICTS = Metric(
    "verdicts", "Verdicts of monitoring by result, of all releases.", ("use_case", "verdict"), "counter"
)
VERDICT_AT = Metric("newest_verdict_timestamp_seconds", "When any release was last judged.", ("use_case",))

LATENCY = Metric(
    "handover_latency_seconds",
    "Time from a handover or loop to its receipt, over the last 24 hours.",
    ("role", "quantile"),
)
RECEIVED = Metric("handovers_received", "Handovers and loops taken up in the last 24 hours.", ("role",))
MESSAGE_SINCE = Metric(
    "message_waiting_timestamp_seconds",
    "When the handover or loop was recorded that a role has not taken up yet.",
    ("use_case", "role"),
)
QUESTIONS = Metric("questions_waiting", "Cycles that wait for a person, by the role that is asked.", ("role",))  # fmt: skip
QUESTION_SINCE = Metric(
    "question_waiting_timestamp_seconds", "Since when a cycle waits for a person.", ("use_case", "role")
)

LIVE = Metric(
    "live_release_info", "1: what is live in the store.", ("use_case", "version", "cycle_id", "family")
)
LIVE_SINCE = Metric("live_release_since_timestamp_seconds", "When it went live.", ("use_case",))
CHALLENGER = Metric(
    "challenger", "1: a release is being tried, in this state.", ("use_case", "state")
)  # fmt: skip
CHALLENGER_SINCE = Metric("challenger_since_timestamp_seconds", "When it came into this state.", ("use_case",))  # fmt: skip
MATURING = Metric(
    "outcomes_maturing",
    "Predictions younger than the contract's longest maturity_days: their outcomes do not count yet. Counted every 5 minutes.",
    ("use_case",),
)

ALL: tuple[Metric, ...] = tuple(value for value in globals().copy().values() if isinstance(value, Metric))
"""Every metric above, in this order."""
