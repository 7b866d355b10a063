"""### Requirements: the product owner's DAG

Looks at a use case's contract, has it signed (by a person, or automatically where the contract says so), and hands it
to data engineering. **Runs** when a loop comes back that only a person can decide, when a contract has changed, or by
hand. **Gives** `signed_contract`. **Asks** for sign-off under *Required actions*: approve or reject, with a note.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.common.assets import timetable
from dags.common.defaults import dag_settings, manual_form
from dags.common.handover_tasks import (
    answer_of,
    order_of,
    push_order,
    receive_order,
    started_by_clock,
    way_out,
    ways_out,
)
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.settings import get_settings

APPROVE, REJECT = "Approve", "Reject"


def changed_form(store: Any, settings: Any) -> Any:
    """What a person would have filled in for the next contract that changed; skips the run when none has."""
    from include.kreislauf.feedback.receipt import Form
    from include.kreislauf.feedback.sign_off import changed_contract

    contract = changed_contract(store, settings.use_cases)
    if contract is None:
        raise AirflowSkipException("no contract has changed")
    return Form(use_case=contract.name, reason="the contract has changed", by="kreislauf")


with DAG(
    Role.REQUIREMENTS,
    doc_md=__doc__,
    schedule=timetable(Role.REQUIREMENTS, get_settings().requirements_schedule),
    params=manual_form(Role.REQUIREMENTS),
    **dag_settings(Role.REQUIREMENTS),
) as dag:

    @task.branch
    def review_contract(**context: Any) -> list[str]:
        """Load, validate and record the contract; go on, or ask a person."""
        from include.kreislauf.errors import ContractError
        from include.kreislauf.feedback.sign_off import review
        from include.kreislauf.store.database import get_store

        settings, store = get_settings(), get_store()
        form = changed_form(store, settings) if started_by_clock(context) else None
        order = receive_order(Role.REQUIREMENTS, context, form)
        try:
            found = review(store, order, settings, settings.now())
        except ContractError as error:
            raise AirflowFailException(error.text) from error
        push_order(context, found.order)
        context["ti"].xcom_push(key="question", value=found.question)
        return ["ask_a_person" if found.needs_person else "sign_contract"]

    ask_a_person = HITLOperator(
        task_id="ask_a_person",
        subject="{{ ti.xcom_pull('review_contract', key='order')['use_case'] }}: your decision is needed",
        body="{{ ti.xcom_pull('review_contract', key='question') }}",
        options=[APPROVE, REJECT],
        params={"note": Param("", type="string", title="Note", description="Stays with the decision.")},
        response_timeout=timedelta(days=14),
        execution_timeout=None,
    )

    @task.branch
    def record_answer(**context: Any) -> str | None:
        """Write the person's answer down; an approval goes on, a rejection ends the cycle."""
        from include.kreislauf.feedback import sign_off
        from include.kreislauf.store.database import get_store

        answer = context["ti"].xcom_pull(task_ids="ask_a_person")
        chosen, by = answer_of(context, "ask_a_person")
        goes_on = sign_off.record_answer(
            get_store(),
            order_of(context, "review_contract"),
            approved=chosen == APPROVE,
            by=by,
            note=str((answer.get("params_input") or {}).get("note") or ""),
            now=get_settings().now(),
        )
        return "sign_contract" if goes_on else None

    @task.branch(trigger_rule="none_failed_min_one_success")
    def sign_contract(**context: Any) -> list[str]:
        """Make the handover of the signed contract."""
        from include.kreislauf.feedback import sign_off
        from include.kreislauf.store.database import get_store

        settings = get_settings()
        order = order_of(context, "review_contract")
        return way_out(context, sign_off.sign(get_store(), order, settings, settings.now()))

    reviewed, answered, signed = review_contract(), record_answer(), sign_contract()
    reviewed >> [ask_a_person, signed]
    ask_a_person >> answered >> signed
    signed >> ways_out(Role.REQUIREMENTS, Stage.REQUIREMENTS, ["sign_contract"])
