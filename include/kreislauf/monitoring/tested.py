"""Metrics that have a test, and the scale and the watch that follow from it."""

from __future__ import annotations

from include.kreislauf.monitoring.watching import Scale, Watch
from include.kreislauf.requirements.business import PerPrediction
from include.kreislauf.requirements.contract import Reported
from include.kreislauf.requirements.monitoring import Queried, SequentialTest

Tested = Reported | PerPrediction | Queried


def sequential_test(metric: Tested) -> SequentialTest:
    """The test of a metric that has one."""
    assert metric.test is not None  # noqa: S101 - a reported metric without is judged by its periods
    return metric.test


def watch_of(metric: Tested) -> tuple[Watch, Scale]:
    """The tests of a metric, and the scale on which they work."""
    test = sequential_test(metric)
    scale = Scale(*test.bounds, metric.direction)
    return Watch.of(test, metric.threshold, scale), scale
