"""### Monitoring: the MLOps engineer's second DAG

Judges the live release by its business metrics on matured outcomes, and sends the work back to the right role when it
no longer serves. **Runs** on `live_release`, when a check is due, or by hand (with *Raise a loop*: sends the work back
whatever the verdict says). **Raises** loops to mlops, data science, data engineering (the default) and requirements.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.common.assets import timetable
from dags.common.defaults import DAG_DEFAULTS, manual_form
from dags.common.handover_tasks import receive_order, way_out, ways_out
from include.kreislauf.handovers import Role
from include.kreislauf.settings import get_settings

with DAG(
    Role.MONITORING,
    doc_md=__doc__,
    schedule=timetable(Role.MONITORING),
    params=manual_form(with_loop=True),
    **DAG_DEFAULTS,
) as dag:

    @task.branch
    def check(**context: Any) -> str | None:
        """Judge every business metric; raise at most one loop."""
        from include.kreislauf.feedback.monitor import check as step
        from include.kreislauf.store.database import get_store

        settings = get_settings()
        order = receive_order(Role.MONITORING, context)
        loop = step(order, store=get_store(), now=settings.now())
        return way_out(context, loop) if loop else None

    check() >> ways_out(Role.MONITORING, None, ["check"])
