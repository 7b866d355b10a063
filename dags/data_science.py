"""### Data science: the data scientist's DAG

Prepares features from a raw-data version, trains candidates, and compares them with the baselines and the champion by
performance and by the business metric. **Runs** on `raw_data`, on a loop from data science itself (train again, prepare
again), mlops (a release failed) or monitoring, or by hand. **Gives** `candidate_model` with a model card. **Sends back**
to data engineering (more data), to itself (wider search) or to requirements (budget spent, metric and model disagree).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.common.assets import timetable
from dags.common.defaults import DAG_DEFAULTS, manual_form
from dags.common.handover_tasks import order_of, perform_step, push_order, receive_order, way_out, ways_out
from include.kreislauf.handovers import Handover, Role, Stage, WorkOrder


def _go_on(context: Any, order: WorkOrder, message: Any, next_task: str) -> list[str]:
    """Give the result to the next discipline of this DAG, or leave by a loop."""
    if not isinstance(message, Handover):
        return way_out(context, message)
    push_order(context, order.after(message))
    return [next_task]


with DAG(
    Role.DATA_SCIENCE,
    doc_md=__doc__,
    schedule=timetable(Role.DATA_SCIENCE),
    params=manual_form(),
    **DAG_DEFAULTS,
) as dag:

    @task.branch
    def prepare(**context: Any) -> list[str]:
        """Turn the raw data into features without looking ahead."""
        from include.kreislauf.preparation.step import prepare as step

        order = receive_order(Role.DATA_SCIENCE, context)
        return _go_on(context, order, perform_step(Stage.PREPARATION, step, order), "train")

    @task.branch
    def train(**context: Any) -> list[str]:
        """Fit every candidate, and predict the held-out periods with it."""
        from include.kreislauf.training.step import train as step

        order = order_of(context, "prepare")
        return _go_on(context, order, perform_step(Stage.TRAINING, step, order), "evaluate")

    @task.branch
    def evaluate(**context: Any) -> list[str]:
        """Compare candidates, baselines and champion on the same rows; choose the best, or send back."""
        from include.kreislauf.evaluation.step import evaluate as step

        order = order_of(context, "train")
        return way_out(context, perform_step(Stage.EVALUATION, step, order))

    prepared, trained, evaluated = prepare(), train(), evaluate()
    prepared >> trained >> evaluated
    exits = ways_out(Role.DATA_SCIENCE, Stage.EVALUATION, ["evaluate", "train", "prepare"])
    for decider in (prepared, trained, evaluated):
        decider >> exits
