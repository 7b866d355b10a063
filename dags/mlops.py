"""### MLOps: the MLOps engineer's DAG

Makes a release of the best candidate, verifies it, has the service load it, and makes it live by compare-and-swap. What
the contract asks for comes before: a **shadow** that computes unseen what the champion answers, a **canary** that answers
a share of the requests, the **approval** of a person who did not train the model. **Runs** on `candidate_model`, on a
loop from monitoring (roll back), or by hand (with *Roll back*: takes the live release back at once, whatever else is at
work). **Gives** `live_release` with a release note. **Sends back** to data science when a release fails its checks, is
rejected, or was rolled back. **Asks** under *Required actions*: promote or reject.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from dags.common.assets import timetable
from dags.common.defaults import dag_settings, manual_form
from dags.common.delivery_tasks import (
    AGREE,
    ASK,
    DEPLOY,
    PROMOTE,
    REJECT,
    TRY_OUT,
    AskMlopsEngineer,
    TryOut,
    deploy_or_wait,
    promote_answered,
)
from dags.common.handover_tasks import CHOSEN, receive_order, ways_out
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.settings import get_settings

with DAG(
    Role.MLOPS,
    doc_md=__doc__,
    schedule=timetable(Role.MLOPS),
    params=manual_form(Role.MLOPS),
    **dag_settings(Role.MLOPS),
) as dag:

    @task.branch
    def deploy(**context: Any) -> list[str]:
        """Release, verify and promote the candidate, as far as it goes without waiting; or roll back."""
        return deploy_or_wait(context, receive_order(Role.MLOPS, context))

    try_out = TryOut(
        task_id=TRY_OUT,
        mode="reschedule",
        poke_interval=get_settings().delivery_interval,
        timeout=timedelta(days=90),
    )

    ask = AskMlopsEngineer(
        task_id=ASK,
        trigger_rule=CHOSEN,
        subject=f"{{{{ ti.xcom_pull('{DEPLOY}', key='order')['use_case'] }}}}: may this release go live?",
        body=f"{{{{ ti.xcom_pull('{TRY_OUT}', key='question') or ti.xcom_pull('{DEPLOY}', key='question') }}}}",
        options=[AGREE, REJECT],
        params={"note": Param("", type="string", title="Note", description="Stays with the decision.")},
        response_timeout=timedelta(days=14),
        execution_timeout=None,
    )

    @task.branch(trigger_rule=CHOSEN)
    def promote(**context: Any) -> list[str]:
        """Promote what the live traffic or a person has agreed to; or send it back."""
        return promote_answered(context)

    deployed, promoted = deploy(), promote()
    deployed >> [try_out, ask]
    try_out >> [ask, promoted]
    ask >> promoted
    exits = ways_out(Role.MLOPS, Stage.DEPLOYMENT, [PROMOTE, DEPLOY])
    deployed >> exits
    promoted >> exits
