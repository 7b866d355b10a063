"""### Canary: does the ring work?

Sends a tiny use case through the whole ring by the real components, asks the prediction service, and says which part
does not work. **Runs** by hand, or by `KREISLAUF_CANARY_SCHEDULE`; there only where `KREISLAUF_CANARY` is true.
**Gives** a line with the seconds of each stage, which stays with the canary's cycle; or the stage that was not reached,
and what to look at.

The waiting is done by the triggerer, so that it is proved as well. Of older canaries only the newest three stay whole.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from dags.common.canary_tasks import WaitForTheRing, ask_service, start_ring
from dags.common.defaults import DAG_DEFAULTS
from include.kreislauf.canary.result import ASK, START, TIDY, WAIT
from include.kreislauf.settings import get_settings


def canary_dag(schedule: str) -> DAG:
    """The DAG, once at a time: two canaries would stand in each other's way."""
    defaults = {"retries": 1, "retry_delay": timedelta(seconds=2)}
    shared = {**DAG_DEFAULTS, "max_active_runs": 1, "default_args": defaults}
    with DAG(
        "canary", doc_md=__doc__, schedule=schedule or None, dagrun_timeout=timedelta(minutes=20), **shared
    ) as dag:

        @task(task_id=START)
        def start(**context: Any) -> dict[str, str]:
            """Start the ring's first DAG."""
            return start_ring(context)

        @task(task_id=ASK)
        def ask(**context: Any) -> str:
            """Ask the prediction service; returns the result."""
            return ask_service(context)

        @task(task_id=TIDY)
        def forget() -> None:
            """Delete what older canaries have left."""
            from include.kreislauf.canary.tidying import tidy
            from include.kreislauf.store.database import get_store

            tidy(get_store(), get_settings())

        start() >> WaitForTheRing(task_id=WAIT) >> ask() >> forget()
    return dag


if get_settings().canary:
    dag = canary_dag(get_settings().canary_schedule)
