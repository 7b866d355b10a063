"""Training as a step: candidates with their held-out predictions, a wider search each time, or the way back."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from include.kreislauf.errors import ReleaseError, TrainingError
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Stage, WorkOrder
from include.kreislauf.training.files import INDEX, PREDICTIONS, CandidateSet, load_candidates
from include.kreislauf.training.step import train
from tests.support.lap import Lap
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


def prepared(lap: Lap, as_of: datetime = AS_OF) -> WorkOrder:
    """The order of a training, with features."""
    return lap.work(lap.order(as_of), Stage.COLLECTION, Stage.PREPARATION)[1]


def trained(lap: Lap, order: WorkOrder) -> tuple[Handover, CandidateSet]:
    message = lap.work(order, Stage.TRAINING)[0]
    assert isinstance(message, Handover)
    return message, load_candidates(lap.settings.artefacts, lap.use_case, message.output)


def test_candidates_keep_what_evaluation_and_deployment_need(lap: Lap) -> None:
    order = prepared(lap)
    made, saved = trained(lap, order)
    assert made.summary == {
        "candidates": ["ridge:alpha300", "ridge:alpha30"], "held_out_periods": 4, "trained_until": "2015-07-01",
    }  # fmt: skip
    assert (saved.index["features"], saved.index["inputs"]) == (order.inputs[Stage.PREPARATION], order.inputs)
    assert set(saved.index["categorical"]["season"]) == {"Q1", "Q2", "Q3", "Q4"}
    assert saved.folder.name == f"{order.cycle_id}-1"


def test_candidates_and_baselines_predict_the_same_held_out_rows(lap: Lap) -> None:
    predictions = trained(lap, prepared(lap))[1].predictions()
    keys = {
        name: set(zip(rows["entity"], rows["period"], strict=True))
        for name, rows in predictions.groupby("model")
    }
    assert set(keys) == {"ridge:alpha300", "ridge:alpha30", "persistence", "momentum", "drift"}
    assert len({frozenset(rows) for rows in keys.values()}) == 1
    assert predictions["period"].nunique() == 4
    assert predictions["period"].max() == pd.Timestamp("2015-07-01")


@pytest.mark.parametrize(("attempt", "tried"), [(1, 2), (2, 4), (3, 4)])
def test_each_attempt_searches_wider(lap: Lap, attempt: int, tried: int) -> None:
    order = prepared(lap).model_copy(update={"attempt": attempt})
    assert len(trained(lap, order)[1].candidates) == tried


def test_a_wider_search_begins_with_what_was_tried_before(lap: Lap) -> None:
    order = prepared(lap)
    first = [one.name for one in trained(lap, order)[1].candidates]
    second = [one.name for one in trained(lap, order.model_copy(update={"attempt": 2}))[1].candidates]
    assert second[: len(first)] == first


def test_a_training_repeated_is_the_same_training(lap: Lap) -> None:
    order = prepared(lap)
    assert (
        train(order, lap.contract, lap.settings).message == train(order, lap.contract, lap.settings).message
    )


def test_too_short_a_history_goes_back_to_data_engineering(lap: Lap) -> None:
    loop = lap.work(prepared(lap, datetime(2012, 10, 1, tzinfo=UTC)), Stage.TRAINING)[0]
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    assert (loop.step, loop.attempt) == (None, 2)
    evidence = loop.evidence[0]
    assert (evidence.name, evidence.unit) == ("rows_with_target", "rows")
    assert f"{evidence.value:.0f} rows with known target leave no period to hold out" in loop.text


def test_an_unknown_family_is_an_error_that_names_the_known(lap: Lap) -> None:
    write_use_case(lap.settings.use_cases, training={"candidates": [{"family": "oracle"}]})
    with pytest.raises(TrainingError, match="unknown model family 'oracle'; allowed: hist_gradient_boosting"):
        lap.work(prepared(lap), Stage.TRAINING)


# What was changed after the training is not used


@pytest.mark.parametrize(
    ("name", "error"),
    [(INDEX, TrainingError), (PREDICTIONS, TrainingError), ("model_00.joblib", ReleaseError)],
)
def test_a_file_changed_after_training_is_refused(lap: Lap, name: str, error: type[Exception]) -> None:
    made, saved = trained(lap, prepared(lap))
    path = saved.folder / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1) + b" ")
    with pytest.raises(error, match="was changed after"):
        again = load_candidates(lap.settings.artefacts, lap.use_case, made.output)
        again.predictions()
        again.model("ridge:alpha300")


@pytest.mark.parametrize("version", ["", "c0001-1", "../../etc@" + "0" * 64, "c0001-1@short"])
def test_a_version_that_names_no_training_is_refused(lap: Lap, version: str) -> None:
    with pytest.raises(TrainingError, match="does not name a training; allowed: folder@sha256"):
        load_candidates(lap.settings.artefacts, lap.use_case, version)


def test_candidates_that_are_gone_are_an_error(lap: Lap) -> None:
    with pytest.raises(TrainingError, match="candidates cannot be read: No such file"):
        load_candidates(lap.settings.artefacts, lap.use_case, "c0001-1@" + "0" * 64)
