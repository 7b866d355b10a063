"""Prometheus metrics of one application; labels take only values that the service itself chose.

With several workers, each keeps its values in files of one folder (``PROMETHEUS_MULTIPROC_DIR``), and whichever of them
is asked answers for all.
"""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from include.kreislauf.service.monitoring_metrics import MonitoringMetrics

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_ROUTE = "(none)"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics and the registry they are in.

    A label ``use_case`` is set only for use cases that the store has a live release of, ``metric`` only to those of
    a signed contract, and ``route`` only to the template of a route: what a client writes never becomes a label.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", "route", "status")
        self.seconds = Histogram(
            "kreislauf_request_seconds", "Time from a request to its answer.", ["route"],
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.refused = self._counter("refused", "Requests without a key that is good for them.", "why")
        self.predictions = self._counter(
            "predictions", "Predictions written and acknowledged, by what answered.", "use_case", "arm"
        )
        self.novelty = self._counter(
            "novel_predictions", "Those of them the release does not know.", "use_case"
        )
        self.shadow = self._counter(
            "shadow_requests", "Requests that a tried release has computed unseen.", "use_case", "result"
        )
        self.outcomes = self._counter(
            "outcomes", "Outcomes received, by what became of them.", "use_case", "answer"
        )
        self.reports = self._counter(
            "reports", "Metric reports received, by what became of them.", "use_case", "answer"
        )
        self.limited = self._counter(
            "limited",
            "Requests refused because their client sent too many outcomes and reports.",
            "use_case",
            "what",
        )
        self.load_failures = self._counter(
            "release_load_failures", "Attempts to load a release that failed.", "use_case"
        )
        self.store_failures = self._counter("store_failures", "Times the store could not be read or written.")
        self.live_release = self._gauge("live_release", "Version of the release that answers.", "use_case")
        self.monitoring = MonitoringMetrics(self._gauge)
        self._asked = lru_cache(maxsize=512)(self._children)
        # labels are looked up once: that is most of what counting costs
        self.predicted = lru_cache(maxsize=512)(self._predicted)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count and time one request."""
        requests, histogram = self._asked(route, status)
        requests.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, those of every worker together."""
        if not os.environ.get(FOLDER):
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)

    def _children(self, route: str, status: int) -> tuple[Counter, Histogram]:
        return self.requests.labels(route, str(status)), self.seconds.labels(route)

    def _predicted(self, use_case: str, arm: str) -> tuple[Counter, Counter]:
        """The counters of predictions of one arm, and of novel ones."""
        return self.predictions.labels(use_case, arm), self.novelty.labels(use_case)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"kreislauf_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        # with several workers: what the last one has set
        return Gauge(
            f"kreislauf_{name}", text, labels, registry=self.registry, multiprocess_mode="mostrecent"
        )
