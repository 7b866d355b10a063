"""What happens to a cycle when a task fails for good."""

from __future__ import annotations

from typing import Any

from include.kreislauf.settings import get_settings


def mark_cycle_failed(context: Any) -> None:
    """Airflow's failure callback: the cycle is marked as failed, so that it does not block its use case."""
    from include.kreislauf.feedback.work import mark_failed
    from include.kreislauf.handovers import WorkOrder
    from include.kreislauf.store.database import get_store

    ti = context["ti"]
    order = ti.xcom_pull(task_ids=ti.task_id, key="order") or _first_order(context)
    if order is None:
        return
    parsed = WorkOrder.model_validate(order)
    note = f"{ti.dag_id}.{ti.task_id} failed: {context.get('exception')}"
    mark_failed(get_store(), parsed.use_case, parsed.cycle_id, note, get_settings().now())


def _first_order(context: Any) -> dict[str, Any] | None:
    """The order that the DAG's first task received."""
    roots = [task.task_id for task in context["dag"].roots]
    found = [context["ti"].xcom_pull(task_ids=task_id, key="order") for task_id in roots]
    return next((order for order in found if order), None)
