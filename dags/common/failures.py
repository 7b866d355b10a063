"""What happens to a cycle when a task fails for good."""

from __future__ import annotations

from typing import Any

from include.kreislauf.settings import get_settings


def mark_cycle_failed(context: Any) -> None:
    """Airflow's failure callback: the cycle is marked as failed, so that it does not block its use case."""
    from include.kreislauf.feedback.work import mark_failed
    from include.kreislauf.store.database import get_store

    key = _key(context)
    if key is None:
        return
    ti = context["ti"]
    note = f"{ti.dag_id}.{ti.task_id} failed: {context.get('exception')}"
    mark_failed(get_store(), *key, note, get_settings().now())


def _key(context: Any) -> tuple[str, str] | None:
    """Use case and cycle of the run: from the order it received, else from its partition key."""
    from include.kreislauf.errors import HandoverError
    from include.kreislauf.handovers import split_key

    orders = (context["ti"].xcom_pull(task_ids=task_id, key="order") for task_id in context["dag"].task_ids)
    if order := next((one for one in orders if one), None):
        return order["use_case"], order["cycle_id"]
    try:
        return split_key(context["dag_run"].partition_key or "")
    except HandoverError:  # a tick of the clock, or a key that names no cycle
        return None
