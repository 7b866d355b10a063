"""Pools, weights and time-outs: no use case starves another, and no task waits or works for ever."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from hypothesis import given
from hypothesis import strategies as st

from dags.common.pools import COLLECTION, TRAINING, sizes
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT, Settings

TASKS: list[Any] = [task for role in Role for task in importlib.import_module(f"dags.{role}").dag.tasks]
HEAVY = {"read": COLLECTION, "search": TRAINING, "train": TRAINING}
VISIBILITY_TIMEOUT = timedelta(hours=24)
"""The least that docs/how-to/operate.md asks of Celery's."""


def ident(task: Any) -> str:
    return f"{task.dag_id}.{task.task_id}"


@pytest.mark.parametrize("task", TASKS, ids=ident)
def test_every_pool_is_declared_and_only_heavy_work_has_one(task: Any) -> None:
    assert task.pool == HEAVY.get(task.task_id, "default_pool")
    assert task.pool_slots == 1


@pytest.mark.parametrize("task", TASKS, ids=ident)
def test_no_task_works_for_ever_and_none_longer_than_celery_hides_it(task: Any) -> None:
    if isinstance(task, HITLOperator):  # a person takes longer; nobody works meanwhile
        assert task.execution_timeout is None
        assert task.response_timeout == timedelta(days=14)
    else:
        assert timedelta(0) < task.execution_timeout < VISIBILITY_TIMEOUT


def test_what_steers_goes_before_mass_work_and_a_cycle_is_finished_before_another_is_begun() -> None:
    assert all(task.weight_rule == "absolute" for task in TASKS)
    weight = {ident(task): task.priority_weight for task in TASKS}
    steering = [weight[ident(task)] for task in TASKS if task.task_id not in HEAVY]
    mass = [weight[ident(task)] for task in TASKS if task.task_id in HEAVY]
    assert max(mass) < min(steering)
    assert weight["data_engineering.read"] < weight["data_science.train"]
    assert (
        weight["requirements.review_contract"] < weight["data_engineering.plan"] < weight["data_science.prepare"]
        < weight["mlops.deploy"] < weight["monitoring.check"]
    )  # fmt: skip


@given(st.integers(4, 4096))
def test_law_some_slots_are_left_for_light_work(slots: int) -> None:
    found = sizes(slots, Settings())
    assert min(found.values()) >= 1
    assert sum(found.values()) < slots


@given(st.integers(1, 4096), st.integers(1, 99), st.integers(1, 99))
def test_law_what_the_environment_says_counts(slots: int, collection: int, training: int) -> None:
    settings = Settings(pool_collection=collection, pool_training=training)
    assert sizes(slots, settings) == {COLLECTION: collection, TRAINING: training}
    assert min(sizes(slots, Settings(pool_training=training)).values()) >= 1


def environment(home: Path) -> dict[str, str]:
    """The variables of an Airflow of its own."""
    settings = {
        "HOME": home, "_CORE__LOAD_EXAMPLES": False, "_CORE__PLUGINS_FOLDER": ROOT / "plugins",
        "_CORE__EXECUTOR": "LocalExecutor", "_CORE__PARALLELISM": 4, "_LOGGING__LOGGING_LEVEL": "ERROR",
        "_DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }  # fmt: skip
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KREISLAUF"))}
    env |= {f"AIRFLOW_{name}": str(value) for name, value in settings.items()}
    return env | {"PYTHONPATH": str(ROOT), "KREISLAUF_HOME": str(home)}


def run(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    found = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's, as it has just been made; to be copied."""
    home = tmp_path_factory.mktemp("airflow")
    run(environment(home), "airflow", "db", "migrate")
    return home / "airflow.db"


@pytest.fixture
def airflow(new_database: Path, tmp_path: Path) -> Any:
    """Runs Python against an Airflow of its own."""
    shutil.copy(new_database, tmp_path)
    return lambda *arguments, **more: run({**environment(tmp_path), **more}, *arguments)


def test_a_small_use_case_does_not_wait_for_a_large_one(airflow: Any) -> None:
    found = json.loads(airflow("tests.dags.scheduling").splitlines()[-1])
    # made by the listener, when the scheduler's job began
    assert found["pools"] == {"default_pool": 128, COLLECTION: 2, TRAINING: 1}
    assert found["most"] == 2  # all slots of the pool were used
    assert found["light_waited"] == 0
    # five parts, from round 4 on, two slots of which one ends its task per round
    assert found["small"] <= 4 + 2 * 5
    assert found["large"] == 40 + 5


def test_the_command_sets_sizes_and_a_start_leaves_them_alone(airflow: Any) -> None:
    assert airflow("dags.common.pools").splitlines()[-2:] == [
        f"{COLLECTION}: 2 slots",
        f"{TRAINING}: 1 slots",
    ]
    assert (
        airflow("dags.common.pools", KREISLAUF_POOL_COLLECTION="7").splitlines()[-2]
        == f"{COLLECTION}: 7 slots"
    )
    found = json.loads(airflow("tests.dags.scheduling").splitlines()[-1])
    # seven slots, but Airflow runs four tasks at a time
    assert (found["pools"][COLLECTION], found["most"]) == (7, 4)
