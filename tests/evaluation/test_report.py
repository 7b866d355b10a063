"""The report: every model on the same rows, with numbers that are those of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.errors import EvaluationError
from include.kreislauf.evaluation.blocks import blocks_of
from include.kreislauf.evaluation.models import Report
from include.kreislauf.evaluation.report import Champion, Question, build_report
from include.kreislauf.evaluation.segments import segments_of
from include.kreislauf.requirements.science import Performance, Segment
from include.kreislauf.statistics.calibration import of_classes
from include.kreislauf.training.design import Design, Rows
from tests.evaluation.worlds import (
    BEFORE,
    SEARCH,
    guess,
    halves,
    live,
    predicted,
    question,
    report,
    tried,
    truth,
    uplift,
)

ROWS = truth()
HELD_OUT = ROWS["part"] == "held_out"
SKILLED = guess(ROWS, 0.6)
STARTS = sorted(ROWS.loc[HELD_OUT, "fold"].unique())


def refused(frame: pd.DataFrame, match: str) -> None:
    with pytest.raises(EvaluationError, match=match):
        build_report(frame, tried("ridge"), question())


# The numbers


def test_scores_are_those_of_the_held_out_rows() -> None:
    made = report(ROWS, {"ridge": SKILLED})
    (scores,) = made.candidates
    errors = (ROWS["target"] - SKILLED)[HELD_OUT]
    base = ROWS.loc[HELD_OUT, "target"].abs().mean()
    assert scores.error == pytest.approx(errors.abs().mean())
    assert scores.further == {"rmse": pytest.approx(np.sqrt((errors**2).mean()))}
    assert scores.gain.value == pytest.approx(1 - errors.abs().mean() / base)
    by_period = {
        label: uplift(rows)
        for label, rows in ROWS[HELD_OUT].assign(prediction=SKILLED[HELD_OUT]).groupby("fold")
    }
    assert scores.business_by_period == pytest.approx(by_period)
    assert scores.business.value == pytest.approx(np.mean(list(by_period.values())))
    assert None not in (scores.business.low, scores.business.high)
    assert (scores.n_periods, scores.n_rows) == (8, 160)
    assert (made.held_out, made.metric, made.baseline) == (tuple(STARTS), "mae", "persistence")
    assert Report.model_validate_json(made.model_dump_json()) == made


def test_rmse_is_the_root_of_the_mean_and_its_gain_too() -> None:
    (scores,) = report(ROWS, {"ridge": SKILLED}, asked=question(metric="rmse")).candidates
    errors, base = (ROWS["target"] - SKILLED)[HELD_OUT], ROWS.loc[HELD_OUT, "target"]
    assert scores.error == pytest.approx(np.sqrt((errors**2).mean()))
    assert scores.gain.value == pytest.approx(1 - np.sqrt((errors**2).mean() / (base**2).mean()))
    assert set(scores.further) == {"mae"}


def test_baselines_stand_beside_the_candidates_and_the_contracts_one_gains_nothing() -> None:
    frame = predicted(
        ROWS, {"ridge": SKILLED, "drift": 0.01, "momentum": ROWS["target"].shift(20, fill_value=0.0)}
    )
    made = build_report(frame, tried("ridge"), question())
    assert [one.name for one in made.candidates] == ["ridge"]
    assert sorted(one.name for one in made.baselines) == ["drift", "momentum", "persistence"]
    assert {one.complexity for one in made.baselines} == {0}
    own = made.scores("persistence").gain
    assert (own.value, own.low, own.high) == (0, 0, 0)
    other = build_report(frame, tried("ridge"), question(baseline="drift"))
    assert other.scores("drift").gain.value == 0
    assert other.scores("ridge").gain.value != made.scores("ridge").gain.value


def test_what_the_search_predicted_counts_for_intervals_only() -> None:
    spoilt = np.where(HELD_OUT, SKILLED, 5.0)
    good, bad = (report(ROWS, {"ridge": one}).candidates[0] for one in (SKILLED, spoilt))
    assert (good.error, good.gain, good.business) == (bad.error, bad.gain, bad.business)
    assert good.coverage != bad.coverage


def test_failures_and_unknown_entities_are_told() -> None:
    made = report(ROWS, {"ridge": SKILLED}, failed={"knn": "too slow"}, unknown_entities=0.3)
    assert (made.failed, made.unknown_entities) == ({"knn": "too slow"}, 0.3)


# What cannot be compared


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda own: own[own["entity"] != "e03"], "rows or targets differ"),
        (lambda own: own.assign(entity="x" + own["entity"]), "rows or targets differ"),
        (lambda own: own.assign(target=own["target"] + 1e-9), "rows or targets differ"),
        (lambda own: pd.concat([own, own[-1:]]), "exactly one prediction of each row"),
        (lambda own: own.assign(prediction=own["prediction"].where(own["entity"] != "e03")), "a prediction or a target is missing"),
        (lambda own: own.assign(prediction=np.nan), "a prediction or a target is missing"),
        (lambda own: own.assign(target=np.nan), "a prediction or a target is missing"),
    ],
)  # fmt: skip
def test_models_whose_rows_differ_are_refused_by_name(change: Any, match: str) -> None:
    frame = predicted(ROWS, {"ridge": SKILLED})
    own = frame["model"] == "ridge"
    refused(
        pd.concat([frame[~own], change(frame[own])], ignore_index=True),
        f"(?s)(ridge.*{match}|{match}.*ridge)",
    )


def test_the_baseline_must_be_there_on_the_held_out_rows() -> None:
    frame = predicted(ROWS, {"ridge": SKILLED})
    refused(frame[frame["model"] != "persistence"], "the baseline persistence is missing.*ridge")
    refused(frame[(frame["model"] != "persistence") | (frame["part"] == "search")], "persistence is missing")


# Beside the champion


def test_without_a_champion_nothing_is_compared() -> None:
    made = report(ROWS, {"ridge": SKILLED})
    assert (made.comparisons, made.champion_note) == ((), "no champion: nothing is live")
    assert made.comparison("ridge") is None


def test_a_champion_is_compared_only_after_its_training_data() -> None:
    """It predicts what it has seen perfectly; that must not count, and must be said."""
    perfect = np.where(ROWS["time"] <= SEARCH + 4, ROWS["target"], 0.0)
    made = report(ROWS, {"ridge": SKILLED}, live(ROWS, perfect, STARTS[4]))
    (beside,) = made.comparisons
    assert made.champion_note == f"champion compared on 3 periods after {STARTS[4]}"
    assert (beside.n_periods, beside.n_rows) == (3, 60)
    later = ROWS["time"] > SEARCH + 4
    assert beside.champion_error == pytest.approx(ROWS.loc[later, "target"].abs().mean())
    assert beside.error == pytest.approx((ROWS["target"] - SKILLED)[later].abs().mean())
    assert beside.gain.value == pytest.approx(1 - beside.error / beside.champion_error)
    assert beside.business_difference.value is not None


@pytest.mark.parametrize("values", [np.where(HELD_OUT, ROWS["target"], 0.0), np.nan])
def test_a_champion_that_has_seen_all_or_knows_none_is_not_comparable(values: Any) -> None:
    seen = BEFORE if np.isscalar(values) else STARTS[-1]
    made = report(ROWS, {"ridge": SKILLED}, live(ROWS, values, seen))
    assert made.comparisons == ()
    assert made.champion_note.startswith("champion not comparable")


def test_entities_the_champion_does_not_know_count_in_the_business_metric_but_not_in_its_error() -> None:
    known = (ROWS["entity"] < "e10").to_numpy()
    made = report(ROWS, {"ridge": SKILLED}, live(ROWS, np.where(known, SKILLED, np.nan)))
    (beside,) = made.comparisons
    assert (beside.n_rows, beside.same_predictions) == (80, False)
    assert beside.error == beside.champion_error
    assert beside.gain.value == 0
    shown = ROWS.assign(prediction=np.where(known, SKILLED, np.nan))[HELD_OUT]
    theirs = np.mean([uplift(rows) for _, rows in shown.groupby("fold")])
    mine = made.scores("ridge").business.value
    assert beside.business_difference.value == pytest.approx(mine - theirs)
    assert beside.business_difference.value > 0


def test_every_candidate_is_compared_and_the_renamed_champion_is_recognised() -> None:
    made = report(ROWS, {"ridge": SKILLED, "knn": guess(ROWS, 0.5, 4)}, live(ROWS, SKILLED))
    same = {one.candidate: one.same_predictions for one in made.comparisons}
    assert same == {"ridge": True, "knn": False}
    nearly = report(ROWS, {"ridge": SKILLED}, live(ROWS, SKILLED + 1e-12))
    assert not nearly.comparisons[0].same_predictions


def test_a_champion_with_two_predictions_of_a_row_is_refused() -> None:
    once = live(ROWS, SKILLED)
    twice = Champion(pd.concat([once.predictions, once.predictions[:1]]), once.trained_until)
    with pytest.raises(EvaluationError, match=r"(?s)champion.*at most one prediction of each row"):
        report(ROWS, {"ridge": SKILLED}, twice)


def test_the_order_of_the_champions_rows_does_not_matter() -> None:
    champion = live(ROWS, guess(ROWS, 0.5, 3))
    mixed = Champion(champion.predictions.sample(frac=1, random_state=1), champion.trained_until)
    assert report(ROWS, {"ridge": SKILLED}, mixed) == report(ROWS, {"ridge": SKILLED}, champion)


# Segments


def test_segments_are_scored_one_by_one_against_the_baseline() -> None:
    rules = [{"by": "half", "max_loss": 0.2, "min_rows": 81}, {"by": "half", "max_loss": 0.2, "min_rows": 80}]
    made = report(ROWS, {"ridge": SKILLED}, asked=question(marks=halves(ROWS), segments=rules))
    found = made.scores("ridge").segments
    assert [(one.by, one.value, one.n_rows, one.limit) for one in found] == [
        ("half", "first", 80, None), ("half", "second", 80, None), ("half", "first", 80, -0.2), ("half", "second", 80, -0.2)
    ]  # fmt: skip
    inside = HELD_OUT & (ROWS["entity"] < "e10")
    expected = 1 - (ROWS["target"] - SKILLED)[inside].abs().mean() / ROWS.loc[inside, "target"].abs().mean()
    assert found[0].gain.value == pytest.approx(expected)


def test_rows_outside_of_all_segments_belong_to_none() -> None:
    marks = halves(ROWS)
    marks.loc[marks["half"] == "second", "half"] = None
    made = report(ROWS, {"ridge": SKILLED}, asked=question(marks=marks, segments=[{"by": "half"}]))
    assert [(one.value, one.n_rows) for one in made.scores("ridge").segments] == [("first", 80)]


def features() -> tuple[pd.DataFrame, Design]:
    """One entity that is there from the start, and one that came 20 quarters later."""
    starts = pd.date_range("2010-01-01", periods=30, freq="QS")
    old = pd.DataFrame({"entity": "old", "period": starts, "kind": "language", "x": 1.0, "target": 0.0})
    new = pd.DataFrame({"entity": "new", "period": starts[20:], "kind": "tool", "x": 1.0, "target": 0.0})
    return pd.concat([new, old], ignore_index=True), Design(("x",), ("kind",))


def test_ages_are_counted_from_an_entitys_first_row() -> None:
    frame, design = features()
    marks = segments_of(frame, design, [Segment(by="entity_age"), Segment(by="kind")])
    marks = marks.assign(entity=Rows.of(frame, design).frame["entity"])
    by_entity = {name: list(rows["entity_age"]) for name, rows in marks.groupby("entity")}
    assert by_entity["old"] == ["1 to 8 periods"] * 8 + ["9 to 20 periods"] * 12 + ["over 20 periods"] * 10
    assert by_entity["new"] == ["1 to 8 periods"] * 8 + ["9 to 20 periods"] * 2
    assert dict(zip(marks["entity"], marks["kind"], strict=True)) == {"old": "language", "new": "tool"}


@pytest.mark.parametrize("name", ["x", "colour", "entity"])
def test_a_name_that_is_no_segment_is_refused_with_those_that_are(name: str) -> None:
    frame, design = features()
    with pytest.raises(EvaluationError, match=rf"{name} is no segment.*kind.*entity_age"):
        segments_of(frame, design, [Segment(by="kind"), Segment(by=name)])
    with pytest.raises(EvaluationError, match="entity_age is no segment"):
        segments_of(frame, Design(("x",), ("kind",), period=None), [Segment(by="entity_age")])


# Classes, and rows without time


def classified(classes: int, skill: float, *, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Outcomes as positions of classes, and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    rows = truth().assign(target=lambda own: rng.integers(0, classes, len(own)).astype(float))
    sure = np.eye(classes)[rows["target"].astype(int)]
    shares = skill * sure + (1 - skill) * rng.dirichlet(np.ones(classes), len(rows))
    return rows, pd.DataFrame(shares, columns=[f"p{n}" for n in range(classes)])


def hits(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """By block whether the most probable class came."""
    right = rows.filter(regex=r"^p\d+$").to_numpy().argmax(axis=1) == rows["target"]
    return {str(block): part.to_numpy(float) for block, part in right.groupby(rows["block"])}


def class_report(metric: str, classes: int, skill: float) -> tuple[pd.DataFrame, Report]:
    rows, shares = classified(classes, skill)
    own = pd.concat([rows, shares], axis=1).assign(model="logistic")
    prior = rows.assign(model="prior", **dict.fromkeys(shares, 1 / classes))
    asked = Performance.model_validate({"metric": metric, "baseline": "prior", "min_gain": 0.02})
    made = build_report(
        pd.concat([own, prior], ignore_index=True), tried("logistic"),
        Question(asked, hits, 0.8),
    )  # fmt: skip
    return own[own["part"] == "held_out"], made


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_probabilities_are_scored_by_class(metric: str, classes: int) -> None:
    rows, made = class_report(metric, classes, 0.5)
    shares = rows[[f"p{n}" for n in range(classes)]].to_numpy()
    hit = shares[np.arange(len(rows)), rows["target"].astype(int)]
    log_loss = -np.log(hit).mean()
    brier = ((shares - np.eye(classes)[rows["target"].astype(int)]) ** 2).sum(axis=1).mean()
    by_name = {"log_loss": log_loss, "brier": brier}
    prior = {"log_loss": np.log(classes), "brier": 1 - 1 / classes}
    scores = made.scores("logistic")
    assert scores.error == pytest.approx(by_name[metric])
    other = next(name for name in by_name if name != metric)
    assert scores.further[other] == pytest.approx(by_name[other])
    right = (shares.argmax(axis=1) == rows["target"]).mean()
    assert scores.further["accuracy"] == pytest.approx(right)
    assert ("average_precision" in scores.further) == (classes == 2)
    assert scores.business.value == pytest.approx(right)
    expected = of_classes(rows["target"].to_numpy(), shares)
    assert (scores.calibration_error, scores.calibration_by_chance) == (expected.error, expected.by_chance)
    assert scores.gain.value == pytest.approx(1 - by_name[metric] / prior[metric])
    assert (scores.coverage, scores.half_width) == (None, None)


def test_a_missing_probability_is_refused() -> None:
    rows, shares = classified(2, 0.5)
    shares.loc[len(shares) - 1, "p1"] = np.nan
    frame = pd.concat([rows, shares], axis=1)
    asked = Question(
        Performance.model_validate({"metric": "brier", "baseline": "prior", "min_gain": 0}),
        hits,
        0.8,
    )
    both = pd.concat([frame.assign(model="logistic"), rows.assign(model="prior", p0=0.5, p1=0.5)])
    with pytest.raises(EvaluationError, match="a prediction or a target is missing"):
        build_report(both, tried("logistic"), asked)


def timeless(per_entity: int = 1, seed: int = 0) -> pd.DataFrame:
    """Rows without time: four folds of a search, and one part held out, with whole entities."""
    rng = np.random.default_rng(seed)
    names = [f"e{n:03d}" for n in range(200) for _ in range(per_entity)]
    fold = np.repeat(np.arange(200) % 5 + 1, per_entity)
    rows = pd.DataFrame({"entity": names, "block": names, "time": fold, "fold": [f"fold {n}" for n in fold]})
    return rows.assign(
        row=range(len(rows)),
        part=np.where(fold == 5, "held_out", "search"),
        target=rng.normal(0, 0.1, len(rows)),
    )


def plain(rows: pd.DataFrame, marks: pd.DataFrame | None = None, **asked: Any) -> Question:
    own = question(marks=marks, **asked)
    return Question(
        own.performance,
        lambda one: {"held out": one["target"][one["prediction"].nlargest(5).index].to_numpy()},
        0.8,
        1,
        marks,
    )


@pytest.mark.parametrize("per_entity", [1, 3])
def test_rows_without_time_are_drawn_by_entity(per_entity: int) -> None:
    rows = timeless(per_entity)
    made = report(rows, {"ridge": guess(rows, 0.5)}, asked=plain(rows))
    scores = made.scores("ridge")
    assert (made.held_out, scores.n_periods, scores.n_rows) == ((), 1, 40 * per_entity)
    assert None not in (scores.gain.value, scores.gain.low, scores.gain.high)
    assert scores.coverage == pytest.approx(0.8, abs=0.1)
    assert (scores.business.low, scores.business.high) == (
        None,
        None,
    )  # one part alone says nothing of the spread
    one_block = report(rows.assign(block="all"), {"ridge": guess(rows, 0.5)}, asked=plain(rows))
    assert one_block.scores("ridge").gain.low is None


@pytest.mark.parametrize("per_entity", [1, 3])
def test_rows_without_time_have_segments_too(per_entity: int) -> None:
    rows = timeless(per_entity)
    marks = pd.DataFrame({"half": np.where(rows["entity"] < "e100", "first", "second")}, index=rows["row"])
    made = report(rows, {"ridge": guess(rows, 0.5)}, asked=plain(rows, marks, segments=[{"by": "half"}]))
    found = made.scores("ridge").segments
    assert [(one.value, one.n_rows) for one in found] == [
        ("first", 20 * per_entity),
        ("second", 20 * per_entity),
    ]


def test_probabilities_are_compared_with_the_champions() -> None:
    rows, shares = classified(2, 0.5)
    own, prior = pd.concat([rows, shares], axis=1), rows.assign(model="prior", p0=0.5, p1=0.5)
    asked = Question(
        Performance.model_validate({"metric": "brier", "baseline": "prior", "min_gain": 0}), hits, 0.8
    )
    both = pd.concat([own.assign(model="logistic"), prior])
    better = own.assign(p1=0.5 * own["p1"] + 0.5 * own["target"], p0=lambda one: 1 - one["p1"])
    made = build_report(both, tried("logistic"), asked, Champion(better[["row", "p0", "p1"]], STARTS[3]))
    (beside,) = made.comparisons
    assert (beside.n_periods, beside.n_rows, beside.same_predictions) == (4, 80, False)
    assert beside.error > beside.champion_error
    later = own["fold"] > STARTS[3]
    right, live_right = ((one.loc[later, "p1"] > 0.5) == one.loc[later, "target"] for one in (own, better))
    assert beside.business_difference.value == pytest.approx(right.mean() - live_right.mean())
    same = build_report(both, tried("logistic"), asked, Champion(own[["row", "p0", "p1"]], STARTS[3]))
    assert same.comparisons[0].same_predictions


def test_without_time_a_champion_is_compared_on_the_rows_it_has_not_learnt_from() -> None:
    rows = timeless()
    unseen = rows[rows["part"] == "held_out"].iloc[:32].assign(prediction=0.0)
    made = report(
        rows, {"ridge": guess(rows, 0.5)}, Champion(unseen[["row", "prediction"]], ""), asked=plain(rows)
    )
    assert made.champion_note == "champion compared on 32 held-out rows that it has not learnt from"
    assert made.comparisons[0].n_rows == 32
    told = Champion(pd.DataFrame(), "", "champion not comparable: it knows other classes")
    assert report(rows, {"ridge": guess(rows, 0.5)}, told, asked=plain(rows)).champion_note == told.note


def test_very_many_rows_are_drawn_in_bundles() -> None:
    rows = pd.DataFrame({"block": [f"{number:05d}" for number in range(2500)]})
    found = list(blocks_of(rows))
    assert len(found) == 1000
    assert sorted(np.concatenate([places for _, places in found])) == list(range(2500))
    few = list(blocks_of(pd.DataFrame({"block": ["b", "a", "b"]})))
    assert [(name, places.tolist()) for name, places in few] == [("a", [1]), ("b", [0, 2])]


def test_candidates_of_an_earlier_version_are_trained_again() -> None:
    refused(predicted(ROWS, {"ridge": SKILLED}).drop(columns="row"), "earlier version.*train again")
