"""Tracking with real MLflow: what was logged is read back by a client of its own."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.training.tracking import TrackedRun, Tracking, annotate, forget, track
from tests.support.ports import free_port

TAGS = {"contract": "abc", "features": "features@7", "cycle": "c0001-2016-01-01", "attempt": "0"}
TRAINING = "c0001-2016-01-01-0"
RIDGE = TrackedRun(
    "ridge:alpha30", params={"alpha": 30.0, "scaled": True}, metrics={"mae": 0.2, "r2": math.nan},
    by_fold=[("2019-01-01", {"mae": 0.3}), ("2020-01-01", {"mae": 0.1})], artefacts={"plots/errors.svg": b"<svg/>"},
    tags={"family": "ridge"},
)  # fmt: skip
BROKEN = TrackedRun("random_forest:leaf15", failed="took more than 60 s")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema; making it takes seconds."""
    home = tmp_path_factory.mktemp("template")
    assert track(Settings(home=home), "template", TRAINING, [], {}).note == ""
    return home / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Settings(home=tmp_path, tracking_url="")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """URL of a real tracking server."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    shutil.copy(empty_database, folder / "backend.db")
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'backend.db'}", "--artifacts-destination", str(folder / "artefacts"),
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        await_answer(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server does not answer: {log.read_text()}")


def client(settings: Settings) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(settings.tracking)


def runs_of(settings: Settings, use_case: str = "radar") -> list[Any]:
    reader = client(settings)
    return list(reader.search_runs([reader.get_experiment_by_name(use_case).experiment_id]))


def tracked(
    settings: Settings, runs: Sequence[TrackedRun] = (RIDGE, BROKEN), training: str = TRAINING
) -> Tracking:
    return track(settings, "radar", training, runs, TAGS)


def artefact(settings: Settings, run_id: str, name: str) -> bytes:
    return Path(client(settings).download_artifacts(run_id, name)).read_bytes()


def test_a_candidate_is_a_run_with_params_metrics_tags_and_artefacts(settings: Settings):
    made = tracked(settings)
    run = client(settings).get_run(made.run_ids["ridge:alpha30"])
    assert run.info.run_name == "ridge:alpha30"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"alpha": "30.0", "scaled": "True"}
    assert run.data.metrics["mae"] == 0.2
    assert math.isnan(run.data.metrics["r2"])
    assert run.data.tags.items() >= {f"kreislauf.{name}": value for name, value in TAGS.items()}.items()
    assert run.data.tags["kreislauf.family"] == "ridge"
    assert artefact(settings, run.info.run_id, "plots/errors.svg") == b"<svg/>"
    assert (settings.home / "mlflow-artefacts" / "radar" / run.info.run_id).is_dir()
    assert made.note == ""


def test_each_fold_is_a_step_with_its_label(settings: Settings):
    run_id = tracked(settings).run_ids["ridge:alpha30"]
    history = client(settings).get_metric_history(run_id, "fold/mae")
    assert sorted((one.step, one.value) for one in history) == [(0, 0.3), (1, 0.1)]
    labels = client(settings).get_run(run_id).data.tags["kreislauf.folds"]
    assert json.loads(labels) == ["2019-01-01", "2020-01-01"]


def test_candidates_are_nested_below_the_training(settings: Settings):
    made = tracked(settings)
    parent = client(settings).get_run(made.parent)
    assert parent.info.run_name == TRAINING
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["kreislauf.cycle"] == "c0001-2016-01-01"
    assert "mlflow.parentRunId" not in parent.data.tags
    for run_id in made.run_ids.values():
        assert client(settings).get_run(run_id).data.tags["mlflow.parentRunId"] == made.parent
    assert set(made.run_ids) == {RIDGE.name, BROKEN.name}


def test_what_failed_ends_as_failed_with_its_reason(settings: Settings):
    run = client(settings).get_run(tracked(settings).run_ids[BROKEN.name])
    assert run.info.status == "FAILED"
    assert run.data.tags["kreislauf.failed"] == "took more than 60 s"


def test_long_values_are_cut_and_kept_whole_beside(settings: Settings):
    columns = [f"column_{number}" for number in range(2000)]
    long = TrackedRun("long", params={"columns": columns}, failed="x" * 20_000, tags={"why": "y" * 20_000})
    run_id = tracked(settings, [long]).run_ids["long"]
    data = client(settings).get_run(run_id).data
    assert data.params["columns"] == str(columns)[:5999] + "…"
    assert json.loads(artefact(settings, run_id, "params.json")) == {"columns": columns}
    assert (len(data.tags["kreislauf.failed"]), len(data.tags["kreislauf.why"])) == (8000, 8000)


def test_more_than_a_batch_and_names_that_mlflow_does_not_allow(settings: Settings):
    folds = [(f"fold {number}", {f"m{one}": float(number) for one in range(30)}) for number in range(50)]
    many = TrackedRun("many", params={f"p{n}": n for n in range(150)} | {"a[0]=b": 1}, by_fold=folds)
    run_id = tracked(settings, [many]).run_ids["many"]
    data = client(settings).get_run(run_id).data
    assert len(data.params) == 151
    assert data.params["a_0__b"] == "1"
    assert len(client(settings).get_metric_history(run_id, "fold/m29")) == 50


def test_a_repeated_task_adds_nothing(settings: Settings):
    assert tracked(settings) == tracked(settings)
    assert len(runs_of(settings)) == 3


def test_a_repeated_task_adds_what_is_missing(settings: Settings):
    first = tracked(settings, [RIDGE])
    second = tracked(settings)
    assert (second.parent, second.run_ids[RIDGE.name]) == (first.parent, first.run_ids[RIDGE.name])
    assert len(runs_of(settings)) == 3


def test_what_a_killed_process_left_half_done_is_made_anew(settings: Settings):
    made = tracked(settings, [RIDGE])
    half = client(settings).create_run(
        runs_of(settings)[0].info.experiment_id,
        tags={"kreislauf.training": TRAINING, "kreislauf.candidate": BROKEN.name},
    )
    again = tracked(settings)
    assert again.run_ids[BROKEN.name] != half.info.run_id
    assert {run.info.run_id for run in runs_of(settings)} == {made.parent, *again.run_ids.values()}


def test_another_attempt_is_another_training(settings: Settings):
    assert tracked(settings).parent != tracked(settings, training="c0001-2016-01-01-1").parent
    assert len(runs_of(settings)) == 6


def test_processes_that_create_the_database_at_once_agree(tmp_path: Path):
    settings = Settings(home=tmp_path / "new", tracking_url="")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.map(tracked, [settings] * 4, chunksize=1)
    assert made[0].note == ""
    assert made.count(made[0]) == 4
    assert len(runs_of(settings)) == 3


@pytest.mark.parametrize("where", ["database", "server"])
def test_evaluation_adds_to_a_run(settings: Settings, request: pytest.FixtureRequest, where: str):
    if where == "server":
        settings = settings.model_copy(update={"tracking_url": request.getfixturevalue("server")})
    run_id = tracked(settings, training="annotated").run_ids[RIDGE.name]
    for _ in range(2):
        annotate(
            settings, run_id, {"gate/gain": 0.05, "mae": 0.2}, {"verdict": "accepted"}, {"card.md": b"# Card"}
        )
    run = client(settings).get_run(run_id)
    assert run.data.metrics["gate/gain"] == 0.05
    assert run.data.tags["kreislauf.verdict"] == "accepted"
    assert run.info.status == "FINISHED"
    assert artefact(settings, run_id, "card.md") == b"# Card"
    assert artefact(settings, run_id, "plots/errors.svg") == b"<svg/>"
    for metric in ("gate/gain", "mae"):
        assert len(client(settings).get_metric_history(run_id, metric)) == 1


def test_a_server_takes_the_same_runs(settings: Settings, server: str):
    remote = settings.model_copy(update={"tracking_url": server})
    made = tracked(remote)
    assert made.note == ""
    assert tracked(remote) == made
    run = client(remote).get_run(made.run_ids[RIDGE.name])
    assert run.data.params == {"alpha": "30.0", "scaled": "True"}
    assert math.isnan(run.data.metrics["r2"])
    assert len(client(remote).get_metric_history(run.info.run_id, "fold/mae")) == 2
    assert run.data.tags["mlflow.parentRunId"] == made.parent
    assert artefact(remote, run.info.run_id, "plots/errors.svg") == b"<svg/>"
    assert client(remote).get_run(made.run_ids[BROKEN.name]).info.status == "FAILED"
    assert not (settings.home / "mlflow-artefacts").exists()


def test_a_server_that_is_down_costs_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    address = f"127.0.0.1:{free_port()}"
    settings = Settings(home=tmp_path, tracking_url=f"http://me:secret@{address}")
    made = tracked(settings)
    assert (made.run_ids, made.parent) == ({}, "")
    assert made.note.startswith(f"http://me:***@{address}: ")
    assert "KREISLAUF_TRACKING_URL" in made.note
    assert f"training {TRAINING} is not tracked" in caplog.text
    annotate(settings, "0" * 32, {"mae": 1.0}, {}, {})
    assert "is not annotated" in caplog.text
    assert "secret" not in made.note + "".join(
        one.getMessage() for one in caplog.records if "kreislauf" in one.name
    )


def test_a_server_that_does_not_answer_costs_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "did not answer" in tracked(Settings(home=tmp_path, tracking_url=url)).note


@pytest.mark.parametrize(
    "url", ["gopher://here", "postgresql+nodriver://here/mlflow", "sqlite:////proc/no/such.db"]
)
def test_a_url_that_cannot_be_used_costs_a_note(tmp_path: Path, url: str):
    assert tracked(Settings(home=tmp_path, tracking_url=url)).note.startswith(url)


def test_none_means_none(tmp_path: Path):
    settings = Settings(home=tmp_path, tracking_url="none")
    made = tracked(settings)
    annotate(settings, "0" * 32, {"mae": 1.0}, {}, {})
    assert (made.run_ids, made.parent) == ({}, "")
    assert made.note == "tracking is off (KREISLAUF_TRACKING_URL=none)"
    assert list(tmp_path.iterdir()) == []


def test_without_a_run_nothing_is_annotated(tmp_path: Path):
    annotate(Settings(home=tmp_path, tracking_url=""), "", {"mae": 1.0}, {}, {})
    assert list(tmp_path.iterdir()) == []


WATCHED = """
import logging, pathlib, sys
sys.addaudithook(lambda event, values: event in {events} and print(event, values))
logging.basicConfig(level=logging.INFO)
from include.kreislauf.settings import Settings
from include.kreislauf.training.tracking import TrackedRun, track
run = TrackedRun("ridge", artefacts={{"a.txt": b"a"}})
assert not track(Settings(home=pathlib.Path({home!r}), tracking_url=""), "radar", "t", [run], {{}}).note
import time
time.sleep(3)
"""


def test_nothing_leaves_the_machine_and_nothing_is_said(tmp_path: Path):
    # MLflow sends no usage data from tests and CI, so this must not look like one
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    events = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
    script = WATCHED.format(events=events, home=str(tmp_path / "home"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("place", ["local", "server"])
def test_a_training_is_forgotten_with_its_artefacts_and_the_others_stay(
    settings: Settings, place: str, request: pytest.FixtureRequest
):
    if place == "server":
        url = request.getfixturevalue("server")
        settings = settings.model_copy(update={"tracking_url": url})
    use_case = f"forgetful_{place}"
    made = {name: track(settings, use_case, name, (RIDGE, BROKEN), TAGS) for name in ("old", "new")}
    for _ in range(2):  # nothing is left for the second time
        forget(settings, use_case, ["old", "never tracked"])
    kept = {made["new"].parent, *made["new"].run_ids.values()}
    assert {run.info.run_id for run in runs_of(settings, use_case)} == kept
    reader = client(settings)
    assert reader.list_artifacts(made["old"].run_ids["ridge:alpha30"]) == []
    assert artefact(settings, made["new"].run_ids["ridge:alpha30"], "plots/errors.svg") == b"<svg/>"


def test_forgetting_needs_neither_tracking_nor_an_experiment(tmp_path: Path, settings: Settings):
    forget(Settings(home=tmp_path, tracking_url="none"), "radar", [TRAINING])
    forget(settings, "unknown", [TRAINING])
    assert not (tmp_path / "mlflow-artefacts").exists()


def test_a_server_that_is_away_keeps_what_should_be_forgotten(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = settings.model_copy(update={"tracking_url": f"http://127.0.0.1:{free_port()}"})
    forget(away, "radar", [TRAINING])
    assert "trainings of radar are not deleted: " in caplog.text
