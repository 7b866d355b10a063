"""### Data science: the data scientist's DAG

Prepares features from a raw-data version, trains candidates, and compares them with the baselines and the champion by
performance and by the business metric. **Runs** on `raw_data`, on a loop from data science itself (train again, prepare
again), mlops (a release failed) or monitoring, or by hand. **Gives** `candidate_model` with a model card. **Sends back**
to data engineering (more data), to itself (wider search, without a feature at fault) or to requirements (budget spent,
metric and model disagree). **Asks** under *Required actions* when a result is too good to be true.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.common.assets import timetable
from dags.common.defaults import LONGEST, TRAINING_WORK, dag_settings, manual_form
from dags.common.handover_tasks import (
    answer_of,
    order_of,
    perform_step,
    push_order,
    pushed_message,
    pushed_order,
    receive_order,
    way_out,
    ways_out,
)
from dags.common.training_tasks import portions, search_portion, take_up_again, wait_for_answer
from include.kreislauf.handovers import Handover, PersonAnswer, PersonNeeded, Role, Stage

GENUINE, LEAK = "Genuine", "A leak"

with DAG(
    Role.DATA_SCIENCE,
    doc_md=__doc__,
    schedule=timetable(Role.DATA_SCIENCE),
    params=manual_form(Role.DATA_SCIENCE),
    **dag_settings(Role.DATA_SCIENCE),
) as dag:

    @task(execution_timeout=LONGEST)
    def prepare(**context: Any) -> list[str]:
        """Turn the raw data into features without looking ahead; returns what is searched by tasks of their own."""
        from include.kreislauf.preparation.step import prepare as step

        order = receive_order(Role.DATA_SCIENCE, context)
        message = perform_step(Stage.PREPARATION, step, order)
        if not isinstance(message, Handover):
            way_out(context, message)
            return []
        push_order(context, order.after(message))
        return portions(order.after(message))

    @task(execution_timeout=LONGEST, **TRAINING_WORK)
    def search(family: str, **context: Any) -> None:
        """Search the best configuration of one family."""
        search_portion(order_of(context, "prepare"), family)

    @task.branch(trigger_rule="none_failed", execution_timeout=LONGEST, **TRAINING_WORK)
    def train(**context: Any) -> list[str]:
        """Search what is left, predict the held-out rows with the best of each family, and fit them on all rows."""
        from include.kreislauf.training.step import train as step

        if loop := pushed_message(context, "prepare"):
            return way_out(context, loop)
        order = pushed_order(context, "prepare")
        if order is None:
            raise AirflowSkipException("there was nothing to do")
        message = perform_step(Stage.TRAINING, step, order)
        if not isinstance(message, Handover):
            return way_out(context, message)
        push_order(context, order.after(message))
        return ["evaluate"]

    @task.branch(execution_timeout=LONGEST)
    def evaluate(**context: Any) -> list[str]:
        """Compare candidates, baselines and champion on the same rows; choose the best, send back, or ask."""
        from include.kreislauf.evaluation.step import evaluate as step

        order = order_of(context, "train")
        try:
            return way_out(context, perform_step(Stage.EVALUATION, step, order))
        except PersonNeeded as needed:
            wait_for_answer(order)
            push_order(context, order)
            context["ti"].xcom_push(key="question", value=needed.question)
            return ["ask_data_scientist"]

    ask_data_scientist = HITLOperator(
        task_id="ask_data_scientist",
        subject="{{ ti.xcom_pull('evaluate', key='order')['use_case'] }}: too good to be true?",
        body="{{ ti.xcom_pull('evaluate', key='question') }}",
        options=[GENUINE, LEAK],
        response_timeout=timedelta(days=14),
        execution_timeout=None,
    )

    @task.branch(execution_timeout=LONGEST)
    def take_answer(**context: Any) -> list[str]:
        """Go on with the other gates, or prepare again without what the person takes for a leak."""
        from include.kreislauf.evaluation.step import evaluate as step

        order = order_of(context, "evaluate")
        chosen, by = answer_of(context, "ask_data_scientist")
        take_up_again(order, f"{by} answered: {chosen}")
        answer = PersonAnswer(genuine=chosen == GENUINE, by=by)

        def judge(*given: Any) -> Any:
            return step(*given, answer=answer)

        return way_out(context, perform_step(Stage.EVALUATION, judge, order))

    prepared, trained, evaluated, answered = prepare(), train(), evaluate(), take_answer()
    prepared >> search.expand(family=prepared) >> trained >> evaluated >> ask_data_scientist >> answered
    exits = ways_out(Role.DATA_SCIENCE, Stage.EVALUATION, ["take_answer", "evaluate", "train"])
    for decider in (trained, evaluated, answered):
        decider >> exits
