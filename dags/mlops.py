"""### MLOps: the MLOps engineer's DAG

Makes a release of the best candidate, verifies it, makes it live by compare-and-swap and sees the service answer with
it. **Runs** on `candidate_model`, on a loop from monitoring (roll back), or by hand. **Gives** `live_release` with a
release note. **Sends back** to data science when a release fails its checks or was rolled back.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.common.assets import timetable
from dags.common.defaults import DAG_DEFAULTS, manual_form
from dags.common.handover_tasks import perform_step, receive_order, way_out, ways_out
from include.kreislauf.handovers import Role, Stage

with DAG(
    Role.MLOPS,
    doc_md=__doc__,
    schedule=timetable(Role.MLOPS),
    params=manual_form(),
    **DAG_DEFAULTS,
) as dag:

    @task.branch
    def deploy(**context: Any) -> list[str]:
        """Release, verify and promote the candidate; or roll back, when that is what the loop asks for."""
        from include.kreislauf.deployment.step import deploy as step

        order = receive_order(Role.MLOPS, context)
        return way_out(context, perform_step(Stage.DEPLOYMENT, step, order))

    deploy() >> ways_out(Role.MLOPS, Stage.DEPLOYMENT, ["deploy"])
