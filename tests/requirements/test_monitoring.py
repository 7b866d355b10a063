"""The contract's part on monitoring: levels that no test could tell apart are refused, with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from include.kreislauf.requirements.contract import BusinessMetric
from include.kreislauf.requirements.monitoring import SequentialTest

METRICS: TypeAdapter[BusinessMetric] = TypeAdapter(BusinessMetric)
KINDS: dict[str, dict[str, Any]] = {
    "outcomes": {"measure": "outcome"},
    "reported": {"window_periods": 2},
    "query": {"source": {"engine": "promql", "connection": "prometheus", "query": "up"}},
}


def metric(kind: str, **fields: Any) -> BusinessMetric:
    own = {"kind": kind, "name": "rate", "threshold": 0.7, "test": {"bounds": [0, 1], "reference": 0.8}}
    return METRICS.validate_python({**own, **KINDS[kind], **fields})


def fault(kind: str, **fields: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        metric(kind, **fields)
    [error] = raised.value.errors()
    return f"{error['msg']} {error.get('ctx')}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [-0.1, 0.0, 1.0, 70.0])
def test_a_threshold_outside_of_the_bounds_is_refused(kind: str, threshold: float) -> None:
    found = fault(kind, threshold=threshold, test={"bounds": [0, 1]})
    assert f"threshold {threshold:g} lies not within the test's bounds" in found
    assert "between 0 and 1" in found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("direction", "reference"), [("higher", 0.6), ("higher", 0.7), ("lower", 0.8)])
def test_a_reference_on_the_worse_side_of_the_threshold_is_refused(
    kind: str, direction: str, reference: float
) -> None:
    found = fault(kind, direction=direction, test={"bounds": [0, 1], "reference": reference})
    assert f"reference {reference:g} lies not on the better side of the threshold 0.7" in found
    assert f"of this metric, {direction} is better" in found


@pytest.mark.parametrize("kind", KINDS)
def test_levels_that_fit_are_taken(kind: str) -> None:
    assert metric(kind).threshold == 0.7
    lower = metric(kind, direction="lower", test={"bounds": [0, 1], "reference": 0.2})
    assert lower.direction == "lower"
    learnt = metric(kind, test={"bounds": [0, 1]}).test
    assert learnt is not None
    assert learnt.reference is None


@pytest.mark.parametrize(
    "fields", [{"test": {"bounds": [0, 2]}}, {"direction": "lower", "test": {"bounds": [0, 1]}}]
)
def test_a_hit_is_nought_or_one(fields: dict[str, Any]) -> None:
    assert "bounds [0, 1] and direction higher" in fault("outcomes", measure="hit", tolerance=0.1, **fields)
    assert metric("outcomes", measure="hit", tolerance=0.1).test is not None


@pytest.mark.parametrize(
    "fields", [{"test": {"bounds": [0, 1]}}, {"direction": "lower", "test": {"bounds": [-1, 1]}}]
)
def test_of_an_error_less_is_better(fields: dict[str, Any]) -> None:
    assert "direction lower" in fault("outcomes", measure="absolute_error", **fields)
    good = {"bounds": [0, 1], "reference": 0.5}
    assert metric("outcomes", measure="absolute_error", direction="lower", test=good).direction == "lower"


def test_a_reported_metric_without_a_test_has_no_bounds_to_keep() -> None:
    assert metric("reported", threshold=96.0, test=None).test is None


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.5, 0.5)])
def test_bounds_that_hold_nothing_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="hold nothing"):
        SequentialTest(bounds=bounds)
