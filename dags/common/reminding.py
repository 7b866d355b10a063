"""The Airflow side of stranded handovers: a receiver's DAG is started again, with the message in its configuration.

An asset event would need an outlet, and an outlet would draw an edge of the asset graph that the workflow does not have.
A run has one more advantage: behind a paused DAG it waits, where an event is lost.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dags.common.handover_tasks import MESSAGE
from include.kreislauf.handovers import to_extra
from include.kreislauf.settings import get_settings

if TYPE_CHECKING:
    from include.kreislauf.feedback.stranded import Stranded

UNFINISHED = ("queued", "running", "restarting")


def start_again(context: Any) -> list[str]:
    """Start the receivers of what is stranded; returns what a person must look at."""
    from include.kreislauf.feedback.stranded import remind
    from include.kreislauf.store.database import get_store

    settings = get_settings()

    def emit(one: Stranded) -> str:
        return _start(context["ti"], one)

    patience = timedelta(minutes=settings.stranded_minutes)
    return [one.text for one in remind(get_store(), settings.now(), patience, emit)]


def _start(ti: Any, one: Stranded) -> str:
    """Start the receiver's DAG, unless the run of an earlier reminder still waits; returns what is known of it."""
    paused = f"{one.receiver} is paused; " if ti.get_dag(one.receiver.value).is_paused else ""
    before = _run_id(one, one.times)
    if one.times and (state := _state(ti, one.receiver.value, before)) in UNFINISHED:
        return f"{paused}run {before} is {state}"
    run_id = _run_id(one, one.times + 1)
    trigger(one.receiver.value, run_id, {MESSAGE: to_extra(one.message)})
    return f"{paused}started run {run_id}"


def _state(ti: Any, dag_id: str, run_id: str) -> str:
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        return str(ti.get_dagrun_state(dag_id, run_id))
    except AirflowRuntimeError:  # somebody has deleted it
        return "gone"


def _run_id(one: Stranded, number: int) -> str:
    """The same for the same reminder, so that a repeated task starts no second run."""
    return re.sub(r"[^A-Za-z0-9_.~:+-]", "_", f"reminder__{one.message.id.replace('→', '_to_')}__{number}")


def trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """What ``TriggerDagRunOperator`` does, for as many runs as there are; a run that exists already stays."""
    from airflow.sdk.execution_time.comms import TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=conf))
