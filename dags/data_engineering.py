"""### Data engineering: the data engineer's DAG

Collects what the contract's sources knew at one time, checks it, and keeps it as a raw-data version with a data sheet.
**Runs** on `signed_contract`, on a loop from data science (collect wider) or monitoring (the business metric fell), or
by hand. **Gives** `raw_data`. **Sends back** to requirements when the sources cannot give what the contract needs.

`plan` lists the files, windows and threads that were not read yet, `read` reads them (mapped: one task for a handful of
them), `collect` reads what is left, checks everything and makes the version.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.common.assets import timetable
from dags.common.collection_tasks import LONGEST_WAIT, collect_step, portions, read_portion
from dags.common.defaults import LONGEST, READING, dag_settings, manual_form
from dags.common.handover_tasks import (
    perform_step,
    push_order,
    pushed_order,
    receive_order,
    way_out,
    ways_out,
)
from include.kreislauf.handovers import Role, Stage

with DAG(
    Role.DATA_ENGINEERING,
    doc_md=__doc__,
    schedule=timetable(Role.DATA_ENGINEERING),
    params=manual_form(Role.DATA_ENGINEERING),
    **dag_settings(Role.DATA_ENGINEERING),
) as dag:

    @task
    def plan(**context: Any) -> list[dict[str, Any]]:
        """Receive the order, and list what is still to be read for it."""
        return portions(receive_order(Role.DATA_ENGINEERING, context), context)

    @task(retry_exponential_backoff=True, max_retry_delay=LONGEST_WAIT, execution_timeout=LONGEST, **READING)
    def read(chunk: dict[str, Any], **context: Any) -> None:
        """Read a few files, windows or threads, each of them whole or not at all."""
        order = pushed_order(context, "plan")
        assert order is not None  # noqa: S101 - a plan without an order maps nothing
        read_portion(chunk, order, context)

    @task.branch(
        trigger_rule="none_failed",
        retry_exponential_backoff=True,
        max_retry_delay=LONGEST_WAIT,
        execution_timeout=LONGEST,
    )
    def collect(**context: Any) -> list[str]:
        """Read what is left, check it, and keep a version as of the order's time; or send the work back."""
        order = pushed_order(context, "plan")
        if order is None:
            raise AirflowSkipException("there was nothing to do")
        push_order(context, order)
        return way_out(context, perform_step(Stage.COLLECTION, collect_step(context), order))

    planned, collected = plan(), collect()
    planned >> read.expand(chunk=planned) >> collected
    collected >> ways_out(Role.DATA_ENGINEERING, Stage.COLLECTION, ["collect"])
