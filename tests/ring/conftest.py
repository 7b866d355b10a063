"""What tests of real stacks need: the project's own bundle over a small simulated world."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role
from include.kreislauf.store import cycles, live
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
USE_CASE = "technology_radar"
UNFINISHED = ("queued", "running")


@dataclass
class RunningRing:
    """A running stack with what a test needs of it."""

    stack: EmbeddedStack
    api: AirflowApi
    store: Store
    home: Path

    @property
    def use_cases(self) -> Path:
        """Folder of the use cases of this installation; tests may add to it."""
        return self.home / "use_cases"

    @property
    def panel(self) -> Path:
        """The file that the only source reads."""
        return self.home / "data" / "panel" / "tech_quarter_panel.csv"

    def trigger(
        self, role: Role, reason: str, *, expect: str | None = "success", **form: Any
    ) -> dict[str, Any]:
        """A manual run without a partition key, as from the UI; waits for its end."""
        conf = {"use_case": USE_CASE, "reason": reason, "by": "a test", "as_of": AS_OF.isoformat(), **form}
        run = self.api.trigger(role, conf=conf)
        return self.api.wait_for_run(role, run["dag_run_id"], expect=expect, timeout=180)

    def rest(self, use_case: str = USE_CASE, timeout: float = 240) -> None:
        """Wait until no cycle of a use case is at work and no run of any DAG is unfinished, questions left aside."""
        deadline = time.monotonic() + timeout
        while self.cycles(use_case, State.ACTIVE, State.PROPOSED) or self.unfinished():
            assert time.monotonic() < deadline, (self.cycles(use_case), self.unfinished(), self.failures())
            time.sleep(0.3)

    def unfinished(self) -> list[str]:
        """Runs still at work; those that wait for a person's answer do not count."""
        asked = {one["task_instance"]["dag_run_id"] for one in self.api.hitl_details()}
        runs = self.api.runs(states=UNFINISHED)
        return [f"{run['dag_id']}/{run['dag_run_id']}" for run in runs if run["dag_run_id"] not in asked]

    def failures(self) -> list[str]:
        """Runs that failed, for messages."""
        return [f"{run['dag_id']}/{run['dag_run_id']}" for run in self.api.runs(states=["failed"])]

    def cycles(self, use_case: str = USE_CASE, *states: State) -> list[Cycle]:
        """Cycles in some states, by default all, newest first."""
        with self.store.read() as db:
            return cycles.in_state(db, use_case, *(states or tuple(State)))

    def live_version(self, use_case: str = USE_CASE) -> int | None:
        """Number of the live release."""
        with self.store.read() as db:
            pointer = live.live(db, use_case)
        return pointer.version if pointer else None

    def service(self, path: str, **body: Any) -> httpx.Response:
        """Ask the prediction service: GET without a body, POST with one."""
        url = f"{self.stack.service_url}{path}"
        return httpx.post(url, json=body, trust_env=False) if body else httpx.get(url, trust_env=False)


def lighter(contract: str) -> str:
    """The contract with fewer candidates: these tests are about the ring."""
    for whole, less in (
        ("configurations: 6", "configurations: 1"), ("    - family: random_forest\n", ""),
        ("    - family: extra_trees\n", ""),
    ):  # fmt: skip
        assert whole in contract
        contract = contract.replace(whole, less)
    return contract


def keep_logs(home: Path) -> None:
    """Copy the logs where a failed CI run can show them."""
    if target := os.environ.get("KREISLAUF_TEST_ARTEFACTS"):
        shutil.copytree(home / "logs", Path(target) / "ring-logs", dirs_exist_ok=True)
