"""Business metrics alone: a matrix of costs is whole and fits its test; only what a lab can compute is a gate."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from include.kreislauf.requirements.business import BusinessMetric, DecisionValue, is_gate

METRICS: TypeAdapter[BusinessMetric] = TypeAdapter(BusinessMetric)
ACTIONS = {"inspect": {"sound": 60, "failure": 200}, "run_on": {"sound": 0, "failure": 2000}}
VALUE: dict[str, Any] = {
    "kind": "decision_value", "name": "downtime_avoided", "actions": ACTIONS, "without": "run_on", "per": 8,
    "gate_threshold": 0.5, "threshold": 0.2, "test": {"bounds": [-8, 225]},
}  # fmt: skip
OUTCOMES = {
    "kind": "outcomes", "name": "hits", "measure": "hit", "threshold": 0.7, "test": {"bounds": [0, 1]},
}  # fmt: skip
REPORTED = {"kind": "reported", "name": "productivity", "threshold": 96.0, "window_periods": 2}


def fault(content: dict[str, Any], **fields: Any) -> tuple[str, str]:
    """What is wrong, and what would be allowed."""
    with pytest.raises(ValidationError) as raised:
        METRICS.validate_python({**content, **fields})
    [error] = raised.value.errors()
    return error["msg"], error.get("ctx", {}).get("expected", "")


def test_a_matrix_knows_its_classes_and_what_is_better() -> None:
    metric = METRICS.validate_python(VALUE)
    assert isinstance(metric, DecisionValue)
    assert metric.classes == {"sound", "failure"}
    assert metric.direction == "higher"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"sound": 60}, "action inspect has costs for sound"),
        ({"sound": 60, "failure": 200, "late": 1}, "action inspect has costs for failure, late, sound"),
    ],
)
def test_each_action_has_a_cost_for_each_class(row: dict[str, float], said: str) -> None:
    actions = {"run_on": ACTIONS["run_on"], "inspect": row}
    assert fault(VALUE, actions=actions) == (said, "a cost for each of failure, sound")


def test_what_is_done_without_a_model_is_an_action() -> None:
    assert fault(VALUE, without="nothing") == ("without is nothing", "inspect, run_on")


def test_one_action_leaves_nothing_to_decide() -> None:
    said, _ = fault(VALUE, actions={"run_on": ACTIONS["run_on"]})
    assert "at least 2 items" in said


@pytest.mark.parametrize("bounds", [[-7, 225], [-8, 224], [0, 1]])
def test_the_bounds_of_the_test_hold_every_value_of_the_matrix(bounds: list[float]) -> None:
    assert fault(VALUE, test={"bounds": bounds}) == (
        "by the matrix a prediction is worth -7.5 to 225",
        "bounds of the test that hold this, such as [-7.5, 225]",
    )


def test_the_bounds_may_be_the_values_themselves() -> None:
    assert METRICS.validate_python({**VALUE, "test": {"bounds": [-7.5, 225]}})


def test_the_threshold_of_a_matrix_lies_within_the_bounds() -> None:
    said, allowed = fault(VALUE, threshold=300)
    assert said.startswith("threshold 300 lies not within the test's bounds")
    assert allowed == "between -8 and 225"


@pytest.mark.parametrize("measure", ["outcome", "absolute_error", "squared_error"])
def test_only_hits_have_a_tolerance(measure: str) -> None:
    direction = "higher" if measure == "outcome" else "lower"
    said = fault(OUTCOMES, measure=measure, direction=direction, tolerance=0.1)
    assert said == (f"measure {measure} has no tolerance", "tolerance with measure hit, and only there")


def test_the_outcome_itself_is_no_gate() -> None:
    assert fault(OUTCOMES, measure="outcome", gate_threshold=0.5) == (
        "the outcome itself is the same for every candidate",
        "gate_threshold with another measure",
    )


@pytest.mark.parametrize(
    ("content", "gate"),
    [
        (VALUE, True),
        ({**OUTCOMES, "gate_threshold": 0.7}, True),
        ({**OUTCOMES, "gate_threshold": 0.0}, True),
        (OUTCOMES, False),
        (REPORTED, False),
    ],
)
def test_a_gate_can_be_computed_before_anything_is_live(content: dict[str, Any], gate: bool) -> None:
    assert is_gate(METRICS.validate_python(content)) is gate
