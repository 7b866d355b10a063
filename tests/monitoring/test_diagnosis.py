"""Which way back is taken: the rules, their order, and what they do not guess."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.handovers import Edge, Reason, Stage
from include.kreislauf.monitoring.challenger import Challenge
from include.kreislauf.monitoring.diagnosis import Before, Situation, diagnose
from include.kreislauf.monitoring.model_error import ErrorChange
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.store.signals import Signal

TEXT = "conversion: 0.71 (0.68 to 0.74) is below the threshold 0.75"
BREACH = Situation("breach", TEXT)


def signals(*warning: str) -> dict[str, Signal]:
    names = ("novelty", "feature_shift", "prediction_shift")
    return {name: Signal(name, 0.3, 0.2, name in warning, f"{name} is 0.3") for name in names}


def error(*, risen: bool | None) -> ErrorChange:
    return ErrorChange(1.0, Interval(0.9, 1.0, 1.1, 0.9), risen, "the error")


def interval(low: float, high: float) -> Interval:
    return Interval(low, (low + high) / 2, high, 0.95)


CAUSES: list[tuple[dict[str, Any], Edge, Reason, Stage | None]] = [
    ({"promoted_recently": True, "before": Before(3, 0.8)},
     Edge.MONITORING_TO_MLOPS, Reason.WORSE_THAN_BEFORE, None),
    ({"ask": (Reason.LOOPS_DID_NOT_HELP, "2 loops did not help")},
     Edge.MONITORING_TO_REQUIREMENTS, Reason.LOOPS_DID_NOT_HELP, None),
    ({"signals": signals("novelty")}, Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_ENTITIES, None),
    ({"signals": signals("feature_shift")},
     Edge.MONITORING_TO_DATA_SCIENCE, Reason.FEATURES_SHIFTED, Stage.PREPARATION),
    ({"challenge": Challenge(interval(0.1, 0.3), True, "a challenger is better")},
     Edge.MONITORING_TO_DATA_SCIENCE, Reason.CHALLENGER_BETTER, Stage.TRAINING),
    ({"error": error(risen=False)},
     Edge.MONITORING_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE, None),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "edge", "reason", "step"), CAUSES)
def test_each_cause_has_its_way_back(
    evidence: dict[str, Any], edge: Edge, reason: Reason, step: Stage | None
) -> None:
    found = diagnose(replace(BREACH, **evidence))
    assert found is not None
    assert (found.edge, found.reason, found.step, found.sure) == (edge, reason, step, True)
    assert found.text.startswith(f"{TEXT}; ")


@given(st.sets(st.sampled_from(range(len(CAUSES))), min_size=1))
def test_where_causes_conflict_their_order_decides_and_all_stay_in_the_evidence(chosen: set[int]) -> None:
    evidence: dict[str, Any] = {}
    for number in chosen:
        for name, value in CAUSES[number][0].items():
            known = evidence.get(name, {})
            evidence[name] = signals("novelty", "feature_shift") if known else value
    found = diagnose(replace(BREACH, **evidence))
    assert found is not None
    assert found.reason is CAUSES[min(chosen)][2]
    names = {one.name for one in found.evidence}
    assert ("novelty" in names) == ("signals" in evidence)
    assert ("challenger_gain" in names) == ("challenge" in evidence)
    assert ("model_error" in names) == ("error" in evidence)


def test_where_clients_do_not_ask_by_name_what_is_new_are_categories() -> None:
    found = diagnose(replace(BREACH, signals=signals("novelty"), names=False))
    assert found is not None
    assert (found.edge, found.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_CATEGORIES)
    assert "entit" not in found.text


def test_without_a_visible_cause_the_default_is_taken_and_says_so() -> None:
    found = diagnose(replace(BREACH, signals=signals(), error=error(risen=None)))
    assert found is not None
    assert (found.edge, found.reason, found.sure) == (
        Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL, False,
    )  # fmt: skip
    assert found.text == f"{TEXT}; no cause is visible; the default way back"


@pytest.mark.parametrize("verdict", ["healthy", "inconclusive"])
def test_without_a_breach_nothing_is_raised(verdict: Literal["healthy", "inconclusive"]) -> None:
    evidence = {name: value for one, *_ in CAUSES for name, value in one.items()}
    assert diagnose(replace(BREACH, verdict=verdict, **evidence)) is None


def test_a_warning_alone_raises_only_where_the_contract_says_so() -> None:
    healthy = Situation("healthy", TEXT, signals=signals("novelty"))
    assert diagnose(healthy) is None
    found = diagnose(replace(healthy, warns_alone=True))
    assert found is not None
    assert (found.reason, found.text) == (
        Reason.NEW_ENTITIES,
        "a warning without a breach: novelty is 0.3",
    )


def test_without_breach_and_warning_nothing_else_raises_a_loop() -> None:
    evidence = {name: value for one, *_ in CAUSES for name, value in one.items()} | {"signals": signals()}
    assert diagnose(Situation("healthy", TEXT, warns_alone=True, **evidence)) is None


def test_a_warning_about_predictions_chooses_nothing() -> None:
    found = diagnose(replace(BREACH, signals=signals("prediction_shift")))
    assert found is not None
    assert not found.sure


def test_long_after_a_promotion_the_release_before_is_not_gone_back_to() -> None:
    found = diagnose(replace(BREACH, before=Before(3, 0.8)))
    assert found is not None
    assert found.reason is Reason.BUSINESS_METRIC_FELL


def test_a_control_that_does_surely_better_condemns_a_new_release() -> None:
    seen = replace(BREACH, promoted_recently=True, control=interval(-0.12, -0.02))
    found = diagnose(seen)
    assert found is not None
    assert (found.edge, found.reason) == (Edge.MONITORING_TO_MLOPS, Reason.WORSE_THAN_BEFORE)
    not_sure = diagnose(replace(seen, control=interval(-0.12, 0.02)))
    assert not_sure is not None
    assert not_sure.edge is not Edge.MONITORING_TO_MLOPS


def test_a_control_that_fell_as_much_says_that_the_world_got_worse() -> None:
    seen = replace(BREACH, control=interval(-0.04, 0.05), fall=0.1)
    found = diagnose(seen)
    assert found is not None
    assert found.reason is Reason.METRIC_AND_MODEL_DISAGREE
    assert "the control fell as well" in found.text
    not_sure = diagnose(replace(seen, control=interval(-0.06, 0.05)))
    assert not_sure is not None
    assert not not_sure.sure


def test_a_metric_that_is_the_models_error_cannot_disagree_with_the_model() -> None:
    found = diagnose(replace(BREACH, error=error(risen=False), measures_model=True))
    assert found is not None
    assert found.reason is Reason.BUSINESS_METRIC_FELL


def test_what_is_not_known_fits_no_rule() -> None:
    unknown = {"novelty": Signal("novelty", None, 0.2, False, "not known: 3 requests")}
    challenged = Challenge(None, False, "not known: 3 outcomes")
    found = diagnose(replace(BREACH, signals=unknown, challenge=challenged))
    assert found is not None
    assert not found.sure
    notes = {one.name: (one.value, one.note) for one in found.evidence}
    assert notes == {
        "novelty": (None, "not known: 3 requests"),
        "challenger_gain": (None, "not known: 3 outcomes"),
    }
