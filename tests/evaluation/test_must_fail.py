"""What must not pass: for each gate, candidates that fail at exactly that gate, for the stated reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.evaluation import gates
from include.kreislauf.evaluation.gates import GATES, Thresholds, decide
from include.kreislauf.evaluation.models import Decision, GateReason, Report
from include.kreislauf.evaluation.report import Question, build_report
from include.kreislauf.statistics.verdicts import Verdict
from tests.evaluation.worlds import guess, halves, live, question, report, tried, truth, verdict

ROWS = truth()
SKILLED = guess(ROWS, 0.6)
FIRST = (ROWS["entity"] < "e10").to_numpy()
SEGMENT = {"by": "half", "max_loss": 0.1, "min_rows": 30}


@dataclass(frozen=True)
class Case:
    """A candidate that must not pass.

    Parameters
    ----------
    said: what the decision must say.
    alone: whether this gate alone keeps it from passing.
    """

    gate: GateReason
    name: str
    make: Callable[[], Report]
    said: str
    verdict: Verdict = Verdict.FAIL
    alone: bool = True
    limits: dict[str, Any] = field(default_factory=dict)

    def decide(self) -> Decision:
        return decide(self.make(), Thresholds(**self.limits))


def bad_in_the_second_half() -> np.ndarray:
    return np.where(FIRST, guess(ROWS, 0.75), guess(ROWS, 0.0, 5))


def segmented(**rule: Any) -> Report:
    asked = question(marks=halves(ROWS), segments=[{**SEGMENT, **rule}])
    return report(ROWS, {"ridge": bad_in_the_second_half()}, asked=asked)


def wrong_at_the_top() -> pd.Series:
    """Right about most entities, and confuses the best with the worst: those are recommended."""
    rank = ROWS.groupby("period")["target"].rank()
    middle = ROWS["target"].clip(-0.06, 0.06) + guess(ROWS, 0.0) / 20
    return middle.mask(rank > 15, 0.05).mask(rank <= 5, 0.07)


def louder_from_the_held_out_periods_on(factor: float) -> np.ndarray:
    noise = guess(ROWS, 0.0) * np.where(ROWS["part"] == "search", 1.0, factor)
    return np.asarray(ROWS["target"] + 0.5 * noise / max(1.0, factor), dtype=np.float64)


def sure_of_failures(more: float, entities: int = 60) -> Report:
    """Probabilities that tell failures apart, and are too high by so much for those likely to fail."""
    rows = truth(entities)
    rng = np.random.default_rng(4)
    risky = rng.random(len(rows)) < 0.5
    chance = np.where(risky, 0.65, 0.01)
    rows = rows.assign(target=(rng.random(len(rows)) < chance).astype(float))
    said = np.where(risky, chance + more, chance)
    models = {"ridge": said, "prior": np.full(len(rows), 0.31)}
    frames = [rows.assign(model=name, p0=1 - one, p1=one) for name, one in models.items()]
    asked = question(metric="brier", baseline="prior")
    hits = Question(
        asked.performance,
        lambda own: {str(fold): (part["p1"] > 0.5).to_numpy(float) for fold, part in own.groupby("fold")},
        0.8,
    )
    return build_report(pd.concat(frames, ignore_index=True), tried("ridge"), hits)


def behind(gap: float) -> Report:
    return report(ROWS, {"ridge": guess(ROWS, 0.7 - gap, 2)}, live(ROWS, guess(ROWS, 0.7)))


def best_ones_last() -> Report:
    """Hardly more error than the champion, but the best entities come out below all others."""
    best = ROWS.groupby("period")["target"].rank(ascending=False) <= 5
    candidate = pd.Series(guess(ROWS, 0.75, 2)).mask(best, -0.02)
    return report(ROWS, {"ridge": candidate}, live(ROWS, guess(ROWS, 0.5)))


def random(seed: int, size: float) -> Case:
    return Case(
        GateReason.PERFORMANCE_SHORT, f"random predictions {seed} {size}",
        lambda: report(ROWS, {"ridge": size * guess(ROWS, 0.0, seed)}), "over persistence, 2.0% needed", alone=False,
    )  # fmt: skip


def leak(name: str, **others: Any) -> Case:
    def make() -> Report:
        noise = np.random.default_rng(3).normal(0, 1e-3, len(ROWS))
        return report(ROWS, {"ridge": ROWS["target"] + noise, **others})

    return Case(
        GateReason.TOO_GOOD_TO_BE_TRUE, name, make, "ridge came closest: gain +99.1%, 80% would be too good",
    )  # fmt: skip


FEW = truth(held_out=3)
SMALL = truth(entities=12)
CASES = [
    Case(GateReason.NOT_ENOUGH_ROWS, "too few periods", lambda: report(FEW, {"ridge": guess(FEW, 0.6)}),
         "3 held-out periods with 60 rows decide nothing: 4 periods and 50 rows are needed", Verdict.INCONCLUSIVE,
         limits={"min_rows": 50}),
    Case(GateReason.NOT_ENOUGH_ROWS, "too few rows", lambda: report(SMALL, {"ridge": guess(SMALL, 0.6)}),
         "8 held-out periods with 96 rows decide nothing: 4 periods and 100 rows", Verdict.INCONCLUSIVE),
    leak("a feature that is the target"),
    leak("one leak beside a candidate that would pass", random_forest=SKILLED),
    Case(GateReason.PERFORMANCE_SHORT, "persistence renamed", lambda: report(ROWS, {"ridge": 0.0}),
         "MAE gain +0.0% (+0.0% to +0.0%) over persistence", alone=False),
    Case(GateReason.PERFORMANCE_SHORT, "too small a gain", lambda: report(ROWS, {"ridge": 0.01 * ROWS["target"]}),
         "MAE gain +1.0%"),
    *(random(seed, size) for seed in range(1, 8) for size in (1.0, 0.1, 0.01)),
    Case(GateReason.SEGMENT_SHORT, "good on average, bad in a required segment",
         lambda: segmented(),
         "half second: gain -19.9% (-26.3% to -14.3%) over persistence, -10.0% needed"),
    Case(GateReason.INTERVALS_OFF, "errors that grow as soon as it counts",
         lambda: report(ROWS, {"ridge": louder_from_the_held_out_periods_on(8.0)}), "intervals of 80% held"),
    Case(GateReason.INTERVALS_OFF, "errors that shrink as soon as it counts",
         lambda: report(ROWS, {"ridge": louder_from_the_held_out_periods_on(0.5)}), "intervals of 80% held"),
    Case(GateReason.CALIBRATION_OFF, "right about the order, and much too sure", lambda: sure_of_failures(0.3),
         "allowed, up to", limits={"min_business": -1.0}),
    Case(GateReason.BUSINESS_METRIC_SHORT, "small errors that recommend the wrong ones",
         lambda: report(ROWS, {"ridge": wrong_at_the_top()}), "portfolio uplift -"),
    Case(GateReason.WORSE_THAN_CHAMPION, "the champion renamed",
         lambda: report(ROWS, {"ridge": SKILLED}, live(ROWS, SKILLED)), "the champion under another name"),
    Case(GateReason.WORSE_THAN_CHAMPION, "behind the champion", lambda: behind(0.1), "2.0% more error is tolerated"),
    Case(GateReason.WORSE_THAN_CHAMPION, "surely recommends worse than the champion", best_ones_last,
         "surely below the champion's", limits={"min_business": -1.0}),
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: f"{case.gate}: {case.name}")
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.reason)
def test_every_gate_has_a_candidate_that_only_it_keeps_from_passing(gate: gates.Gate) -> None:
    assert [one for one in CASES if one.gate is gate.reason and one.alone]


def test_what_must_fail_fails_at_its_gate_for_the_stated_reason(case: Case) -> None:
    decision = case.decide()
    assert (decision.verdict, decision.reason, decision.winner) == (case.verdict, case.gate, None)
    assert case.said in decision.text
    assert decision.text.startswith("ridge came closest: ")
    answers = decision.results["ridge"]
    assert [one.gate for one in answers] == [gate.reason for gate in GATES]
    place = [one.gate for one in answers].index(case.gate)
    assert all(one.verdict is Verdict.PASS for one in answers[:place])
    assert (answers[place].verdict, answers[place].text in decision.text) == (case.verdict, True)


@pytest.mark.parametrize(
    "case", [one for one in CASES if one.alone], ids=lambda one: f"{one.gate}: {one.name}"
)
def test_without_the_gate_it_would_have_passed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(gate for gate in GATES if gate.reason is not case.gate)
    monkeypatch.setattr(gates, "GATES", others)
    decision = case.decide()
    assert (decision.verdict, decision.reason) == (Verdict.PASS, GateReason.OK), decision.text


def test_a_skilled_candidate_passes_every_gate() -> None:
    decision = verdict(ROWS, {"ridge": SKILLED}, asked=question(marks=halves(ROWS), segments=[SEGMENT]))
    assert (decision.verdict, decision.reason, decision.winner) == (Verdict.PASS, GateReason.OK, "ridge")
    assert "no champion: nothing is live" in decision.text
    assert "2 required segments, none of them bad" in [one.text for one in decision.results["ridge"]]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(1, 2**32 - 1),  # 0 is the seed of the truth itself
    size=st.floats(1e-3, 10.0),
    entities=st.integers(13, 30),
    skilled=st.booleans(),
)
def test_predictions_that_know_nothing_never_pass(
    seed: int, size: float, entities: int, skilled: bool
) -> None:
    """Whatever their size, also beside the truth of other rows: shuffled within each period."""
    rows = truth(entities)
    if skilled:  # right about the distribution, wrong about who it is
        knows_nothing = rows.groupby("period")["target"].transform(
            lambda one: one.sample(frac=1, random_state=seed % 2**31).to_numpy()
        )
    else:
        knows_nothing = pd.Series(guess(rows, 0.0, seed))
    decision = verdict(rows, {"ridge": size * knows_nothing})
    assert decision.verdict is not Verdict.PASS


@pytest.mark.parametrize("rule", [{"required": False}, {"min_rows": 81}, {"max_loss": 0.5}])
def test_a_bad_segment_decides_nothing_where_it_is_not_required_or_small_or_tolerated(
    rule: dict[str, Any],
) -> None:
    found = segmented(**rule)
    assert decide(found, Thresholds()).verdict is Verdict.PASS
    second = next(one for one in found.candidates[0].segments if one.value == "second")
    assert (second.n_rows, second.gain.value) == (80, pytest.approx(-0.199, abs=1e-3))


@pytest.mark.parametrize("name", ["ridge", "random_forest"])
def test_a_leak_stops_the_others_too_and_is_what_the_decision_is_about(name: str) -> None:
    """What one model could see, the others may have seen as well, however well they pass."""
    models = {"ridge": SKILLED, "random_forest": SKILLED, name: 0.99 * ROWS["target"]}
    decision = verdict(ROWS, models)
    assert (decision.reason, decision.closest, decision.winner) == (
        GateReason.TOO_GOOD_TO_BE_TRUE,
        name,
        None,
    )
    genuine = verdict(ROWS, models, accepted_by="Ada", interval_tolerance=0.3)
    assert genuine.verdict is Verdict.PASS
    believed = next(one for one in genuine.results[name] if one.gate is GateReason.TOO_GOOD_TO_BE_TRUE)
    assert believed.text.endswith("Ada says that it is genuine")


def test_a_gain_of_exactly_the_limit_is_believed() -> None:
    made = report(ROWS, {"ridge": SKILLED})
    gain = made.candidates[0].gain.value
    assert gain is not None
    assert decide(made, Thresholds(too_good=gain)).verdict is Verdict.PASS
    assert decide(made, Thresholds(too_good=gain - 1e-9)).reason is GateReason.TOO_GOOD_TO_BE_TRUE


def test_where_all_candidates_came_to_nothing_the_decision_says_why_of_each() -> None:
    made = report(ROWS, {}, failed={"ridge:alpha=1": "no memory", "knn": "too slow"})
    decision = decide(made, Thresholds())
    assert (decision.verdict, decision.reason) == (Verdict.FAIL, GateReason.ALL_FAILED)
    assert (decision.winner, decision.closest) == (None, None)
    assert decision.text == "ridge:alpha=1: no memory; knn: too slow"
    assert decide(report(ROWS, {}), Thresholds()).text == "there is no candidate"


def test_one_that_failed_beside_one_that_passes_keeps_nobody_from_passing() -> None:
    made = report(ROWS, {"ridge": SKILLED}, failed={"knn": "too slow"})
    assert decide(made, Thresholds()).winner == "ridge"
    assert made.failed == {"knn": "too slow"}


def test_the_candidate_that_came_farthest_is_told_about() -> None:
    """Not the one with the best business metric, which failed at the first gate already."""
    models = {"ridge": -ROWS["target"].clip(-0.3, 0.3), "random_forest": wrong_at_the_top()}
    decision = verdict(ROWS, models)
    assert (decision.closest, decision.reason) == ("random_forest", GateReason.BUSINESS_METRIC_SHORT)


def test_exactly_as_many_periods_and_rows_as_needed_are_enough() -> None:
    made = report(ROWS, {"ridge": SKILLED})
    assert decide(made, Thresholds(min_periods=8, min_rows=160)).verdict is Verdict.PASS
    assert decide(made, Thresholds(min_periods=9)).reason is GateReason.NOT_ENOUGH_ROWS
    assert decide(made, Thresholds(min_rows=161)).reason is GateReason.NOT_ENOUGH_ROWS


def test_a_segment_is_bad_when_surely_worse_than_the_baseline_and_by_more_than_is_tolerated() -> None:
    """Its gain is -19.9%, at best -16.1%: worse for sure, and by more than 18% most likely."""
    assert decide(segmented(max_loss=0.18), Thresholds()).reason is GateReason.SEGMENT_SHORT
    assert decide(segmented(max_loss=0.21), Thresholds()).verdict is Verdict.PASS


def test_probabilities_that_come_true_as_far_as_the_contract_asks_pass() -> None:
    limits = Thresholds(min_business=-1.0)
    assert decide(sure_of_failures(0.0), limits).verdict is Verdict.PASS
    assert decide(sure_of_failures(0.15), limits).verdict is Verdict.PASS, "half of 0.15 is less than a tenth"
    off = decide(sure_of_failures(0.15), limits.model_copy(update={"max_calibration_error": 0.02}))
    assert off.reason is GateReason.CALIBRATION_OFF


def test_a_contract_that_asks_about_no_gain_has_no_question() -> None:
    models = {"ridge": ROWS["target"]}
    decision = verdict(ROWS, models, too_good=1.0, interval_tolerance=0.3)
    assert decision.verdict is Verdict.PASS
    assert "gain +100.0%: the contract asks about none" in [one.text for one in decision.results["ridge"]]


@pytest.mark.parametrize(("limit", "expected"), [(0.05, Verdict.FAIL), (0.5, Verdict.PASS)])
def test_of_an_error_less_is_better(limit: float, expected: Verdict) -> None:
    """Of two candidates that reach it the one with the smaller error wins."""
    asked = question()
    errors = Question(
        asked.performance,
        lambda own: {
            str(fold): (part["target"] - part["prediction"]).abs().to_numpy()
            for fold, part in own.groupby("fold")
        },
        0.8,
    )
    models = {"ridge": guess(ROWS, 0.4), "knn": guess(ROWS, 0.6)}
    limits = Thresholds(
        business="mean error",
        direction="lower",
        is_uplift=False,
        min_business=limit if expected is Verdict.PASS else 0.001,
    )
    decision = decide(report(ROWS, models, asked=errors), limits)
    assert decision.verdict is expected
    if expected is Verdict.PASS:
        assert decision.winner == "knn"
        assert "mean error 0.0" in decision.text
        assert ", at most 0.5 needed" in decision.text
    else:
        assert decision.reason is GateReason.BUSINESS_METRIC_SHORT
    worse = decide(
        report(ROWS, models, live(ROWS, guess(ROWS, 0.9)), asked=errors),
        limits.model_copy(update={"champion_tolerance": 9.0, "min_business": 0.5}),
    )
    assert (worse.reason, "surely above the champion's" in worse.text) == (
        GateReason.WORSE_THAN_CHAMPION,
        True,
    )
