"""Each reason of the gates has its own way back, with the numbers that the receiver needs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from include.kreislauf.evaluation.models import Decision, Estimate, GateReason, Importance, Report, Scores
from include.kreislauf.evaluation.ways_back import MANY_UNKNOWN, loop_back, turned_down, way_back
from include.kreislauf.handovers import Edge, Loop, PersonAnswer, Reason, Stage, WorkOrder
from include.kreislauf.preparation.exclusion import FEATURE
from include.kreislauf.requirements.contract import PortfolioUplift
from include.kreislauf.statistics.verdicts import Verdict
from tests.support.examples import MESSAGE

ORDER = WorkOrder(**{**MESSAGE, "attempt": 2, "hop": 1, "started_by": "test"})
SCORES = Scores(
    name="ridge", family="ridge", params={}, complexity=1, error=0.093, further={},
    gain=Estimate(value=0.011, low=-0.02, high=0.04, level=0.6), business=Estimate(value=0.003, low=-0.01, high=0.02),
    business_by_period={}, coverage=0.71, half_width=0.2, n_periods=3, n_rows=60,
)  # fmt: skip
REPORT = Report(
    metric="mae", baseline="persistence", candidates=(SCORES,), baselines=(), comparisons=(), champion_note="",
    held_out=("2015-01-01", "2015-04-01", "2015-07-01"), unknown_entities=0.05,
)  # fmt: skip
IMPORTANCE = (
    Importance(feature="level", mean=0.02, deviation=0.001),
    Importance(feature="season", mean=0.0, deviation=0.001),
    Importance(feature="noise", mean=-0.003, deviation=0.001),
    Importance(feature="trend", mean=-0.01, deviation=0.001),
)
BUSINESS = PortfolioUplift(
    kind="portfolio_uplift",
    name="growth",
    top=5,
    gate_threshold=0.01,
    threshold=0.01,
    window_periods=3,
    unit="log points",
)
TRAINING = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT, Stage.TRAINING)
PREPARATION = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT, Stage.PREPARATION)
DATA = (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, None)
BUSINESS_DATA = (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_SHORT, None)
REQUIREMENTS = (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE, None)
FAULTS = [one for one in GateReason if one not in (GateReason.OK, GateReason.TOO_GOOD_TO_BE_TRUE)]
SEARCHED = [
    one for one in FAULTS if one not in (GateReason.NOT_ENOUGH_ROWS, GateReason.BUSINESS_METRIC_SHORT)
]


def decision(reason: GateReason, verdict: Verdict = Verdict.FAIL, closest: str | None = "ridge") -> Decision:
    return Decision(
        verdict=verdict, reason=reason, winner=None, closest=closest, text="ridge came closest: too short"
    )


def way(reason: GateReason, verdict: Verdict = Verdict.FAIL, *, unknown: float = 0.0, **state: Any) -> Any:
    report = REPORT.model_copy(update={"unknown_entities": unknown})
    return way_back(decision(reason, verdict), report, **{"exhausted": False, "harmful": (), **state})


def loop(reason: GateReason, verdict: Verdict = Verdict.FAIL, **state: Any) -> Loop:
    return loop_back(
        ORDER,
        decision(reason, verdict),
        REPORT,
        IMPORTANCE,
        **{"exhausted": False, "business": BUSINESS, **state},
    )


VERDICTS = (Verdict.FAIL, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("reason", SEARCHED)
def test_while_there_is_something_left_to_try_training_searches_wider(
    reason: GateReason, verdict: Verdict
) -> None:
    wanted = (
        Reason.WORSE_THAN_CHAMPION if reason is GateReason.WORSE_THAN_CHAMPION else Reason.PERFORMANCE_SHORT
    )
    expected = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, wanted, Stage.TRAINING)
    assert way(reason, verdict) == way(reason, verdict, harmful=["noise"], unknown=0.9) == expected


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("reason", SEARCHED)
def test_when_all_is_tried_harmful_features_go_and_without_any_more_data_come(
    reason: GateReason, verdict: Verdict
) -> None:
    assert way(reason, verdict, exhausted=True, harmful=["noise"]) == PREPARATION
    assert way(reason, verdict, exhausted=True) == DATA


@pytest.mark.parametrize(("exhausted", "harmful"), list(itertools.product([True, False], [[], ["noise"]])))
def test_too_few_rows_ask_for_more_whatever_the_search_says(exhausted: bool, harmful: list[str]) -> None:
    assert way(GateReason.NOT_ENOUGH_ROWS, Verdict.INCONCLUSIVE, exhausted=exhausted, harmful=harmful) == DATA


@pytest.mark.parametrize(("exhausted", "harmful"), list(itertools.product([True, False], [[], ["noise"]])))
def test_an_accurate_model_that_brings_nothing_asks_those_who_set_the_goal(
    exhausted: bool, harmful: list[str]
) -> None:
    """More training will not help: the error is small already. Unless the data say too little to know."""
    state: dict[str, Any] = {"exhausted": exhausted, "harmful": harmful}
    short = GateReason.BUSINESS_METRIC_SHORT
    assert way(short, Verdict.FAIL, **state) == REQUIREMENTS
    assert way(short, Verdict.FAIL, unknown=MANY_UNKNOWN, **state) == REQUIREMENTS
    assert way(short, Verdict.FAIL, unknown=MANY_UNKNOWN + 0.01, **state) == BUSINESS_DATA
    assert way(short, Verdict.INCONCLUSIVE, **state) == BUSINESS_DATA
    assert way(short, Verdict.INCONCLUSIVE, unknown=0.9, **state) == BUSINESS_DATA


@pytest.mark.parametrize("reason", FAULTS)
def test_every_loop_is_the_next_attempt_of_its_cycle_and_carries_its_numbers(reason: GateReason) -> None:
    for verdict, exhausted in itertools.product(VERDICTS, [True, False]):
        made = loop(reason, verdict, exhausted=exhausted)
        assert (made.attempt, made.hop, made.cycle_id, made.as_of) == (3, 2, ORDER.cycle_id, ORDER.as_of)
        assert made.text == "ridge came closest: too short"
        evidence = {one.name: one for one in made.evidence}
        assert (evidence["held_out_periods"].value, evidence["held_out_periods"].unit) == (3.0, "periods")
        assert (evidence["unknown_entities"].value, evidence["unknown_entities"].unit) == (
            0.05,
            "share of outcomes",
        )
        assert (evidence["mae"].value, evidence["mae"].unit, evidence["mae"].note) == (
            0.093,
            "unit of the target",
            "ridge",
        )
        gain = evidence["mae_gain"]
        assert (gain.value, gain.unit, gain.note) == (0.011, "share of persistence", "+1.1% (-2.0% to +4.0%)")
        assert (evidence["growth"].value, evidence["growth"].unit, evidence["interval_coverage"].value) == (
            0.003,
            "log points",
            0.71,
        )
        assert evidence["interval_coverage"].unit == "share of outcomes"
        assert Loop.model_validate_json(made.model_dump_json()) == made


def test_every_number_has_a_unit() -> None:
    made = loop(GateReason.PERFORMANCE_SHORT, exhausted=True)
    assert [one.name for one in made.evidence if one.value is not None and not one.unit] == []


def test_preparation_is_told_which_features_do_harm() -> None:
    made = loop(GateReason.PERFORMANCE_SHORT, exhausted=True)
    assert (made.edge, made.reason, made.step) == PREPARATION
    named = [(one.note, one.value, one.unit) for one in made.evidence if one.name == FEATURE]
    assert named == [("noise", -0.003, "importance, mae"), ("trend", -0.01, "importance, mae")]


@pytest.mark.parametrize(
    ("reason", "exhausted"),
    [
        (GateReason.PERFORMANCE_SHORT, False),
        (GateReason.NOT_ENOUGH_ROWS, True),
        (GateReason.BUSINESS_METRIC_SHORT, True),
    ],
)
def test_nobody_else_is_told_of_features(reason: GateReason, exhausted: bool) -> None:
    assert FEATURE not in [one.name for one in loop(reason, exhausted=exhausted).evidence]


def test_a_feature_that_makes_no_difference_does_no_harm() -> None:
    harmless = IMPORTANCE[:2]
    made = loop_back(
        ORDER, decision(GateReason.PERFORMANCE_SHORT), REPORT, harmless, exhausted=True, business=BUSINESS
    )
    assert (made.edge, made.reason, made.step) == DATA


def test_where_every_candidate_failed_the_loop_says_why_of_each() -> None:
    report = REPORT.model_copy(update={"candidates": (), "failed": {"ridge": "no memory", "knn": "too slow"}})
    made = loop_back(
        ORDER, decision(GateReason.ALL_FAILED, closest=None), report, (), exhausted=False, business=BUSINESS
    )
    assert (made.edge, made.reason, made.step) == TRAINING
    notes = [(one.value, one.note) for one in made.evidence if one.name == "failed"]
    assert notes == [(None, "ridge: no memory"), (None, "knn: too slow")]
    assert "mae" not in [one.name for one in made.evidence]


def test_what_a_person_takes_for_a_leak_goes_to_preparation_without_its_first_feature() -> None:
    judged = decision(GateReason.TOO_GOOD_TO_BE_TRUE)
    made = turned_down(ORDER, judged, IMPORTANCE, PersonAnswer(genuine=False, by="Ada"))
    assert (made.edge, made.reason, made.step) == PREPARATION
    assert [(one.name, one.note, one.value) for one in made.evidence] == [(FEATURE, "level", 0.02)]
    assert (made.by, made.attempt) == ("Ada", 3)
    assert "Ada takes it for a leak" in made.text
