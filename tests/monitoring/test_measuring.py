"""Metrics with one observation for each prediction, by kind of problem: live they measure what the lab measures."""

from __future__ import annotations

from datetime import timedelta
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.evaluation.business import measure_of
from include.kreislauf.monitoring.judging import Judged, Pass, conclude, digest, judge, take
from include.kreislauf.monitoring.measuring import measures_error, values_of
from include.kreislauf.monitoring.memory import Memory
from include.kreislauf.monitoring.observing import Observation
from include.kreislauf.requirements.business import DecisionValue, PerPrediction
from include.kreislauf.requirements.contract import Reported
from include.kreislauf.requirements.monitoring import Control, Monitoring, Outcomes, SequentialTest
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import LoggedOutcome, stamp
from include.kreislauf.store.log_writer import write_outcomes
from tests.support.examples import NOW, USE_CASE, prediction
from tests.support.problems import NUMBERS, THREE, TWO

HOUR = timedelta(hours=1)
SAVED = DecisionValue(
    kind="decision_value", name="saved", without="wait", per=8.0, gate_threshold=1.0, threshold=2.0,
    actions={"wait": {"runs": 0.0, "fails": 800.0}, "service": {"runs": 40.0, "fails": 200.0}},
    test=SequentialTest(bounds=(-10.0, 80.0)), unit="EUR per machine-hour",
)  # fmt: skip
"""What fails and was serviced saves 75, what was serviced in vain costs 5; it pays from a probability of 1/16 on."""


def outcomes(measure: Any, **fields: Any) -> Outcomes:
    bounds = (0.0, 1.0)
    level = {"threshold": 0.5, "test": SequentialTest(bounds=bounds)}
    return Outcomes(kind="outcomes", name=measure, measure=measure, **{**level, **fields})


HIT = outcomes("hit")
WITHIN = outcomes("hit", tolerance=0.25)
BRIER = outcomes("squared_error", direction="lower")
OUTCOME = outcomes("outcome")


@pytest.mark.parametrize(
    ("metric", "problem", "predicted", "happened", "expected"),
    [
        (SAVED, TWO, [0.9, 0.9, 0.01, 0.01], [1, 0, 1, 0], [75.0, -5.0, 0.0, 0.0]),
        (HIT, TWO, [0.5, 0.49, 0.7], [1, 1, 0], [1.0, 0.0, 0.0]),
        (HIT, THREE, [2, 1, 0], [2, 2, 0], [1.0, 0.0, 1.0]),
        (BRIER, TWO, [0.8, 0.8], [1, 0], [0.04, 0.64]),
        (BRIER, NUMBERS, [0.5, -0.5], [0.0, 0.5], [0.25, 1.0]),
        (WITHIN, NUMBERS, [0.5, 0.5], [0.75, 0.8], [1.0, 0.0]),
    ],
)
def test_what_is_measured_follows_the_kind_of_problem(
    metric: PerPrediction, problem: Problem, predicted: list[float], happened: list[float], expected: list[float]
) -> None:  # fmt: skip
    assert values_of(metric, problem, predicted, happened) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=30))
def test_live_is_measured_what_the_lab_measures(rows: list[tuple[float, int]]) -> None:
    predicted, happened = np.array([one for one, _ in rows]), np.array([one for _, one in rows], dtype=float)
    for metric in (SAVED, HIT, BRIER):
        np.testing.assert_array_equal(
            values_of(metric, TWO, predicted, happened), measure_of(metric, TWO)(predicted, happened)
        )


@pytest.mark.parametrize("metric", [SAVED, HIT, BRIER])
@pytest.mark.parametrize(("predicted", "happened"), [(1.5, 1), (-0.1, 1), (nan, 1), (0.5, 2), (0.5, 0.5), (0.5, inf)])  # fmt: skip
def test_what_no_such_problem_knows_is_no_number(
    metric: PerPrediction, predicted: float, happened: float
) -> None:
    assert np.isnan(values_of(metric, TWO, [predicted], [happened])[0])
    position = predicted if predicted != 0.5 else 1
    assert np.isnan(values_of(HIT, THREE, [position], [3 if happened == 2 else happened])[0])


def observed(predicted: float | None, value: float, number: int = 1) -> list[Observation]:
    return [Observation(NOW + n * HOUR, str(n), value, predicted) for n in range(1, number + 1)]


def test_a_class_that_the_contract_does_not_name_is_left_out_and_counted() -> None:
    memory = take(SAVED, TWO, Memory(began=NOW), [*observed(0.9, 1), *observed(0.9, 7)])
    assert (memory.watch.level.observations, memory.intake.implausible) == (1, 1)
    assert "1 value left out" in conclude(SAVED, TWO, memory, Monitoring(max_implausible=0.6), NOW).text


def test_what_nothing_was_predicted_of_counts_only_for_the_outcome_itself() -> None:
    took = {
        one.name: take(one, TWO, Memory(began=NOW), observed(None, 1)) for one in (SAVED, HIT, BRIER, OUTCOME)
    }
    counted = {name: memory.watch.level.observations for name, memory in took.items()}
    assert counted == {"saved": 0, "hit": 0, "squared_error": 0, "outcome": 1}


def test_equal_values_in_a_row_are_nothing_to_wonder_at_where_there_are_few_different_ones() -> None:
    calm = take(SAVED, TWO, Memory(began=NOW), observed(0.01, 0, 200))
    assert "are all" not in conclude(SAVED, TWO, calm, Monitoring(), NOW).text
    stuck = take(BRIER, NUMBERS, Memory(began=NOW), observed(0.5, 0, 200))
    assert (
        "the newest 200 observations are all 0.25" in conclude(BRIER, NUMBERS, stuck, Monitoring(), NOW).text
    )


def test_the_tests_begin_anew_with_other_classes_or_costs_but_not_with_another_gate() -> None:
    swapped = TWO.model_copy(update={"classes": ("fails", "runs")})
    dearer = SAVED.model_copy(update={"without": "service"})
    gated = SAVED.model_copy(update={"gate_threshold": 7.0, "level": 0.9})
    found = {digest(*one) for one in ((SAVED, TWO), (SAVED, swapped), (dearer, TWO))}
    assert len(found) == 3
    assert digest(gated, TWO) == digest(SAVED, TWO)


def test_of_numbers_what_is_remembered_stays_valid_when_other_parts_of_the_problem_change() -> None:
    later = NUMBERS.model_copy(update={"period": "month"})
    assert digest(WITHIN, NUMBERS) == digest(WITHIN, later)


def test_only_errors_of_the_model_cannot_disagree_with_it() -> None:
    told = Reported(kind="reported", name="told", threshold=1.0, window_periods=1)
    errors = {one.name: measures_error(one) for one in (SAVED, HIT, BRIER, OUTCOME, told)}
    assert errors == {"saved": False, "hit": True, "squared_error": True, "outcome": False, "told": False}


# From the log


def log(store: Store, release: int, arm: str, rows: list[tuple[float, int]]) -> None:
    """Predictions without entities and what happened, one an hour."""
    asked, came = [], []
    for number, (value, outcome) in enumerate(rows, 1):
        at = NOW + number * HOUR
        row = prediction(release=release, arm=arm, as_of=at, period=at, entity=None, value=value)
        asked.append(row)
        came.append(LoggedOutcome(USE_CASE, row["id"], float(outcome), stamp(at), stamp(at)))
    with store.write() as db:
        observations.save_predictions(db, asked)
        write_outcomes(db, came)


def look(store: Store, metric: PerPrediction, hours: int, **fields: Any) -> Judged:
    with store.read() as db:
        return judge(
            db, metric, Pass(USE_CASE, 2, NOW, NOW + hours * HOUR, TWO, Monitoring(**fields), before=1)
        )


GOOD = [(0.9, 1), (0.05, 0), (0.2, 0), (0.02, 0), (0.01, 0)]
BAD = [(0.02, 1), (0.3, 0), (0.2, 0), (0.02, 0), (0.9, 0)]


def test_decisions_that_save_are_healthy_and_those_that_cost_are_a_breach(store: Store) -> None:
    log(store, 2, "champion", GOOD * 120 + BAD * 120)
    assert look(store, SAVED, 600).judgement.verdict == "healthy"
    found = look(store, SAVED, 1200).judgement
    assert (found.verdict, found.value) == ("breach", pytest.approx(-3.0, abs=0.5))
    assert "(EUR per machine-hour)" in found.text


@pytest.mark.parametrize("metric", [SAVED, HIT])
def test_beside_a_control_both_are_measured_alike(store: Store, metric: PerPrediction) -> None:
    log(store, 2, "champion", BAD * 60)
    log(store, 1, "control", GOOD * 60)
    control = look(store, metric, 300, control=Control(share=0.2)).judgement.control
    assert control is not None
    assert control.high < 0
