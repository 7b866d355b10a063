"""The report and the gate: what must pass, and above all what must not."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.evaluation.gate import Decision, GateReason, Thresholds, decide
from include.kreislauf.evaluation.report import Champion, EvaluationError, Report, build_report
from include.kreislauf.training.candidates import Candidate, candidates

PERIODS = pd.date_range("2014-01-01", periods=8, freq="QS")
BEFORE = date(2013, 10, 1)
TRIED = {candidate.family: candidate for candidate in candidates(["ridge", "random_forest"], breadth=1)}


def truth(entities: int = 20, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    keys = [(f"e{i:02d}", period) for period in PERIODS for i in range(entities)]
    rows = pd.DataFrame(keys, columns=["entity", "period"])
    return rows.assign(target=rng.normal(0, 0.1, len(rows)), prediction=0.0)


def guess(skill: float, seed: int = 1) -> pd.DataFrame:
    """Predictions that are ``skill`` truth and the rest noise of the same size."""
    rows = truth()
    noise = np.random.default_rng(seed).normal(0, 0.1, len(rows))
    return rows.assign(prediction=skill * rows["target"] + (1 - skill) * noise)


def report(champion: Champion | None = None, **predictions: pd.DataFrame) -> Report:
    tried = [TRIED[family] for family in predictions]
    by_name = {TRIED[family].name: frame for family, frame in predictions.items()}
    return build_report(by_name, tried, {"persistence": truth()}, champion, top=5)


def verdict(champion: Champion | None = None, **predictions: pd.DataFrame) -> Decision:
    return decide(report(champion, **predictions), Thresholds())


def test_a_skilled_candidate_passes() -> None:
    decision = verdict(ridge=guess(0.8))
    assert (decision.verdict, decision.reason) == ("pass", GateReason.OK)
    assert decision.winner == TRIED["ridge"].name
    assert "no champion" in decision.text


@pytest.mark.parametrize("size", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("seed", range(1, 11))
def test_random_predictions_fail(seed: int, size: float) -> None:
    random = guess(0.0, seed)
    decision = verdict(ridge=random.assign(prediction=size * random["prediction"]))
    assert (decision.verdict, decision.reason) == ("fail", GateReason.PERFORMANCE_SHORT)
    assert decision.winner is None


def test_persistence_under_another_name_fails() -> None:
    assert verdict(ridge=truth()).reason is GateReason.PERFORMANCE_SHORT


def test_small_errors_that_recommend_the_wrong_ones_fail_on_the_business_metric() -> None:
    """Right about everything that is never recommended, wrong at the top."""
    rows = guess(1.0)
    rank = rows.groupby("period")["target"].rank()
    wrong = rows.assign(
        prediction=rows["target"].where(rank > 5, rows.groupby("period")["target"].transform("max"))
    )
    decision = decide(report(ridge=wrong), Thresholds(min_gain=-10.0))
    assert (decision.verdict, decision.reason) == ("fail", GateReason.BUSINESS_METRIC_SHORT)


def test_the_champion_renamed_fails() -> None:
    live = guess(0.8)
    decision = verdict(Champion(live[["entity", "period", "prediction"]], BEFORE), ridge=live)
    assert (decision.verdict, decision.reason) == ("fail", GateReason.WORSE_THAN_CHAMPION)
    assert "under another name" in decision.text


def test_a_candidate_behind_the_champion_fails_and_one_ahead_passes() -> None:
    champion = Champion(guess(0.8), BEFORE)
    assert verdict(champion, ridge=guess(0.7, seed=2)).reason is GateReason.WORSE_THAN_CHAMPION
    assert verdict(champion, ridge=guess(0.9, seed=2)).verdict == "pass"
    both = verdict(champion, ridge=guess(0.7, seed=2), random_forest=guess(0.9, seed=2))
    assert both.winner == TRIED["random_forest"].name


def test_a_champion_is_not_judged_on_its_own_training_data() -> None:
    """It predicts the periods it has seen perfectly; that must not count, and must be said."""
    perfect = Champion(guess(1.0), PERIODS[-1].date())
    decision = verdict(perfect, ridge=guess(0.7))
    assert decision.verdict == "pass"
    assert "not comparable" in decision.text
    seen = report(Champion(guess(1.0), PERIODS[4].date()), ridge=guess(0.7))
    assert [comparison.n_periods for comparison in seen.comparisons] == [3]


def test_entities_the_champion_does_not_know_count_in_its_uplift_but_not_in_its_error() -> None:
    live = guess(0.8)
    live.loc[live["entity"] >= "e10", "prediction"] = np.nan
    comparison = report(Champion(live, BEFORE), ridge=guess(0.8)).comparisons[0]
    assert comparison.n_rows == 80
    assert comparison.mae == pytest.approx(comparison.champion_mae)
    assert comparison.uplift_difference is not None
    assert comparison.uplift_difference > 0


def test_a_surely_lower_uplift_than_the_champions_fails_even_with_a_small_error() -> None:
    """The candidate's errors are small everywhere, but it ranks the best ones last."""
    rows = guess(1.0)
    best = rows.groupby("period")["target"].rank(ascending=False) <= 5
    candidate = rows.assign(prediction=rows["target"].where(~best, -0.3))
    decision = decide(
        report(Champion(guess(0.8), BEFORE), ridge=candidate),
        Thresholds(min_gain=-10.0, min_uplift=-1.0, champion_tolerance=10.0),
    )
    assert decision.reason is GateReason.WORSE_THAN_CHAMPION
    assert "surely below zero" in decision.text


def test_too_few_periods_or_rows_are_inconclusive() -> None:
    for few in (Thresholds(min_periods=9), Thresholds(min_rows=161)):
        decision = decide(report(ridge=guess(0.9)), few)
        assert (decision.verdict, decision.reason) == ("inconclusive", GateReason.NOT_ENOUGH_ROWS)
    nothing = build_report({}, [], {"persistence": truth()})
    assert decide(nothing, Thresholds()).reason is GateReason.NOT_ENOUGH_ROWS


def test_the_best_business_metric_wins_and_ties_go_to_the_simpler() -> None:
    assert verdict(ridge=guess(0.7), random_forest=guess(1.0)).winner == TRIED["random_forest"].name
    assert verdict(ridge=guess(0.8), random_forest=guess(0.8)).winner == TRIED["ridge"].name


def test_scores_are_those_of_the_rows() -> None:
    made = report(ridge=guess(0.8))
    (scores,) = made.candidates
    frame = guess(0.8)
    assert scores.mae == pytest.approx((frame["target"] - frame["prediction"]).abs().mean())
    assert scores.mae_gain == pytest.approx(1 - scores.mae / made.baselines[0].mae)
    assert made.baselines[0].mae_gain == 0
    assert scores.uplift == pytest.approx(np.mean(list(scores.uplift_by_period.values())))
    assert None not in (scores.uplift_low, scores.uplift_high)
    assert (scores.n_periods, scores.n_rows) == (8, 160)
    assert Report.model_validate_json(made.model_dump_json()) == made


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = guess(0.8).sample(frac=1, random_state=3)
    assert report(ridge=shuffled) == report(ridge=guess(0.8))


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (guess(0.8)[1:], "rows or targets differ"),
        (guess(0.8).assign(target=0.0), "rows or targets differ"),
        (pd.concat([guess(0.8), guess(0.8)[:1]]), "one row per entity"),
        (guess(0.8).assign(prediction=np.nan), "missing"),
        (guess(0.8)[:0], "one row per entity"),
    ],
)
def test_frames_that_cannot_be_compared_are_refused(frame: pd.DataFrame, match: str) -> None:
    with pytest.raises(EvaluationError, match=match):
        report(ridge=frame)


def test_names_must_agree_and_persistence_must_be_there() -> None:
    with pytest.raises(EvaluationError, match="persistence is missing"):
        build_report({}, [], {})
    with pytest.raises(EvaluationError, match="differ: other"):
        build_report({}, [Candidate("other", "ridge", {})], {"persistence": truth()})
    twice = Champion(pd.concat([guess(0.8), guess(0.8)]), BEFORE)
    with pytest.raises(EvaluationError, match="champion"):
        report(twice, ridge=guess(0.8))
