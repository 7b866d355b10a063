"""The canary on real Airflow processes: it passes where all works, and names what does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import ColumnElement, Table, func, select

from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import CANARY, ROOT
from include.kreislauf.simulation.panel import write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store import api_keys, schema
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from tests.ring.conftest import AS_OF, USE_CASE, RunningRing, keep_logs, lighter

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRing]:
    """A stack with a triggerer and the canary, and with a use case of people's beside it."""
    home = tmp_path_factory.mktemp("canary")
    path = recorded_variant(ROOT / "include" / "use_cases" / USE_CASE, home / "use_cases")
    path.write_text(lighter(path.read_text()))
    write_panel(simulate(0), home / "data")
    env = {
        "KREISLAUF_HOME": str(home), "KREISLAUF_DATA": str(home / "data"), "OMP_NUM_THREADS": "1",
        "KREISLAUF_USE_CASES": str(home / "use_cases"), "KREISLAUF_DELIVERY_INTERVAL": "1",
        "KREISLAUF_MONITORING_SCHEDULE": "", "KREISLAUF_REQUIREMENTS_SCHEDULE": "", "KREISLAUF_CANARY": "true",
    }  # fmt: skip
    store = Store(f"sqlite:///{home / 'kreislauf.db'}")
    store.upgrade()
    stack = EmbeddedStack(home, ROOT, env=env, with_triggerer=True, start_timeout=240)
    with stack, stack.api() as api:
        stack.wait_for_dags([*map(str, Role), "canary"])
        yield RunningRing(stack, api, store, home)
        keep_logs(home)


def canary(ring: RunningRing) -> tuple[int, str]:
    """The command as it is typed; its exit code, and all that it said."""
    command = [sys.executable, "-m", "include.kreislauf", "canary", "--airflow", ring.stack.airflow_url,
               "--passwords", str(ring.stack.airflow_home / "passwords.json"), "--wait", "500"]  # fmt: skip
    done = subprocess.run(
        command, env=ring.stack.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=550
    )
    return done.returncode, done.stderr + done.stdout


def count(ring: RunningRing, table: Table, *where: ColumnElement[bool]) -> int:
    with ring.store.read() as db:
        return (
            db.scalar(select(func.count()).select_from(table).where(table.c.use_case == CANARY, *where)) or 0
        )


def kill(ring: RunningRing, component: str) -> None:
    os.kill(json.loads((ring.home / "stack.json").read_text())["pids"][component], signal.SIGKILL)


def test_comes_through_the_ring_and_the_service(ring: RunningRing) -> None:
    code, said = canary(ring)
    assert code == 0, said
    steps = [line.partition(" s  ")[2] for line in said.splitlines()[:-1]]
    assert steps == [f"{name}: success" for name in ("start", *Role, "ask_the_service")]
    line = said.splitlines()[-1]
    assert line.startswith("canary passed in ")
    assert [stage for stage in (*Stage, "service", "outcome") if f" {stage} " not in line] == []
    assert "release 1; MLflow run " in line
    [cycle] = ring.cycles(CANARY)
    assert (cycle.state, cycle.note) == (State.LIVE, line)
    assert (ring.live_version(CANARY), count(ring, schema.verdicts), count(ring, schema.outcomes)) == (
        1,
        1,
        1,
    )
    with ring.store.read() as db:
        assert api_keys.list_keys(db) == []  # a first one would have closed the service for everybody


def test_another_one_beside_work_for_people(ring: RunningRing) -> None:
    with ring.store.write() as db:  # from now on the service asks everybody for a key
        api_keys.create_key(db, "prometheus", [Scope.METRICS], "a test", datetime.now(UTC))
    conf = {"use_case": USE_CASE, "reason": "beside a canary", "as_of": AS_OF.isoformat()}
    ring.api.trigger(Role.REQUIREMENTS, conf=conf)
    code, said = canary(ring)
    assert code == 0, said
    ring.rest()
    assert [(one.started_by, one.state) for one in ring.cycles()] == [("manual/requirements", State.LIVE)]
    assert (ring.live_version(), ring.live_version(CANARY)) == (1, 2)
    with ring.store.read() as db:
        states = {one.name: one.state(datetime.now(UTC)) for one in api_keys.list_keys(db)}
    assert states == {"prometheus": "good", "canary": "revoked"}


def test_names_the_service_when_that_is_gone(ring: RunningRing) -> None:
    kill(ring, "service")
    code, said = canary(ring)
    assert code == 1, said
    fault = said.splitlines()[-1]
    assert fault.startswith(
        f"service: {ring.stack.service_url}/v1/{CANARY}/predictions gave for 30 s: no answer (ConnectError"
    )
    assert fault.endswith("next: is the prediction service running, and KREISLAUF_SERVICE_URL its address?")
    cycle = ring.cycles(CANARY)[0]
    assert (cycle.state, cycle.note) == (State.LIVE, f"canary failed: {fault}")
    assert ring.live_version() == 1


def test_names_the_secret_when_every_task_is_refused(ring: RunningRing) -> None:
    """Every component is healthy then: only a task that runs shows it."""
    kill(ring, "scheduler")
    env = {**ring.stack.env, "AIRFLOW__API_AUTH__JWT_SECRET": "another" * 7}
    command = [sys.executable, "-m", "airflow", "scheduler", "--skip-serve-logs"]
    with subprocess.Popen(command, env=env, cwd=ROOT) as scheduler:
        code, said = canary(ring)
        scheduler.terminate()
    assert code == 1, said
    assert said.splitlines()[-2].endswith("start: failed")
    assert (
        "failed before it began: the worker could not start it, most often because the API server refuses"
        in said
    )
    assert "AIRFLOW__API_AUTH__JWT_SECRET" in said
