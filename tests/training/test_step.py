"""Training as a step: candidates with their held-out predictions, a wider search each time, or the way back."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from include.kreislauf.errors import ReleaseError, TrainingError
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Stage, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store
from include.kreislauf.store.messages import find_handover
from include.kreislauf.store.tables import Tables
from include.kreislauf.training import families, final, step
from include.kreislauf.training.design import Design
from include.kreislauf.training.families import Family
from include.kreislauf.training.files import INDEX, PREDICTIONS, CandidateSet, load_candidates
from include.kreislauf.training.search import search
from include.kreislauf.training.step import Training, train
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.use_cases import write_use_case
from tests.training.worlds import TIMELESS, TIMELESS_BY_CLASS, classed, timeless

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
TWO = [{"family": "ridge"}, {"family": "nearest_neighbours"}]


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
        "candidates": [saved.candidates[0].name], "failed": {}, "trained_until": "2015-07-01",
        "held_out": ["2014-10-01", "2015-01-01", "2015-04-01", "2015-07-01"], "exhausted": True,
        "fits": 8 * 2 + 3 * 2 + 1 * 3, "trials": {"reused": 0, "made": 8 * 2 + 3 * 2 + 1 * 3 + 4}, "tracking": {
            "runs": {}, "parent": "", "note": "tracking is off (KREISLAUF_TRACKING_URL=none)",
        },
    }  # fmt: skip
    index = saved.index
    assert (index["features"], index["inputs"]) == (order.inputs[Stage.PREPARATION], order.inputs)
    assert set(index["categorical"]["season"]) == {"Q1", "Q2", "Q3", "Q4"}
    assert (index["task"], index["classes"], index["horizon"], index["seed"]) == ("regression", [], 1, 7)
    assert (index["trained_until"], index["as_of"]) == ("2015-07-01", AS_OF.isoformat())
    (account,) = index["search"]
    assert (account["family"], account["best"]) == ("ridge", saved.candidates[0].name)
    assert (account["configurations"], account["folds"], len(account["losses"])) == (8, 7, 8)
    assert saved.folder.name == f"{order.cycle_id}-1"
    features = lap_features(lap, order)
    model = saved.model(saved.candidates[0].name)
    assert np.isfinite(model.predict(features[[*index["numeric"], *index["categorical"]]])).all()


def lap_features(lap: Lap, order: WorkOrder) -> pd.DataFrame:
    return Tables(lap.settings.tables, lap.use_case).read(order.inputs[Stage.PREPARATION])


def test_candidates_and_baselines_predict_the_same_rows(make_lap: MakeLap) -> None:
    lap = make_lap(training={"candidates": TWO, "ensembles": ["mean", "stack"], "configurations": 1})
    saved = trained(lap, prepared(lap))[1]
    predictions = saved.predictions()
    names = {one.name for one in saved.candidates}
    assert {one.family for one in saved.candidates} >= {"ridge", "nearest_neighbours", "mean"}
    for part, folds in (("search", 7), ("held_out", 4)):
        own = predictions[predictions["part"] == part]
        keys = {
            name: list(zip(rows["entity"], rows["period"], strict=True))
            for name, rows in own.groupby("model")
        }
        assert set(keys) == {*names, "persistence", "momentum", "drift", "prior"}
        assert len({tuple(rows) for rows in keys.values()}) == 1
        assert own["period"].nunique() == folds
    assert predictions["period"].max() == pd.Timestamp("2015-07-01")
    assert predictions[predictions["part"] == "search"]["period"].max() == pd.Timestamp("2014-07-01")


@pytest.mark.parametrize(("attempt", "tried"), [(1, 2), (2, 4), (3, 8), (4, 8)])
def test_each_attempt_searches_twice_as_wide_until_there_is_no_more(
    make_lap: MakeLap, attempt: int, tried: int
) -> None:
    lap = make_lap(training={"configurations": 2, "search_periods": 1})
    made, saved = trained(lap, prepared(lap).model_copy(update={"attempt": attempt}))
    assert saved.index["search"][0]["configurations"] == tried
    assert saved.index["exhausted"] == made.summary["exhausted"] == (tried == 8)
    assert saved.folder.name.endswith(f"-{attempt}")


def test_a_wider_search_begins_with_what_was_tried_before(make_lap: MakeLap) -> None:
    lap = make_lap(training={"configurations": 3})
    order = prepared(lap)
    wide = Training(order.model_copy(update={"attempt": 2}), lap.contract, lap.settings).tried["ridge"]
    narrow = Training(order, lap.contract, lap.settings).tried["ridge"]
    assert wide[: len(narrow)] == narrow
    assert (len(narrow), len(wide)) == (3, 6)


def test_a_training_repeated_is_the_same_training(lap: Lap) -> None:
    order = prepared(lap)
    first, again = (train(order, lap.contract, lap.settings).message for _ in range(2))
    assert isinstance(first, Handover)
    assert isinstance(again, Handover)
    made, known = (one.summary["trials"] for one in (first, again))
    assert again.model_copy(update={"summary": {**again.summary, "trials": made}}) == first
    assert known == {"reused": made["made"], "made": 0}  # type: ignore[call-overload, index]


def test_a_wider_search_takes_over_the_models_of_finalists_that_stay_to_the_last_byte(
    make_lap: MakeLap, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"candidates": TWO, "ensembles": ["mean", "stack"], "configurations": 2, "search_periods": 4}
    lap = make_lap(training=given)
    order = prepared(lap)
    wider = order.model_copy(update={"attempt": 2})
    settings = lap.settings.model_copy(update={"training_jobs": 1})
    from_nothing = files_of(train(wider, lap.contract, settings).message, settings, lap)
    shutil.rmtree(settings.artefacts)
    lap.work(order, Stage.TRAINING)
    fitted: list[str] = []
    real = final._fitted

    def spied(rows: Any, candidate: Any, training: Any) -> Any:
        fitted.append(candidate.name)
        return real(rows, candidate, training)

    monkeypatch.setattr(final, "_fitted", spied)
    message = train(wider, lap.contract, settings).message
    assert files_of(message, settings, lap) == from_nothing
    narrow, wide = (
        load_candidates(settings.artefacts, lap.use_case, one).candidates
        for one in outputs(lap, order, message)
    )
    new = [one.name for one in wide if one not in narrow and one.family in ("ridge", "nearest_neighbours")]
    assert fitted == new
    assert len(new) < 2, "at least one finalist stays"


def outputs(lap: Lap, order: WorkOrder, message: Any) -> tuple[str, str]:
    """Of the earlier training, and of this one."""
    with Store(lap.settings.store).read() as db:
        earlier = find_handover(db, lap.use_case, order.cycle_id, Stage.TRAINING, 1)
    assert earlier is not None
    return earlier.output, message.output


def files_of(message: Any, settings: Settings, lap: Lap) -> dict[str, bytes]:
    """A training's files."""
    saved = load_candidates(settings.artefacts, lap.use_case, message.output)
    return {path.name: path.read_bytes() for path in saved.folder.iterdir()}


def test_a_training_from_nothing_is_equal_to_the_last_byte_on_any_number_of_processes(
    make_lap: MakeLap,
) -> None:
    lap = make_lap(
        training={"candidates": TWO, "ensembles": ["mean", "stack"], "configurations": 2, "search_periods": 4}
    )
    order = prepared(lap)
    versions, files = [], []
    for jobs in (1, 1, 2):
        shutil.rmtree(lap.settings.artefacts, ignore_errors=True)
        settings = lap.settings.model_copy(update={"training_jobs": jobs})
        message = train(order, lap.contract, settings).message
        assert isinstance(message, Handover)
        saved = load_candidates(settings.artefacts, lap.use_case, message.output)
        versions.append(message.output)
        files.append({path.name: path.read_bytes() for path in saved.folder.iterdir()})
    assert files[0].keys() == files[1].keys() == files[2].keys() == {
        INDEX, PREDICTIONS, *(f"model_{n:02d}.joblib" for n in range(len(saved.candidates))),
    }  # fmt: skip
    assert len(saved.candidates) >= 3
    for name, content in files[0].items():
        assert content == files[1][name] == files[2][name], name
    assert len(set(versions)) == 1


# What leads back


def test_too_short_a_history_goes_back_to_data_engineering(lap: Lap) -> None:
    loop = lap.work(prepared(lap, datetime(2012, 10, 1, tzinfo=UTC)), Stage.TRAINING)[0]
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    assert (loop.step, loop.attempt) == (None, 2)
    evidence = loop.evidence[0]
    assert (evidence.name, evidence.unit) == ("rows_with_target", "rows")
    assert f"{evidence.value:.0f} rows with known target leave nothing to hold out" in loop.text


@pytest.mark.parametrize(
    ("frame", "design", "text"),
    [
        (timeless(4), TIMELESS, "4 rows are fewer than 5 folds"),
        (timeless(9).assign(target=0.0), TIMELESS_BY_CLASS, "the target knows the class yes only"),
        (
            classed(timeless(9)).iloc[[0, 1, 2]],
            TIMELESS_BY_CLASS,
            "of the rarest class|3 rows are fewer|class . only",
        ),
    ],
)
def test_too_few_rows_without_time_go_back_to_data_engineering(
    lap: Lap, frame: pd.DataFrame, design: Design, text: str
) -> None:
    training = Training(prepared(lap), lap.contract, lap.settings)
    training.__dict__.update(frame=frame, design=design)  # what the feature version would give
    result = training.result()
    assert isinstance(result.message, Loop)
    assert result.message.edge is Edge.DATA_SCIENCE_TO_DATA_ENGINEERING
    assert re.search(text, result.message.text)
    assert result.message.evidence[0].value == len(frame)
    assert re.search(text, result.document)


def test_an_unknown_family_is_an_error_that_names_the_known(lap: Lap) -> None:
    write_use_case(lap.settings.use_cases, training={"candidates": [{"family": "oracle"}]})
    with pytest.raises(
        TrainingError, match="unknown model family 'oracle'; allowed: extra_trees, hist_gradient"
    ):
        lap.work(prepared(lap), Stage.TRAINING)


@pytest.mark.parametrize("second", ["ridge", "logistic"])
def test_a_family_named_twice_is_an_error(lap: Lap, second: str) -> None:
    """The second would be searched in the place of the first."""
    write_use_case(lap.settings.use_cases, training={"candidates": [{"family": "ridge"}, {"family": second}]})
    with pytest.raises(
        TrainingError, match="family ridge is named twice; allowed: each family once; next: put"
    ):
        lap.work(prepared(lap), Stage.TRAINING)


class Failing(Ridge):  # type: ignore[misc]
    """Cannot be fitted."""

    def fit(self, X: Any, y: Any) -> Failing:
        raise ZeroDivisionError("a bug in the family")


class LateFailing(Ridge):  # type: ignore[misc]
    """Cannot be fitted on what is learnt from for the last held-out fold."""

    rows = 0

    def fit(self, X: Any, y: Any) -> LateFailing:
        if len(X) >= LateFailing.rows:
            raise ZeroDivisionError("a bug in the family")
        super().fit(X, y)
        return self


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Candidates of a contract that fail: two families."""
    more = {
        name: Family(name, 9, {"regression": lambda params, _seed, made=made: made(**params)}, {"alpha": (1.0, 2.0)})
        for name, made in (("failing", Failing), ("late", LateFailing))
    }  # fmt: skip
    monkeypatch.setattr(families, "FAMILIES", {**families.FAMILIES, **more})
    return [{"family": name} for name in more]


def test_when_all_candidates_fail_the_data_scientist_tries_again(
    make_lap: MakeLap, failing: list[dict[str, Any]]
) -> None:
    lap = make_lap(training={"candidates": failing[:1]})
    settings = lap.settings.model_copy(update={"training_jobs": 1})
    result = train(prepared(lap), lap.contract, settings)
    loop = result.message
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT)
    assert (loop.step, loop.attempt) == (Stage.TRAINING, 2)
    why = "ZeroDivisionError: a bug in the family"
    assert {one.name: (one.value, one.note) for one in loop.evidence} == {
        "failing:default": (None, why), "failing:alpha=2.0": (None, why),
    }  # fmt: skip
    assert f"failing:alpha=2.0: {why}" in loop.text
    assert f"- `failing:default`: {why}" in result.document
    assert not (settings.artefacts / "candidates").exists()


def test_one_run_per_candidate_is_tracked_with_its_lineage_and_failed_ones_as_failed(
    make_lap: MakeLap, failing: list[dict[str, Any]]
) -> None:
    from mlflow.tracking import MlflowClient

    candidates = [*TWO, *failing]
    lap = make_lap(training={"candidates": candidates, "configurations": 2, "search_periods": 4})
    order = prepared(lap)
    LateFailing.rows = 1 + Training(order, lap.contract, lap.settings).splits.held_out[-2].learn.size
    settings = lap.settings.model_copy(update={"training_jobs": 1, "tracking_url": ""})
    message = train(order, lap.contract, settings).message
    assert isinstance(message, Handover)
    saved = load_candidates(settings.artefacts, lap.use_case, message.output)
    tracking = message.summary["tracking"]
    assert isinstance(tracking, dict)
    assert tracking["note"] == ""
    reader = MlflowClient(settings.tracking)
    runs = {
        run.info.run_name: run
        for run in reader.search_runs([reader.get_experiment_by_name(lap.use_case).experiment_id])
    }
    parent = runs.pop(f"{order.cycle_id}-1")
    assert parent.info.run_id == tracking["parent"]
    tried = {one.name for family in Training(order, lap.contract, settings).tried.values() for one in family}
    assert len(tried) == 8
    assert set(runs) == tried | {one.name for one in saved.candidates} == set(tracking["runs"])
    lineage = {
        "contract_hash": order.contract_hash, "code_version": settings.code, "cycle": order.cycle_id, "attempt": "1",
        "as_of": AS_OF.isoformat(), "candidates": saved.version, "feature_version": order.inputs[Stage.PREPARATION],
        "data_version": order.inputs[Stage.COLLECTION],
    }  # fmt: skip
    for run in (parent, *runs.values()):
        assert (
            run.data.tags.items() >= {f"kreislauf.{name}": value for name, value in lineage.items()}.items()
        )
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs.values())
    failed = {
        name: run.data.tags["kreislauf.failed"] for name, run in runs.items() if run.info.status == "FAILED"
    }
    assert failed == message.summary["failed"]
    late = next(name for name in failed if name.startswith("late"))
    assert failed == {
        "failing:default": "ZeroDivisionError: a bug in the family",
        "failing:alpha=2.0": "ZeroDivisionError: a bug in the family",
        late: "2015-07-01: ZeroDivisionError: a bug in the family",
    }
    predictions = saved.predictions()
    own = predictions[
        (predictions["model"] == saved.candidates[0].name) & (predictions["part"] == "held_out")
    ]
    run = runs[saved.candidates[0].name]
    assert run.data.metrics["mae"] == pytest.approx((own["target"] - own["prediction"]).abs().mean())
    assert len(reader.get_metric_history(run.info.run_id, "fold/mae")) == 4
    assert {name.split(":")[0] for name, run in runs.items() if run.data.tags["kreislauf.role"] == "candidate"} == {
        "ridge", "nearest_neighbours", "mean",
    }  # fmt: skip
    searched = runs["failing:default"].data
    assert (searched.params["family"], searched.metrics) == ("failing", {})
    assert any("search_mae" in run.data.metrics for run in runs.values())


# A training that was killed goes on


@pytest.fixture
def families_searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The families that are really searched."""
    seen: list[str] = []

    def spied(rows: Any, tried: dict[str, Any], *rest: Any, **named: Any) -> Any:
        seen.extend(tried)
        return search(rows, tried, *rest, **named)

    monkeypatch.setattr(step, "search", spied)
    return seen


def killed(order: WorkOrder, lap: Lap, settings: Settings) -> None:
    """A training that ends after its search."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(step, "finish", interrupted)
        train(order, lap.contract, settings)


def interrupted(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_a_killed_training_uses_what_it_has_searched_and_gives_the_same(
    make_lap: MakeLap, families_searched: list[str]
) -> None:
    lap = make_lap(training={"candidates": TWO, "configurations": 2, "search_periods": 4})
    order, settings = prepared(lap), lap.settings.model_copy(update={"training_jobs": 1})
    expected = train(order, lap.contract, settings).message
    shutil.rmtree(settings.artefacts)
    assert families_searched == ["ridge", "nearest_neighbours"]
    killed(order, lap, settings)
    assert families_searched == ["ridge", "nearest_neighbours"] * 2
    resumed = train(order, lap.contract, settings).message
    assert families_searched == ["ridge", "nearest_neighbours"] * 2
    assert isinstance(expected, Handover)
    assert isinstance(resumed, Handover)
    assert resumed.output == expected.output


def test_families_may_be_searched_by_others_before(make_lap: MakeLap, families_searched: list[str]) -> None:
    lap = make_lap(training={"candidates": TWO, "configurations": 1, "search_periods": 1})
    order, settings = prepared(lap), lap.settings.model_copy(update={"training_jobs": 1})
    assert list(Training(order, lap.contract, settings).search(["nearest_neighbours"])) == [
        "nearest_neighbours"
    ]
    assert isinstance(train(order, lap.contract, settings).message, Handover)
    assert families_searched == ["nearest_neighbours", "ridge"]


def test_what_another_code_or_a_damaged_disk_has_left_is_searched_again(
    make_lap: MakeLap, families_searched: list[str]
) -> None:
    lap = make_lap(training={"configurations": 1, "search_periods": 1})
    order, settings = prepared(lap), lap.settings.model_copy(update={"training_jobs": 1})
    killed(order, lap, settings)
    killed(order, lap, settings.model_copy(update={"code_version": "another"}))
    assert families_searched == ["ridge"] * 2
    killed(order.model_copy(update={"attempt": 2}), lap, settings)
    assert families_searched == ["ridge"] * 3
    killed(order, lap, settings)
    assert families_searched == ["ridge"] * 4, "the other code's took its place"
    (account,) = (settings.artefacts / "search" / lap.use_case).glob("*-1/ridge/account.json")
    account.write_text(account.read_text().replace("0", "1", 1))
    train(order, lap.contract, settings)
    assert families_searched == ["ridge"] * 5


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
        again.model(again.candidates[0].name)


@pytest.mark.parametrize("version", ["", "c0001-1", "../../etc@" + "0" * 64, "c0001-1@short"])
def test_a_version_that_names_no_training_is_refused(lap: Lap, version: str) -> None:
    with pytest.raises(TrainingError, match="does not name a training; allowed: folder@sha256"):
        load_candidates(lap.settings.artefacts, lap.use_case, version)


def test_candidates_that_are_gone_are_an_error(lap: Lap) -> None:
    with pytest.raises(TrainingError, match="candidates cannot be read: No such file"):
        load_candidates(lap.settings.artefacts, lap.use_case, "c0001-1@" + "0" * 64)
