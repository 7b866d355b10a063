"""The canary's DAG: there only where it is asked for, and by no clock unless it is given one."""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization

import dags.canary
from dags.common import canary_tasks
from dags.common.canary_tasks import RingTrigger
from include.kreislauf.canary.result import ASK, START, TIDY, WAIT
from include.kreislauf.settings import CANARY
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def trigger(store: Store, monkeypatch: pytest.MonkeyPatch) -> RingTrigger:
    monkeypatch.setenv("KREISLAUF_STORE_URL", store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setattr(canary_tasks, "POLL", 0.01)
    return RingTrigger(run_id="canary__1", began=BEGAN.isoformat(), patience=0.1)


def event_of(trigger: RingTrigger) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            payload: dict[str, Any] = event.payload
            return payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())


def test_is_there_only_where_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KREISLAUF_CANARY", raising=False)
    assert not hasattr(importlib.reload(dags.canary), "dag")
    monkeypatch.setenv("KREISLAUF_CANARY", "true")
    assert importlib.reload(dags.canary).dag.dag_id == "canary"
    monkeypatch.undo()
    del dags.canary.dag


@pytest.mark.parametrize(("schedule", "scheduled"), [("", False), ("0 6 * * *", True)])
def test_runs_by_the_clock_only_where_one_is_given(schedule: str, scheduled: bool) -> None:
    dag = dags.canary.canary_dag(schedule)
    seen = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert (seen.timetable.can_be_scheduled, seen.max_active_runs, seen.catchup) == (scheduled, 1, False)
    assert [one.task_id for one in dag.topological_sort()] == [START, WAIT, ASK, TIDY]
    assert [one.outlets for one in dag.tasks] == [[]] * 4


def test_the_trigger_comes_back_from_the_database_as_it_was(trigger: RingTrigger) -> None:
    path, facts = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name)(**facts).serialize() == (path, facts)


def test_what_never_begins_is_told_after_its_time(trigger: RingTrigger) -> None:
    event = event_of(trigger)
    assert (event["cycle"], event["release"], event["seconds"]) == ("", None, {})
    assert event["fault"].startswith("requirements: no run of requirements took it up within 0 s; next: ")


def test_what_has_failed_is_told_at_once(trigger: RingTrigger, store: Store) -> None:
    with store.write() as db:
        cycle = cycles.open_cycle(
            db,
            CANARY,
            origin="requirements/canary__1",
            started_by="manual",
            reason="a test",
            as_of=BEGAN,
            now=BEGAN,
        )
        cycles.set_state(db, cycle, State.FAILED, BEGAN, "no disk")
    trigger.patience = 600.0
    event = event_of(trigger)
    assert event["cycle"] == cycle.cycle_id
    assert "is failed: no disk" in event["fault"]


def test_a_store_that_is_away_is_what_is_told(
    trigger: RingTrigger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KREISLAUF_STORE_URL", f"sqlite:///{tmp_path}/none/kreislauf.db")
    fault = event_of(trigger)["fault"]
    assert fault.startswith("requirements: the triggerer cannot read the workflow store: ")
    assert fault.endswith("; next: start the database, or give the triggerer its KREISLAUF_STORE_URL")
