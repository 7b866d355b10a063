"""Evaluation as a step: the winner goes on, and each reason of the gates has its own way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.errors import EvaluationError, ReleaseError
from include.kreislauf.evaluation.segments import unknown_entities
from include.kreislauf.evaluation.winner import load_winner, winner_version
from include.kreislauf.handovers import Edge, Evidence, Loop, PersonAnswer, PersonNeeded, Reason, Role, Stage
from include.kreislauf.preparation.features import load_features
from include.kreislauf.requirements.science import Segment
from include.kreislauf.store import messages
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import load_candidates
from include.kreislauf.training.step import Training
from tests.evaluation.conftest import CHAIN, Home, Trained
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
GENUINE, A_LEAK = PersonAnswer(genuine=True, by="Ada"), PersonAnswer(genuine=False, by="Ada")


def shown(summary: Any, name: str) -> Any:
    """A section of a handover's summary."""
    return summary[name]


# The winner


def test_the_winner_goes_to_deployment_with_its_numbers(trained: Trained) -> None:
    made = trained.passed()
    summary = made.summary
    assert made.output == winner_version(trained.order.inputs[Stage.TRAINING], str(summary["winner"]))
    assert summary["champion"] == "no champion: nothing is live"
    metrics = shown(summary, "metrics")
    assert set(metrics) == {"mae", "mae_gain", "portfolio_uplift"}
    assert metrics["mae_gain"] >= trained.contract.performance.min_gain
    assert metrics["portfolio_uplift"] >= trained.contract.gate_metric.gate_threshold
    assert set(shown(summary, "baselines")) == {"persistence", "momentum", "drift", "prior"}
    assert shown(summary, "baselines")["persistence"]["mae_gain"] == 0
    assert shown(summary, "intervals")["gain"].startswith(f"{metrics['mae_gain']:+.1%} (")
    assert shown(summary, "intervals")["business"].startswith(f"{metrics['portfolio_uplift']:+.4f} (")


def test_the_interval_around_predictions_is_that_of_all_residuals(trained: Trained) -> None:
    summary = trained.passed().summary
    saved = load_candidates(
        trained.lap.settings.artefacts, trained.lap.use_case, trained.order.inputs[Stage.TRAINING]
    )
    rows = saved.predictions()
    own = rows[rows["model"] == summary["winner"]]
    interval = shown(summary, "prediction_interval")
    assert interval["level"] == trained.contract.performance.interval
    assert abs(interval["coverage"] - 0.8) <= trained.contract.performance.interval_tolerance
    assert ((own["target"] - own["prediction"]).abs() <= interval["half_width"]).mean() == pytest.approx(
        0.8, abs=0.01
    )


def test_the_metrics_are_those_of_the_held_out_predictions(trained: Trained) -> None:
    summary = trained.passed().summary
    saved = load_candidates(
        trained.lap.settings.artefacts, trained.lap.use_case, trained.order.inputs[Stage.TRAINING]
    )
    rows = saved.predictions()
    held_out = rows[rows["part"] == "held_out"]
    errors = (held_out["target"] - held_out["prediction"]).abs().groupby(held_out["model"]).mean()
    assert shown(summary, "metrics")["mae"] == pytest.approx(errors[summary["winner"]])
    assert {name: one["mae"] for name, one in shown(summary, "baselines").items()} == pytest.approx(
        {name: errors[name] for name in ("persistence", "momentum", "drift", "prior")}
    )


def test_the_model_card_is_a_document_and_a_file(trained: Trained) -> None:
    result = trained.result()
    assert (trained.cards / "model_card.md").read_text("utf-8") == result.document
    names = [one["name"] for one in load_candidates(
        trained.lap.settings.artefacts, trained.lap.use_case, trained.order.inputs[Stage.TRAINING]
    ).index["candidates"]]  # fmt: skip
    assert len(names) == 3  # two families and their mean
    for part in (trained.contract.title, "pass", "persistence", "momentum", "drift", "2015-07-01", *names):
        assert part in result.document


def test_the_same_inputs_give_the_same_bytes(trained_home: Home, tmp_path: Path) -> None:
    one, other = (trained_home.copy(tmp_path / name, 2016) for name in ("one", "other"))
    assert one.passed() == other.passed()
    first, second = (
        {path.name: path.read_bytes() for path in sorted(each.cards.iterdir())} for each in (one, other)
    )
    assert "model_card.md" in first
    assert first == second
    one.result()
    assert {path.name: path.read_bytes() for path in sorted(one.cards.iterdir())} == first


def test_deployment_finds_the_winner_by_its_version(trained: Trained) -> None:
    made = trained.passed()
    winner = load_winner(trained.lap.settings, trained.lap.use_case, made.output)
    assert str(made.summary["winner"]).startswith(f"{winner.family}:")
    assert winner.trained_until == "2015-07-01"
    assert winner.inputs["candidates"] == trained.order.inputs[Stage.TRAINING]
    assert len(winner.model.predict(winner.features[[*winner.numeric, *winner.categorical]])) == len(
        winner.features
    )
    with pytest.raises(ReleaseError, match="'nobody' is not among the candidates; allowed: ridge:default"):
        load_winner(trained.lap.settings, trained.lap.use_case, made.output.partition("#")[0] + "#nobody")


# The ways back


def test_a_gain_too_small_goes_back_to_training_with_the_numbers(trained: Trained) -> None:
    loop = trained.asking(min_gain=0.7).sent_back()
    assert (loop.edge, loop.reason, loop.step) == (
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT, Stage.TRAINING
    )  # fmt: skip
    assert (loop.attempt, loop.hop) == (2, 1)
    assert "over persistence, 70.0% needed" in loop.text
    assert "came closest" in loop.text
    evidence = {one.name: (one.value, one.unit) for one in loop.evidence}
    assert evidence["held_out_periods"] == (4.0, "periods")
    assert evidence["mae_gain"][1] == "share of persistence"
    assert evidence["portfolio_uplift"][1] == "log points per period"
    assert all(one.unit for one in loop.evidence if one.value is not None)
    assert loop.text.startswith(next(one.note for one in loop.evidence if one.name == "mae"))


def test_an_accurate_model_that_brings_too_little_goes_to_requirements(trained: Trained) -> None:
    loop = trained.wanting(gate_threshold=9.0).sent_back()
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE)
    assert "+9.000 needed" in loop.text


def test_a_bad_required_segment_goes_back_by_its_name(trained: Trained) -> None:
    passing = trained.passed()
    assert passing.summary["winner"]
    strict = trained.asking(
        segments=(Segment(by="kind", max_loss=0.0, min_rows=1), Segment(by="entity_age", min_rows=1))
    )
    document = strict.result().document
    assert "entity_age" in document
    assert "kind" in document
    with pytest.raises(EvaluationError, match=r"colour is no segment.*kind.*entity_age"):
        trained.asking(segments=(Segment(by="colour"),)).result()


def test_too_few_held_out_periods_ask_for_more_data(lap: Lap) -> None:
    _, order = lap.work(lap.order(datetime(2013, 7, 1, tzinfo=UTC)), *CHAIN)
    loop = Trained(lap, order, lap.contract).sent_back()
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    assert loop.step is None
    assert "decide nothing: 4 periods and 100 rows are needed" in loop.text


def test_the_card_of_candidates_that_were_sent_back_is_kept_with_the_loop(trained: Trained) -> None:
    short = trained.asking(min_gain=0.7)
    result = short.result()
    assert isinstance(result.message, Loop)
    assert "**✗ fail** (performance short)" in result.document
    assert (short.cards / "model_card.md").read_text("utf-8") == result.document


def test_a_loop_for_training_searches_wider_on_the_same_features_until_a_person_is_asked(
    make_lap: MakeLap,
) -> None:
    lap = make_lap(
        performance={"min_gain": 0.7}, governor={"max_hops": 3},
        training={"candidates": [{"family": "ridge"}], "configurations": 1},
    )  # fmt: skip
    sent = lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    loops = [one for one in sent if isinstance(one, Loop)]
    again = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT)
    assert [(one.edge, one.reason) for one in loops] == [
        again, again, (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.BUDGET_SPENT)
    ]  # fmt: skip
    cycle = lap.cycles()[0].cycle_id
    handed = lap.handovers(cycle)
    assert {one.output for one in handed if one.stage is Stage.PREPARATION} == {"features@0"}
    trained = [one.output for one in handed if one.stage is Stage.TRAINING]
    found = [load_candidates(lap.settings.artefacts, lap.use_case, one).index["search"] for one in trained]
    assert [sum(one["configurations"] for one in search) for search in found] == [1, 2, 4]
    assert [review.order.use_case for review in lap.questions] == ["radar"]
    folder = lap.settings.artefacts / lap.use_case / "model_cards"
    assert sorted(path.name for path in folder.iterdir()) == [f"{cycle}-{n}" for n in (1, 2, 3)]


def test_what_happened_to_entities_without_features_is_counted(trained: Trained) -> None:
    training = Training(trained.order, trained.contract, trained.lap.settings)
    saved = load_candidates(
        trained.lap.settings.artefacts, trained.lap.use_case, trained.order.inputs[Stage.TRAINING]
    )
    rows = saved.predictions()
    held_out = rows[(rows["part"] == "held_out") & (rows["model"] == "persistence")]
    module = load_features(trained.lap.settings.use_cases, trained.lap.use_case)
    raw = Tables(trained.lap.settings.tables, trained.lap.use_case).read(
        trained.order.inputs[Stage.COLLECTION]
    )
    happened = module.outcomes(raw, AS_OF.date())
    happened = happened[happened["period"].isin(held_out["period"])]
    unknown = 1 - len(held_out) / len(happened)
    assert unknown_entities(training, held_out) == pytest.approx(unknown)
    fewer = held_out[held_out["entity"] != held_out["entity"].iloc[0]]
    assert unknown_entities(training, fewer) == pytest.approx(1 - len(fewer) / len(happened))


# Too good to be true


def test_a_leak_stops_the_cycle_and_asks_the_data_scientist(leaked: Trained) -> None:
    with pytest.raises(PersonNeeded) as stopped:
        leaked.result()
    for part in (
        "Too good to be true",
        "does a feature know the target?",
        "`leak` (+",
        leaked.order.cycle_id,
    ):
        assert part in stopped.value.question
    assert "(too good to be true)" in (leaked.cards / "model_card.md").read_text("utf-8")
    assert leaked.lap.loops() == []


def test_what_a_person_calls_genuine_goes_on_to_the_other_gates(leaked: Trained) -> None:
    """Here they pass, or another gate says why not; and the card tells whose word it was."""
    loose = leaked.asking(interval_tolerance=0.3)
    result = loose.result(GENUINE)
    assert not isinstance(result.message, Loop), result.message.text
    assert result.message.summary["genuine_by"] == "Ada"
    assert "Ada says that it is genuine" in result.document
    strict = leaked.wanting(gate_threshold=9.0).asking(interval_tolerance=0.3).sent_back(GENUINE)
    assert strict.reason is Reason.METRIC_AND_MODEL_DISAGREE


def test_what_a_person_calls_a_leak_is_prepared_again_without_it(leaked: Trained) -> None:
    loop = leaked.sent_back(A_LEAK)
    assert (loop.edge, loop.reason, loop.step) == (
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT, Stage.PREPARATION
    )  # fmt: skip
    assert loop.by == "Ada"
    (evidence,) = loop.evidence
    assert isinstance(evidence, Evidence)
    assert (evidence.name, evidence.note) == ("feature", "leak")
    assert evidence.value is not None
    assert evidence.value > 0
    with leaked.lap.store.write() as db:
        messages.ledger_entry(db, loop, leaked.lap.now())
    again = leaked.lap.receive(leaked.lap.arriving(loop))
    _, order = leaked.lap.work(again, Stage.PREPARATION, Stage.TRAINING)
    metrics = shown(replace(leaked, order=order).passed().summary, "metrics")
    assert metrics["mae_gain"] < 0.6


def test_an_answer_changes_nothing_where_nobody_had_to_be_asked(trained: Trained) -> None:
    assert trained.passed(GENUINE) == trained.passed(A_LEAK) == trained.passed()


# Classes


CLASSES = """

numbers = build


def build(raw, as_of):
    rows = numbers(raw, as_of)
    known = rows["target"].notna()
    return rows.assign(target=rows["target"].gt(0).map({True: "rises", False: "falls"}).where(known))
"""


def test_classes_are_evaluated_by_their_probabilities(make_lap: MakeLap) -> None:
    lap = make_lap(
        problem={"kind": "binary", "classes": ["falls", "rises"]}, performance={"metric": "log_loss", "baseline": "prior"},
        business_metrics=[{
            "kind": "outcomes", "name": "right", "measure": "hit", "gate_threshold": 0.5, "threshold": 0.5,
            "test": {"bounds": [0, 1]},
        }],
        training={"candidates": [{"family": "logistic"}], "configurations": 1},
    )  # fmt: skip
    with (lap.settings.use_cases / lap.use_case / "features.py").open("a") as file:
        file.write(CLASSES)
    _, order = lap.work(lap.order(AS_OF), *CHAIN)
    made = Trained(lap, order, lap.contract).passed()
    metrics = shown(made.summary, "metrics")
    assert metrics["log_loss_gain"] > 0
    assert metrics["right"] > 0.5
    assert shown(made.summary, "prediction_interval")["half_width"] is None


# Beside the tracked runs


def test_the_winners_run_is_told_the_verdict(make_lap: MakeLap) -> None:
    lap = make_lap(training={"candidates": [{"family": "ridge"}], "configurations": 1})
    lap.settings = lap.settings.model_copy(update={"tracking_url": ""})
    message, order = lap.work(lap.order(AS_OF), *CHAIN)
    made = Trained(lap, order, lap.contract).passed()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(lap.settings.tracking)
    run_id = shown(message.summary, "tracking")["runs"][made.summary["winner"]]  # type: ignore[union-attr]
    run = client.get_run(run_id)
    tags = {name.rpartition(".")[2]: value for name, value in run.data.tags.items()}
    assert tags["verdict"] == "pass"
    assert tags["decision"] == made.summary["decision"]
    for name, value in shown(made.summary, "metrics").items():
        assert run.data.metrics[f"gate_{name}"] == pytest.approx(value)
    assert "model_card.md" in [one.path for one in client.list_artifacts(run_id)]
