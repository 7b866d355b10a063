"""What the clock starts: a changed contract is found, and checks are due, without anybody's hand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dags.common.timetables import DUE_PREFIX
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Edge
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.panel import write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

pytestmark = [pytest.mark.ring, pytest.mark.timeout(400)]


def test_the_clock_finds_a_new_contract_and_starts_its_first_cycle(tmp_path: Path) -> None:
    recorded_variant(ROOT / "include" / "use_cases" / "technology_radar", tmp_path / "use_cases")
    write_panel(simulate(0), tmp_path / "data")
    every_minute = "* * * * *"
    env = {
        "KREISLAUF_HOME": str(tmp_path), "KREISLAUF_DATA": str(tmp_path / "data"),
        "KREISLAUF_USE_CASES": str(tmp_path / "use_cases"), "KREISLAUF_CLOCK": "wall",
        "KREISLAUF_MONITORING_SCHEDULE": every_minute, "KREISLAUF_REQUIREMENTS_SCHEDULE": every_minute,
    }  # fmt: skip
    store = Store(f"sqlite:///{tmp_path / 'kreislauf.db'}")
    store.upgrade()
    with (
        EmbeddedStack(
            tmp_path, ROOT, env=env, with_service=False, with_watcher=True, start_timeout=240
        ) as stack,
        stack.api() as api,
    ):
        # logged in, and looking at a store in which nothing is live
        assert (tmp_path / "logs" / "watcher.log").read_text().endswith("INFO watching\n")
        deadline = time.monotonic() + 180
        while not (found := waiting(store)):
            assert time.monotonic() < deadline, [(run["dag_id"], run["state"]) for run in api.runs()]
            time.sleep(0.5)
        ticks = [run for run in api.runs() if (run["partition_key"] or "").startswith(DUE_PREFIX)]
        while {run["dag_id"] for run in ticks if run["state"] == "success"} != {"requirements", "monitoring"}:
            assert time.monotonic() < deadline, ticks
            time.sleep(0.5)
            ticks = [run for run in api.runs() if (run["partition_key"] or "").startswith(DUE_PREFIX)]
        assert {run["run_type"] for run in ticks} == {"scheduled"}

    # the recorded world ended years ago: today's collection finds it stale, and sends the question back
    with store.read() as db:
        loop = messages.loops_of(db, "technology_radar")[-1].loop
    assert found[0].reason == "the contract has changed"
    assert loop.edge is Edge.DATA_ENGINEERING_TO_REQUIREMENTS
    assert "the newest row is of 2021-10-01" in loop.text


def waiting(store: Store) -> list[cycles.Cycle]:
    with store.read() as db:
        return cycles.in_state(db, "technology_radar", State.WAITING)
