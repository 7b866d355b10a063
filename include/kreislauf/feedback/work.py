"""Running a discipline for a work order: once per (cycle, stage, attempt), recorded before it is handed on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from include.kreislauf.deployment.approval import ASKED_BY, OVERRIDDEN
from include.kreislauf.deployment.delivery import interrupt
from include.kreislauf.errors import ContractError
from include.kreislauf.handovers import (
    MACHINE,
    Edge,
    Evidence,
    Handover,
    Loop,
    Reason,
    Stage,
    StepResult,
    WorkOrder,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import FILE_NAME, folder_of
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, messages
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import handovers

Step = Callable[[WorkOrder, Contract, Settings], StepResult]


def perform(
    stage: Stage, step: Step, order: WorkOrder, *, store: Store, settings: Settings, now: datetime
) -> Handover | Loop:
    """Run one discipline, or find its earlier result; returns what it hands over or sends back.

    Raises
    ------
    ContractError: the order's contract is not signed, or the use case was removed since.
    """
    contract = contract_of(store, order)
    if order.forced_loop:
        return _raise_forced(store, order, order.forced_loop, now)
    with store.read() as db:
        known = messages.find_handover(db, order.use_case, order.cycle_id, stage, order.attempt)
    if known:
        return known
    _require_folder(settings, order)
    result = step(order, contract, settings)
    with store.write() as db:
        if isinstance(result.message, Handover):
            return messages.save_handover(db, _with_person(result.message, order), result.document, now)
        loop = _within_budget(
            result.message, messages.count_hops(db, order.use_case, order.cycle_id), contract
        )
        return messages.ledger_entry(db, loop, now, result.document).loop


def _require_folder(settings: Settings, order: WorkOrder) -> None:
    """A use case that was removed while its cycle was at work is not worked on: its features, say, would be others."""
    folder = folder_of(settings.use_cases, order.use_case)
    if not (folder / FILE_NAME).is_file():
        raise ContractError(
            f"the use case was removed while cycle {order.cycle_id} was at work", where=str(folder),
            next_step=f"put the folder back with its {FILE_NAME} and clear the task, or leave the cycle as it is: it has failed",
        )  # fmt: skip


def _raise_forced(store: Store, order: WorkOrder, edge: Edge, now: datetime) -> Loop:
    """The loop that a person, or the governor, wants raised instead of the work."""
    person = order.by != MACHINE
    reason, text = (
        (Reason.RETRIGGERED, f"{order.by}: {order.reason}") if person else (Reason.BUDGET_SPENT, order.reason)
    )
    loop = order.loop(edge, reason, text, by=order.by, override=order.override)
    with store.write() as db:
        return messages.ledger_entry(db, loop, now).loop


def _with_person(handover: Handover, order: WorkOrder) -> Handover:
    """Who asked for the work stays with its result: the person must not also approve it."""
    if order.by == MACHINE:
        return handover
    person = {ASKED_BY: order.by, **({OVERRIDDEN: True} if order.override else {})}
    return handover.model_copy(update={"summary": {**handover.summary, **person}})


def contract_of(store: Store, order: WorkOrder) -> Contract:
    """The signed contract that an order's hash names.

    Raises
    ------
    ContractError: there is none: unsigned contracts do not run.
    """
    with store.read() as db:
        contract = contracts.signed_contract(db, order.use_case, order.contract_hash)
    if contract is None:
        raise ContractError(
            f"contract {order.contract_hash[:12]} is not signed", where=order.use_case,
            next_step="trigger the requirements DAG for this use case",
        )  # fmt: skip
    return contract


def mark_failed(store: Store, use_case: str, cycle_id: str, note: str, now: datetime) -> None:
    """A task failed for good: its cycle no longer keeps others from starting."""
    with store.write() as db:
        cycle = cycles.find(db, use_case, cycle_id)
        if cycle and cycle.state is State.ACTIVE:
            cycles.set_state(db, cycle, State.FAILED, now, note)
            interrupt(db, use_case, cycle_id, now, note)


def give_up_stale(db: Connection, use_case: str, timeout_hours: float, now: datetime) -> None:
    """An active cycle on which nothing moved for too long no longer keeps others from starting."""
    for cycle in cycles.in_state(db, use_case, State.ACTIVE):
        latest = db.scalar(
            select(func.max(handovers.c.created_at)).where(
                handovers.c.use_case == use_case, handovers.c.cycle_id == cycle.cycle_id
            )
        )
        moved = max(cycle.changed_at, latest) if latest else cycle.changed_at
        if now - moved > timedelta(hours=timeout_hours):
            cycles.set_state(
                db, cycle, State.FAILED, now, f"given up: nothing moved for {timeout_hours} hours"
            )


def _within_budget(loop: Loop, hops: int, contract: Contract) -> Loop:
    """Once the hops of a cycle are spent, data science asks a person instead of going round again."""
    spent = hops >= contract.governor.max_hops - 1
    if not spent or loop.edge not in (
        Edge.DATA_SCIENCE_TO_DATA_SCIENCE,
        Edge.DATA_SCIENCE_TO_DATA_ENGINEERING,
    ):
        return loop
    note = Evidence(
        name="hops", value=float(hops), unit="loops", note=f"would have gone {loop.edge}: {loop.text}"
    )
    return loop.model_copy(
        update={
            "edge": Edge.DATA_SCIENCE_TO_REQUIREMENTS, "reason": Reason.BUDGET_SPENT, "step": None,
            "text": f"{hops} loops did not suffice; last: {loop.text}", "evidence": (*loop.evidence, note),
        }
    )  # fmt: skip
