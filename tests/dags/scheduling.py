"""Airflow's own scheduler over the real DAG of data engineering, with an executor that this script plays.

Run in a process of its own, against a database of its own: prints after how many rounds each of two collections was
read, a large one and a small one that starts later. In each round a few slots end their task.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskmap import TaskMap
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from include.kreislauf.settings import ROOT

DAG, READ = "data_engineering", "read"
SLOTS = 4
LARGE, SMALL = 40, 5
STARTS_LATER = 4
MOST_ROUNDS = 200


def main() -> None:
    """Play it through."""
    runner = SchedulerJobRunner(Job())
    with create_session() as session:
        session.add(DagBundleModel(name="kreislauf"))
        session.commit()
        bag = DagBag(str(ROOT / "dags" / f"{DAG}.py"), bundle_path=ROOT, bundle_name="kreislauf")
        sync_bag_to_db(bag, "kreislauf", None, session=session)
        session.commit()
        pools = {pool.pool: pool.slots for pool in Pool.get_pools(session=session)}
        ends = play(runner, session)
    json.dump({"pools": pools, **ends}, sys.stdout)


def play(runner: Any, session: Any) -> dict[str, Any]:
    """Rounds until everything was read; the most tasks that read at a time."""
    ends: dict[str, int] = {}
    most, light_waited = 0, 0
    begin(session, "large", LARGE)
    for number in range(MOST_ROUNDS):
        if number == STARTS_LATER:
            begin(session, "small", SMALL)
        for run in session.scalars(select(DagRun).where(DagRun.state == DagRunState.RUNNING)):
            run.dag = SerializedDagModel.get_dag(DAG, session=session)
            ready, _ = run.update_state(session=session, execute_callbacks=False)
            run.schedule_tis(ready, session=session)
            if run.run_id not in ends and _of(session, "collect", TaskInstanceState.SCHEDULED, run.run_id):
                ends[run.run_id] = number
        session.flush()
        at_work = len(_of(session, READ, TaskInstanceState.QUEUED)) + len(
            _of(session, "collect", TaskInstanceState.QUEUED)
        )
        runner._executable_task_instances_to_queued(SLOTS - at_work, session)
        light_waited += len(_of(session, "collect", TaskInstanceState.SCHEDULED))
        most = max(most, len(_of(session, READ, TaskInstanceState.QUEUED)))
        finish(session)
        if {"large", "small"} <= ends.keys():
            return {**ends, "most": most, "light_waited": light_waited}
    raise RuntimeError(f"not read after {MOST_ROUNDS} rounds: {ends}")


def begin(session: Any, run_id: str, length: int) -> None:
    """A run as an asset event starts it, whose first task has found so much to read."""
    dag = SerializedDagModel.get_dag(DAG, session=session)
    now = datetime.now(UTC)
    run = dag.create_dagrun(
        run_id=run_id, run_after=now, start_date=now, run_type=DagRunType.ASSET_TRIGGERED, partition_key=f"{run_id}|c1",
        triggered_by=DagRunTriggeredByType.ASSET, state=DagRunState.RUNNING, session=session,
    )  # fmt: skip
    run.get_task_instance("plan", session=session).state = TaskInstanceState.SUCCESS
    session.add(TaskMap(DAG, "plan", run_id, -1, length, None))
    session.flush()


def finish(session: Any) -> None:
    """One task of each kind that the executor has ends; all others go on."""
    for task_id in (READ, "collect"):
        for one in _of(session, task_id, TaskInstanceState.QUEUED)[:1]:
            one.state = TaskInstanceState.SUCCESS
    session.flush()


def _of(session: Any, task_id: str, state: Any, run_id: str | None = None) -> list[TaskInstance]:
    query = select(TaskInstance).where(TaskInstance.task_id == task_id, TaskInstance.state == state)
    if run_id:
        query = query.where(TaskInstance.run_id == run_id)
    return list(session.scalars(query.order_by(TaskInstance.map_index)))


if __name__ == "__main__":
    main()
