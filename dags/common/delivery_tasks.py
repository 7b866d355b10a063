"""The Airflow side of a deployment: waiting for live traffic, asking a person, and going on with the answer."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from dags.common.handover_tasks import answer_of, order_of, perform_step, push_order, way_out
from dags.common.training_tasks import take_up_again
from include.kreislauf.handovers import PersonNeeded, Stage, WorkOrder
from include.kreislauf.settings import get_settings

DEPLOY, TRY_OUT, ASK, PROMOTE = "deploy", "try_out", "ask_mlops_engineer", "promote"
AGREE, REJECT = "Promote", "Reject"
QUESTION = "question"


def deploy_or_wait(context: Any, order: WorkOrder) -> list[str]:
    """Deploy as far as it goes now: out of the DAG, or on to what it waits for."""
    from include.kreislauf.deployment.step import StillTried

    try:
        return _way_out(context, order)
    except StillTried:
        return [TRY_OUT]
    except PersonNeeded as needed:
        return ask_person(context, order, needed.question)


def promote_answered(context: Any) -> list[str]:
    """Go on after the live traffic has answered, or a person has; the cycle is at work again."""
    from include.kreislauf.deployment.step import StillTried

    order = order_of(context, DEPLOY)
    approval = _approval(context)
    if approval:
        take_up_again(order, f"{approval.by} answered: {AGREE if approval.approved else REJECT}")
    try:
        return _way_out(context, order, approval)
    except (PersonNeeded, StillTried) as still:
        raise AirflowFailException(f"the release is not ready to be promoted: {still}") from still


def ask_person(context: Any, order: WorkOrder, question: str) -> list[str]:
    """The cycle waits for a person's answer to a question."""
    from include.kreislauf.feedback.questions import wait
    from include.kreislauf.store.database import get_store

    wait(get_store(), order, get_settings().now(), "release it? the MLOps engineer is asked")
    push_order(context, order)
    context["ti"].xcom_push(key=QUESTION, value=question)
    return [ASK]


def _way_out(context: Any, order: WorkOrder, approval: Any = None) -> list[str]:
    """The tasks that emit what a deployment came to, and the rollbacks by command that no run has told yet."""
    from include.kreislauf.deployment.step import deploy as step
    from include.kreislauf.feedback.by_command import nobodys_loops
    from include.kreislauf.store.database import get_store

    def act(*given: Any) -> Any:
        return step(*given, approval=approval)

    message = perform_step(Stage.DEPLOYMENT, act, order)
    with get_store().read() as db:
        untold = nobodys_loops(db, order.use_case)
    return way_out(context, message, *(one for one in untold if one.id != message.id))


def _approval(context: Any) -> Any:
    """What the person said under *Required actions*; ``None`` when nobody was asked."""
    from include.kreislauf.deployment.approval import Approval

    answer = context["ti"].xcom_pull(task_ids=ASK)
    if not answer:
        return None
    chosen, by = answer_of(context, ASK)
    note = str((answer.get("params_input") or {}).get("note") or "")
    return Approval(approved=chosen == AGREE, by=by, note=note)


class TryOut(BaseSensorOperator, BranchMixIn):
    """Looks from time to time whether the live traffic has decided; holds no worker in between."""

    inherits_from_skipmixin = True

    def poke(self, context: Any) -> PokeReturnValue:
        """Take the steps that can be taken now; done when the rollout waits for no traffic any more."""
        from include.kreislauf.deployment.delivery import Phase
        from include.kreislauf.deployment.looking import look, question_of

        order = order_of(context, DEPLOY)
        progress = look(order, get_settings())
        self.log.info(
            "%s: %s; waits for %s", progress.rollout.state, progress.rollout.note, progress.phase.value
        )
        if progress.phase in (Phase.LOADING, Phase.TRYING):
            return PokeReturnValue(is_done=False)
        if progress.phase is not Phase.ASKING:
            return PokeReturnValue(is_done=True, xcom_value=[PROMOTE])
        chosen = ask_person(context, order, question_of(order, get_settings(), progress.rollout))
        return PokeReturnValue(is_done=True, xcom_value=chosen)

    def execute(self, context: Any) -> Any:
        """Wait, then skip the branch that is not needed."""
        return self.do_branch(context, super().execute(context))


class AskMlopsEngineer(HITLOperator):
    """Asks for agreement to a release; asks again when who agrees had a hand in the training."""

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Take the answer, unless the person may not give it."""
        answer = super().execute_complete(context, event)
        why = _objection(order_of(context, DEPLOY), answer) if answer["chosen_options"] == [AGREE] else ""
        if not why:
            return answer
        self.log.warning("%s; the question is asked again", why)
        return self.execute(context)


def _objection(order: WorkOrder, answer: Any) -> str:
    from include.kreislauf.deployment.approval import objection, trainers
    from include.kreislauf.feedback.questions import wait
    from include.kreislauf.store.database import get_store

    user = answer.get("responded_by_user") or {}
    store = get_store()
    with store.read() as db:
        found = trainers(db, order.use_case, order.cycle_id)
    why = objection(found, *(str(user[key]) for key in ("id", "name") if user.get(key)))
    if why:
        wait(store, order, get_settings().now(), why)
    return why
