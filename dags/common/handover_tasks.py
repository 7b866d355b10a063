"""The Airflow side of receiving and handing over work: the only place where context and events are touched.

A role's DAG is a chain of disciplines. The first receives the work; every discipline either goes on to the next one or
chooses a way out; the ways out are one task per asset, so that an event is emitted once and only for what happened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.common.assets import HANDOVER_ASSETS, LOOP_ASSETS, loops_from
from include.kreislauf.errors import ContractError, HandoverError
from include.kreislauf.handovers import Handover, Loop, Role, Stage, WorkOrder, parse_message, to_extra
from include.kreislauf.settings import get_settings

log = logging.getLogger(__name__)

ORDER = "order"
MESSAGE = "message"
BUNDLE = "messages"
HAND_OVER = "hand_over"
# A way out has several disciplines upstream, of which only the last one that ran chose it.
CHOSEN = "none_failed_min_one_success"


def receive_order(role: Role, context: Any, form: Any = None) -> WorkOrder:
    """The work order of this run; pushed for the tasks that follow. Skips the run when there is nothing to do.

    Parameters
    ----------
    form: what stands in for the form of a manual run, when the clock started this one.
    """
    from include.kreislauf.feedback.receipt import Incoming, Refused, read_form, receive
    from include.kreislauf.store.database import get_store

    settings = get_settings()
    dag_run = context["dag_run"]
    try:
        received = received_messages(context)
        incoming = Incoming(
            role=role,
            run_id=dag_run.run_id,
            partition_key=None if form else dag_run.partition_key,  # a tick's key is no cycle's
            received=received,
            form=form or (None if received else read_form(filled_in(context))),
        )
        order = receive(get_store(), incoming, settings.now(), wall_clock=settings.clock == "wall")
    except Refused as refusal:
        log.warning("nothing to do: %s", refusal.text)
        raise AirflowSkipException(refusal.text) from refusal
    except (ContractError, HandoverError) as error:
        raise AirflowFailException(error.text) from error
    log.info("%s of %s, attempt %s: started by %s, as of %s", order.cycle_id, order.use_case, order.attempt,
             order.started_by, order.as_of.isoformat())  # fmt: skip
    push_order(context, order)
    return order


def received_messages(context: Any) -> tuple[Handover | Loop, ...]:
    """The handovers and loops that started this run, validated; none for a manual run.

    A reminder brings in its configuration what an event would have brought.
    """
    events = context.get("triggering_asset_events") or {}
    key = context["dag_run"].partition_key
    found = [unbundle(dict(event.extra or {}), key) for of_asset in events.values() for event in of_asset]
    if reminder := (context["dag_run"].conf or {}).get(MESSAGE):
        found.append(reminded_of(reminder))
    return tuple(found)


def reminded_of(extra: dict[str, Any]) -> Handover | Loop:
    """The message of a reminder; the run's configuration only names it."""
    from include.kreislauf.feedback.stranded import recorded
    from include.kreislauf.store.database import get_store

    with get_store().read() as db:
        return recorded(db, parse_message(extra))


def filled_in(context: Any) -> dict[str, Any]:
    """What stands in the form of a manual run; the log-in stays with the name that was left, if any."""
    values = dict(context["params"])
    by, user = values.get("by"), context["dag_run"].triggering_user_name
    return {**values, "by": f"{by} ({user})" if by and user and by != user else by or user}


def started_by_clock(context: Any) -> bool:
    """Whether this run belongs to no cycle: a tick of the DAG's schedule."""
    return str(context["dag_run"].run_type).rpartition(".")[2].lower() == "scheduled"


def order_of(context: Any, task_id: str) -> WorkOrder:
    """The order that an earlier task of this run pushed."""
    return WorkOrder.model_validate(context["ti"].xcom_pull(task_ids=task_id, key=ORDER))


def pushed_order(context: Any, task_id: str) -> WorkOrder | None:
    """The order that an earlier task of this run pushed, if it had anything to do."""
    pushed = context["ti"].xcom_pull(task_ids=task_id, key=ORDER)
    return WorkOrder.model_validate(pushed) if pushed else None


def pushed_message(context: Any, task_id: str) -> Handover | Loop | None:
    """The message with which an earlier task wants to leave this DAG, if it does."""
    pushed = context["ti"].xcom_pull(task_ids=task_id, key=MESSAGE)
    return parse_message(pushed[0]) if pushed else None


def answer_of(context: Any, task_id: str) -> tuple[str, str]:
    """What a person chose under *Required actions*, and who that was."""
    answer = context["ti"].xcom_pull(task_ids=task_id)
    return str(answer["chosen_options"][0]), str(
        (answer.get("responded_by_user") or {}).get("name") or "a person"
    )


def push_order(context: Any, order: WorkOrder) -> None:
    """Give an order to the tasks that follow."""
    context["ti"].xcom_push(key=ORDER, value=order.model_dump(mode="json"))


def perform_step(stage: Stage, step: Callable[..., Any], order: WorkOrder) -> Handover | Loop:
    """Run one discipline for an order, against the settings and the store of this process."""
    from include.kreislauf.feedback.work import perform
    from include.kreislauf.store.database import get_store

    settings = get_settings()
    try:
        return perform(stage, step, order, store=get_store(), settings=settings, now=settings.now())
    except ContractError as error:  # the same tomorrow: no retry helps
        raise AirflowFailException(error.text) from error


def way_out(context: Any, *messages: Handover | Loop) -> list[str]:
    """Push the messages that leave this DAG; returns the tasks that emit them."""
    context["ti"].xcom_push(key=MESSAGE, value=[to_extra(message) for message in messages])
    return sorted({_way_of(message) for message in messages})


def _way_of(message: Handover | Loop) -> str:
    return raise_task_id(message.edge.received_by) if isinstance(message, Loop) else HAND_OVER


def raise_task_id(receiver: Role) -> str:
    """Name of the task that raises the loop to a role."""
    return f"raise_loop_to_{receiver}"


def ways_out(role: Role, stage: Stage | None, deciders: list[str]) -> list[Any]:
    """The tasks at the end of a role's DAG: its handover, and one per loop that it may raise.

    Parameters
    ----------
    stage: the discipline whose handover the role gives on; ``None``: it gives none.
    deciders: ids of the tasks that may have chosen the way out, the last one first.
    """
    tasks = []
    if stage is not None:
        tasks.append(_emitter(HAND_OVER, HANDOVER_ASSETS[stage], deciders))
    tasks += [
        _emitter(raise_task_id(edge.received_by), LOOP_ASSETS[edge], deciders) for edge in loops_from(role)
    ]
    return tasks


def _emitter(task_id: str, asset: Any, deciders: list[str]) -> Any:
    @task(task_id=task_id, outlets=[asset], trigger_rule=CHOSEN)
    def emit(**context: Any) -> list[str]:
        """Emit the asset event that starts the next role, under the key of each message's cycle."""
        found = (context["ti"].xcom_pull(task_ids=decider, key=MESSAGE) for decider in deciders)
        chosen = [parse_message(extra) for extra in next(extras for extras in found if extras)]
        own = [message for message in chosen if task_id == _way_of(message)]
        event = context["outlet_events"][asset]
        event.extra = bundle(own)
        event.add_partitions([message.key for message in own])
        return [message.id for message in own]

    return emit()


def bundle(messages: list[Handover | Loop]) -> dict[str, Any]:
    """The ``extra`` of an event. Airflow gives all keys of one event the same: several messages go by their key."""
    if len(messages) == 1:
        return to_extra(messages[0])
    return {BUNDLE: {message.key: to_extra(message) for message in messages}}


def unbundle(extra: dict[str, Any], partition_key: str | None) -> Handover | Loop:
    """The message of an event that is meant for a run with this key."""
    messages = extra.get(BUNDLE)
    return parse_message(messages.get(partition_key, {}) if messages else extra)
