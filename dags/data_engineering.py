"""### Data engineering: the data engineer's DAG

Collects what the contract's sources knew at one time, checks it, and keeps it as a raw-data version with a data sheet.
**Runs** on `signed_contract`, on a loop from data science (collect wider) or monitoring (the business metric fell), or
by hand. **Gives** `raw_data`. **Sends back** to requirements when the sources cannot give what the contract needs.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.common.assets import timetable
from dags.common.defaults import DAG_DEFAULTS, manual_form
from dags.common.handover_tasks import perform_step, receive_order, way_out, ways_out
from include.kreislauf.handovers import Role, Stage

with DAG(
    Role.DATA_ENGINEERING,
    doc_md=__doc__,
    schedule=timetable(Role.DATA_ENGINEERING),
    params=manual_form(),
    **DAG_DEFAULTS,
) as dag:

    @task.branch
    def collect(**context: Any) -> list[str]:
        """Read the sources as of the order's time and keep a checked version."""
        from include.kreislauf.collection.step import collect as step

        order = receive_order(Role.DATA_ENGINEERING, context)
        return way_out(context, perform_step(Stage.COLLECTION, step, order))

    collect() >> ways_out(Role.DATA_ENGINEERING, Stage.COLLECTION, ["collect"])
