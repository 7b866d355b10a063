"""The canary on real Airflow processes: it passes where all works, and names what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select

from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import CANARY, ROOT
from include.kreislauf.simulation.panel import write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store import api_keys, cycles, live, schema
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from tests.ring.conftest import AS_OF, USE_CASE, RunningRing, _keep_logs, lighter

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
        _keep_logs(home)


def run_canary(ring: RunningRing, expect: str = "success") -> dict[str, Any]:
    run = ring.api.trigger("canary")
    return ring.api.wait_for_run("canary", run["dag_run_id"], expect=expect, timeout=240)


def test_passes(ring: RunningRing) -> None:
    run = run_canary(ring)
    [cycle] = ring.cycles(CANARY)
    print(cycle.note)
    assert cycle.state is State.LIVE
    assert cycle.note and cycle.note.startswith("canary passed in ")
