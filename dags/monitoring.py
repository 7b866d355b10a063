"""### Monitoring: the MLOps engineer's second DAG

Judges the live release by its business metrics on matured outcomes, and sends the work back to the right role when it
no longer serves. **Runs** on `live_release`, when a check is due, or by hand (with *Raise a loop*: sends the work back
whatever the verdict says). **Raises** loops to mlops, data science, data engineering (the default) and requirements.

`remind` looks, when a check is due or by hand, for handovers and loops that nobody has received, and starts their
receivers again.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, task

from dags.common.assets import timetable
from dags.common.collection_tasks import connection_url
from dags.common.defaults import dag_settings, manual_form
from dags.common.handover_tasks import (
    receive_order,
    received_messages,
    started_by_clock,
    way_out,
    ways_out,
)
from dags.common.reminding import start_again
from include.kreislauf.handovers import Role
from include.kreislauf.settings import get_settings

REMIND = "remind"

with DAG(
    Role.MONITORING,
    doc_md=__doc__,
    schedule=timetable(Role.MONITORING, get_settings().monitoring_schedule),
    params=manual_form(Role.MONITORING),
    **dag_settings(Role.MONITORING),
) as dag:

    @task.branch
    def check(**context: Any) -> list[str]:
        """Judge every business metric, of one use case or of all that are due; at most one loop for each."""
        from include.kreislauf.feedback.monitor import check as check_one
        from include.kreislauf.feedback.monitor import check_all, due_orders
        from include.kreislauf.monitoring.queries import observer
        from include.kreislauf.store.database import get_store

        settings, store = get_settings(), get_store()
        # looks connections up only when a contract's metric comes from another system
        asked: dict[str, Any] = {
            "store": store,
            "settings": settings,
            "observe": observer(settings, connection_url),
        }
        if not started_by_clock(context):
            order = receive_order(Role.MONITORING, context)
            loop = check_one(order, now=settings.now(), **asked)
            chosen = way_out(context, *([loop] if loop else []))
            return chosen if received_messages(context) else [*chosen, REMIND]
        orders = due_orders(store, settings.use_cases, context["dag_run"].run_id, settings.now())
        loops, faults = check_all(orders, now=settings.now(), **asked)
        for fault in faults:
            logging.getLogger(__name__).error("not judged: %s", fault)
        return [*way_out(context, *loops), REMIND]

    # also when the check had nothing to do, or failed: what is stranded may be why
    @task(task_id=REMIND, trigger_rule="all_done")
    def remind(**context: Any) -> list[str]:
        """Start the receivers of messages that were lost; returns what a person must look at."""
        return start_again(context)

    checked = check()
    checked >> ways_out(Role.MONITORING, None, ["check"])
    checked >> remind()
