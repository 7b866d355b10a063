"""Lost events on real Airflow processes: a paused consumer, found by monitoring, and the cycle goes on."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from include.kreislauf.handovers import Role, Stage
from include.kreislauf.settings import ROOT
from include.kreislauf.store import receipts
from include.kreislauf.store.cycles import Cycle, State
from tests.ring.conftest import USE_CASE, RunningRing
from tests.ring.shared.test_ring import answer_all

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]


def test_a_cycle_whose_events_were_lost_is_completed(ring: RunningRing) -> None:
    """Once while the consumer is still paused, and once after it was unpaused."""
    ring.api.pause(Role.DATA_SCIENCE, True)
    ring.trigger(Role.DATA_ENGINEERING, "its event will be lost")
    cycle = ring.cycles()[0]
    time.sleep(4)  # longer than a handover may wait here
    assert ring.api.runs("data_science", partition_key=cycle.key) == []
    remind(ring)
    (queued,) = reminders(ring, Role.DATA_SCIENCE, cycle)
    assert queued["state"] == "queued"
    assert "data_science is paused; started run" in note(ring, cycle, Stage.COLLECTION)

    ring.api.pause(Role.MLOPS, True)
    ring.api.pause(Role.DATA_SCIENCE, False)
    ring.api.wait_for_run("data_science", queued["dag_run_id"], expect="success", timeout=180)
    if ring.cycles()[0].state is State.ACTIVE:  # else the gate found the champion again, and asks
        ring.api.pause(Role.MLOPS, False)
        time.sleep(4)
        assert ring.api.runs("mlops", partition_key=cycle.key) == []
        remind(ring)
        assert "started run reminder__" in note(ring, cycle, Stage.EVALUATION)
    ring.api.pause(Role.MLOPS, False)
    ring.rest()
    assert ring.cycles()[0].cycle_id == cycle.cycle_id
    assert ring.cycles()[0].state in (State.LIVE, State.WAITING), ring.failures()
    answer_all(ring, "Reject")


def test_loops_are_raised_from_a_shell_with_the_governors_answer(ring: RunningRing) -> None:
    cycle = ring.cycles()[-1].cycle_id
    code, said = raise_loop(ring, "mlops->data_science", "--cycle", cycle)
    assert (code, said[-1]) == (1, f"refused: cycle {cycle} is live: release 1")
    code, said = raise_loop(ring, "mlops->data_science", "--cycle", "lost")
    assert code == 1
    assert "refused: " in said[-1]
    assert "there is no cycle lost" in said[-1]
    code, said = raise_loop(ring, "monitoring->data_science")
    assert (code, said[-1]) == (0, "accepted: no cool-down to wait for")
    ring.rest()
    answer_all(ring, "Reject")


def raise_loop(ring: RunningRing, *arguments: str) -> tuple[int, list[str]]:
    """The command as a person types it; its exit code and what it said."""
    way, *options = arguments
    command = [sys.executable, "-m", "include.kreislauf", "loops", "raise", USE_CASE, way, "--reason", "a test",
               "--by", "Ada", "--airflow", ring.stack.airflow_url, *options]  # fmt: skip
    env = {
        **ring.stack.env,
        "KREISLAUF_AIRFLOW_USER": ring.stack.username,
        "KREISLAUF_AIRFLOW_PASSWORD": ring.stack.password,
    }
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def remind(ring: RunningRing) -> None:
    """A monitoring run by hand; it looks for what is stranded."""
    run = ring.trigger(Role.MONITORING, "is anything stranded?")
    tasks = {one["task_id"]: one["state"] for one in ring.api.task_instances("monitoring", run["dag_run_id"])}
    assert tasks["remind"] == "success", tasks


def reminders(ring: RunningRing, role: Role, cycle: Cycle) -> list[dict[str, object]]:
    """Runs that reminders have started."""
    return [
        run
        for run in ring.api.runs(role)
        if run["dag_run_id"].startswith(f"reminder__{USE_CASE}_{cycle.cycle_id}")
    ]


def note(ring: RunningRing, cycle: Cycle, stage: Stage) -> str:
    """What was written down about the reminder of a handover."""
    id_ = f"{cycle.key}|{stage}|1"
    with ring.store.read() as db:
        return receipts.reminders_of(db, [id_])[id_].note
