"""What monitoring has written into the store, as Prometheus metrics; labels are names from contracts and from the code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import nan

from prometheus_client import Gauge
from sqlalchemy import Connection

from include.kreislauf.store.live import Live
from include.kreislauf.store.monitoring_view import MonitoringView, monitoring_view

VERDICTS = ("healthy", "inconclusive", "breach")

Labels = tuple[str, ...]
MakeGauge = Callable[..., Gauge]


class MonitoringMetrics:
    """Gauges that follow the store.

    What is not known is NaN; what the store no longer has becomes NaN as well, since with several workers a label
    cannot be taken back.

    Parameters
    ----------
    gauge: makes a gauge from its name, its text and its labels.
    """

    def __init__(self, gauge: MakeGauge) -> None:
        metric, signal = ("use_case", "metric"), ("use_case", "signal")
        self.value = gauge("business_metric", "Newest judged level of a business metric.", *metric)
        self.low = gauge("business_metric_low", "Lower end of the level's interval.", *metric)
        self.high = gauge("business_metric_high", "Upper end of the level's interval.", *metric)
        self.threshold = gauge(
            "business_metric_threshold", "A level on its wrong side is bad, says the contract.", *metric
        )
        self.evidence = gauge(
            "business_metric_evidence", "Evidence of a fall; an alarm from 1 / false_alarms on.", *metric
        )
        self.verdict = gauge("business_metric_verdict", "1 for the newest verdict, 0 for the others.", *metric, "verdict")  # fmt: skip
        self.signal = gauge("signal", "What may warn before outcomes are known.", *signal)
        self.signal_limit = gauge("signal_limit", "Above it, the signal warns.", *signal)
        self.signal_warning = gauge("signal_warning", "1: surely above the limit.", *signal)
        self.loops = gauge(
            "loops", "Loops in the ledger, by edge and what became of them.", "use_case", "edge", "state"
        )
        self.stranded = gauge(
            "stranded_messages",
            "Handovers and loops that nobody receives, emitted again and again.",
            "use_case",
        )
        self.checked = gauge(
            "last_check_timestamp_seconds", "When monitoring last judged the live release.", "use_case"
        )
        self._shown: set[tuple[Gauge, Labels]] = set()

    def show(self, db: Connection, pointers: Iterable[Live]) -> None:
        """Show what the store knows of these live releases."""
        shown = {
            (gauge, labels): value
            for one in pointers
            for gauge, labels, value in self._values(
                one.use_case, monitoring_view(db, one.use_case, one.version)
            )
        }
        for gauge, labels in self._shown - set(shown):
            gauge.labels(*labels).set(nan)
        for (gauge, labels), value in shown.items():
            gauge.labels(*labels).set(nan if value is None else value)
        self._shown |= set(shown)

    def _values(self, use_case: str, view: MonitoringView) -> Iterator[tuple[Gauge, Labels, float | None]]:
        for one in view.verdicts:
            labels = (use_case, one.metric)
            yield self.value, labels, one.value
            yield self.low, labels, one.low
            yield self.high, labels, one.high
            yield self.threshold, labels, one.threshold
            yield self.evidence, labels, one.evidence
            for verdict in VERDICTS:
                yield self.verdict, (*labels, verdict), float(verdict == one.verdict)
        for signal in view.signals:
            labels = (use_case, signal.name)
            yield self.signal, labels, signal.value
            yield self.signal_limit, labels, signal.limit
            yield self.signal_warning, labels, float(signal.warning)
        for (edge, state), count in view.loops.items():
            yield self.loops, (use_case, edge, state), count
        yield self.stranded, (use_case,), view.stranded
        if view.checked_at:
            yield self.checked, (use_case,), view.checked_at.timestamp()
