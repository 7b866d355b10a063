"""The Dask profile of docker-compose.yaml: its commands start a cluster, and a training on it is the same training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml
from distributed import Client

from include.kreislauf.handovers import Handover, Stage
from include.kreislauf.settings import ROOT
from include.kreislauf.training.files import load_candidates
from include.kreislauf.training.step import train
from tests.support.fixtures import MakeLap
from tests.support.ports import free_port
from tests.training.worlds import LIGHT

pytestmark = pytest.mark.usefixtures("jobs_as_shipped")

WORKERS = 2
STOP_SECONDS = 20


def command(service: str, port: int) -> list[str]:
    """What Compose runs for a service, on this computer alone and with a port of its own."""
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"]
    replaced = {"0.0.0.0": "127.0.0.1", "dask-scheduler": "127.0.0.1", "8786": str(port)}
    words: list[str] = services[service]["command"]
    for old, new in replaced.items():
        words = [word.replace(old, new) for word in words]
    return words


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a cluster that runs as the containers do: by the same commands, the bundle on the path."""
    folder, port = tmp_path_factory.mktemp("dask"), free_port()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"HOME": str(folder), "PATH": path, "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        for number, service in enumerate(["dask-scheduler", *["dask-worker"] * WORKERS]):
            log = stack.enter_context((folder / f"{service}-{number}.log").open("wb"))
            process = subprocess.Popen(
                command(service, port), cwd=folder, env=environment, stdout=log, stderr=log
            )
            stack.callback(stopped, process)
        with Client(f"tcp://127.0.0.1:{port}", timeout=60, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)
        yield f"tcp://127.0.0.1:{port}"


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def busy(address: str) -> int:
    """How many of the workers have had to do with trials."""
    with Client(address, set_as_default=False) as client:
        # by value: a function of this module would have to be imported, and this module imports trials
        return sum(client.run(lambda: "include.kreislauf.training.trials" in sys.modules).values())


def test_the_containers_have_one_thread_each(address: str) -> None:
    with Client(address, set_as_default=False) as client:
        assert sorted(client.ncores().values()) == [1] * WORKERS


def test_a_training_on_the_cluster_is_the_same_training(make_lap: MakeLap, address: str) -> None:
    candidates = [{"family": one, "space": LIGHT[one]} for one in ("ridge", "random_forest")]
    lap = make_lap(training={"candidates": candidates, "configurations": 1, "search_periods": 2})
    order = lap.work(lap.order(datetime(2016, 1, 1, tzinfo=UTC)), Stage.COLLECTION, Stage.PREPARATION)[1]
    assert busy(address) == 0
    predicted = []
    for scheduler in ("", address):
        settings = lap.settings.model_copy(update={"dask_scheduler": scheduler})
        message = train(order.model_copy(update={"fresh": True}), lap.contract, settings).message
        assert isinstance(message, Handover)
        predicted.append(load_candidates(settings.artefacts, lap.use_case, message.output).predictions())
    pd.testing.assert_frame_equal(*predicted, rtol=1e-9)
    assert busy(address) > 0
