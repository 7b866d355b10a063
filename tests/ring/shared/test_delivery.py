"""A release that waits for a worker and for a person, in real Airflow: promoted, asked for again, rejected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.handovers import Edge, Role
from include.kreislauf.store import messages, rollouts, workers
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.rollouts import RolloutState
from include.kreislauf.store.workers import Worker
from tests.ring.conftest import RunningRing
from tests.ring.shared.test_ring import add_use_case, wait_until

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]

NAME = "agreed_radar"
TASK = "ask_mlops_engineer"


def test_a_release_waits_for_a_worker_and_for_a_person_who_did_not_train_it(ring: RunningRing) -> None:
    path = add_use_case(ring, NAME, sign_off="automatic")
    text = path.read_text().replace("  approval: none", "  approval: required")
    path.write_text(text.replace("max_hops: 4", "max_hops: 0"))
    with slow_worker(ring.store) as loads:
        ring.trigger(Role.REQUIREMENTS, "new", use_case=NAME)
        wait_until(lambda: task_state(ring, "try_out") == "up_for_reschedule")
        assert rollout(ring, 1).state is RolloutState.CANDIDATE
        loads.set()
        question = asked(ring)
        assert question["options"] == ["Promote", "Reject"]
        assert "# Release 1" in question["body"]
        assert ring.cycles(NAME)[0].state is State.WAITING
        assert ring.live_version(NAME) is None
        answer(ring, question, "Promote", "read and agreed")
        ring.rest(NAME)
    assert ring.live_version(NAME) == 1
    assert rollout(ring, 1).evidence["approval"]["text"].endswith(": read and agreed")

    # who overrides the governor for a cycle may not approve what comes of it, but may reject it
    ring.trigger(Role.DATA_ENGINEERING, "again", use_case=NAME, override=True)
    question = asked(ring)
    assert "overrode the governor for this cycle, and may not approve it" in question["body"]
    answer(ring, question, "Promote", "my own")
    wait_until(lambda: "asked again" in ring.api.task_log("mlops", run_of(question), TASK))
    question = asked(ring)
    assert ring.live_version(NAME) == 1
    assert "may not approve it: somebody else must" in (ring.cycles(NAME)[0].note or "")
    answer(ring, question, "Reject", "not mine to approve")
    wait_until(lambda: rollout(ring, 2).state is RolloutState.REJECTED)
    ring.rest(NAME)
    with ring.store.read() as db:
        loop = messages.loops_of(db, NAME, edges=(Edge.MLOPS_TO_DATA_SCIENCE,))[-1].loop
    assert loop.text.endswith(": not mine to approve")
    assert ring.live_version(NAME) == 1


def rollout(ring: RunningRing, version: int) -> rollouts.Rollout:
    with ring.store.read() as db:
        found = rollouts.find(db, NAME, version)
    assert found is not None
    return found


def run_of(question: dict[str, Any]) -> str:
    return str(question["task_instance"]["dag_run_id"])


def task_state(ring: RunningRing, task_id: str) -> str | None:
    """State of a task in the newest run of mlops for the use case."""
    cycles = ring.cycles(NAME)
    runs = ring.api.runs("mlops", partition_key=cycles[0].key) if cycles else []
    tasks = ring.api.task_instances("mlops", runs[0]["dag_run_id"]) if runs else []
    return next((one["state"] for one in tasks if one["task_id"] == task_id), None)


def asked(ring: RunningRing) -> dict[str, Any]:
    """The open question of the mlops DAG."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [one for one in ring.api.hitl_details("mlops") if one["task_instance"]["task_id"] == TASK]
        return bool(found)

    wait_until(look)
    return found[0]


def answer(ring: RunningRing, question: dict[str, Any], option: str, note: str) -> None:
    one = question["task_instance"]
    ring.api.answer_hitl(one["dag_id"], one["dag_run_id"], one["task_id"], [option], {"note": note})


@contextmanager
def slow_worker(store: Store) -> Iterator[threading.Event]:
    """A worker of the service that is alive and loads the release only when it is told to."""
    loads, stop = threading.Event(), threading.Event()
    started = datetime.now(UTC)

    def say() -> None:
        while not stop.wait(1):
            serving = {NAME: {"candidate": 1, "champion": 1}} if loads.is_set() else {}
            now = datetime.now(UTC)
            with store.write() as db:
                workers.beat(db, Worker("slow", "elsewhere", 1, serving, {}, started, now))

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield loads
    finally:
        stop.set()
        thread.join()
        with store.write() as db:
            workers.forget(db, "slow", before=started)
