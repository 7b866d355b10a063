"""Prometheus metrics of one application; labels take only values that the service itself chose."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_ROUTE = "(none)"


class Metrics:
    """The metrics and the registry they are in.

    A label ``use_case`` is set only for use cases that the store has a live release of, and ``route`` only to
    the template of a route: what a client writes in a path never becomes a label.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", "route", "status")
        self.seconds = Histogram(
            "kreislauf_request_seconds", "Time from a request to its answer.", ["route"],
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.predictions = self._counter("predictions", "Predictions written and acknowledged.", "use_case")
        self.novelty = self._counter(
            "novel_predictions", "Those of them the release does not know.", "use_case"
        )
        self.outcomes = self._counter(
            "outcomes", "Outcomes received, by what became of them.", "use_case", "answer"
        )
        self.reports = self._counter(
            "reports", "Metric reports received, by what became of them.", "use_case", "answer"
        )
        self.load_failures = self._counter(
            "release_load_failures", "Attempts to load a live release that failed.", "use_case"
        )
        self.store_failures = self._counter("store_failures", "Times the store could not be read or written.")
        self.live_release = Gauge(
            "kreislauf_live_release",
            "Version of the release that answers.",
            ["use_case"],
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"kreislauf_{name}", text, labels, registry=self.registry)


class Measured:
    """ASGI middleware that counts and times requests by route template and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and measure it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500  # an exception that leaves the application becomes one
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)
