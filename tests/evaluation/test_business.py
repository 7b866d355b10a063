"""One function makes observations of predictions and outcomes, in the lab as live: by measure and kind of problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.kreislauf.evaluation.business import costs_of, measure_of
from include.kreislauf.requirements.business import DecisionValue, PerPrediction
from include.kreislauf.requirements.problem import Problem

METRICS: TypeAdapter[PerPrediction] = TypeAdapter(PerPrediction)
NUMBERS = Problem(kind="regression", requests="features")
BINARY = Problem(kind="binary", classes=("sound", "failure"), requests="features")
SEVERAL = Problem(kind="multiclass", classes=("a", "b", "c"), requests="features")


def outcomes(measure: str, **fields: Any) -> PerPrediction:
    direction = "lower" if measure.endswith("_error") else "higher"
    own = {"kind": "outcomes", "name": "m", "measure": measure, "direction": direction, "threshold": 0.5}
    return METRICS.validate_python({**own, "test": {"bounds": [0, 1]}, **fields})


def observed(metric: PerPrediction, problem: Problem, predicted: Any, happened: Any) -> list[float]:
    found = measure_of(metric, problem)(predicted, happened)
    assert found.dtype == np.float64
    return found.tolist()  # type: ignore[no-any-return]


CASES: list[tuple[PerPrediction, Problem, list[float], list[float], list[float]]] = [
    (outcomes("outcome"), NUMBERS, [9.0, 9.0], [0.25, 4.0], [0.25, 4.0]),
    (outcomes("outcome"), BINARY, [0.9, 0.1], [0, 1], [0.0, 1.0]),
    (outcomes("absolute_error"), NUMBERS, [1.0, 2.0], [1.5, 0.0], [0.5, 2.0]),
    (outcomes("squared_error"), NUMBERS, [1.0, 2.0], [1.5, 0.0], [0.25, 4.0]),
    (outcomes("squared_error"), BINARY, [0.75, 0.0], [1, 1], [0.0625, 1.0]),
    (outcomes("hit", tolerance=0.5), NUMBERS, [1.0, 1.0, 1.0], [1.5, 0.5, 1.75], [1.0, 1.0, 0.0]),
    (outcomes("hit"), BINARY, [0.5, 0.49, 0.49, 1.0], [1, 1, 0, 0], [1.0, 0.0, 1.0, 0.0]),
    (outcomes("hit"), SEVERAL, [0, 2, 1], [0, 1, 1], [1.0, 0.0, 1.0]),
]


@pytest.mark.parametrize(("metric", "problem", "predicted", "happened", "wanted"), CASES)
def test_observations_by_hand(
    metric: PerPrediction,
    problem: Problem,
    predicted: list[float],
    happened: list[float],
    wanted: list[float],
) -> None:
    assert observed(metric, problem, predicted, happened) == wanted


def test_a_matrix_is_read_in_the_order_of_the_problem() -> None:
    metric = METRICS.validate_python({
        "kind": "decision_value", "name": "m", "without": "wait", "per": 2, "gate_threshold": 0, "threshold": 0.0,
        "actions": {"act": {"failure": 1, "sound": 4}, "wait": {"failure": 11, "sound": 0}},
        "test": {"bounds": [-2, 5]},
    })  # fmt: skip
    assert isinstance(metric, DecisionValue)
    assert costs_of(metric, BINARY).matrix.tolist() == [[0, 11], [4, 1]]
    assert observed(metric, BINARY, [0.9, 0.9, 0.1], [1, 0, 1]) == [5, -2, 0]


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 1]))))
def test_law_the_hits_of_two_classes_are_those_of_the_likelier_one(rows: list[tuple[float, int]]) -> None:
    predicted, happened = [one for one, _ in rows], [one for _, one in rows]
    positions = [int(one >= 0.5) for one in predicted]
    binary = observed(outcomes("hit"), BINARY, predicted, happened)
    assert binary == observed(outcomes("hit"), SEVERAL, positions, happened)
