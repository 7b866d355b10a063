"""What an event, or a manual run, means for the DAG that it started: work to do, or a refusal with its reason.

Receipts are idempotent: the same DAG run asked again gets the same answer, another run with the same event gets told
that the work is done.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.errors import ContractError, HandoverError
from include.kreislauf.feedback.governed import governed
from include.kreislauf.feedback.governor import OVERRIDE, Answer, decide
from include.kreislauf.feedback.incoming import Form, Incoming, Refused, read_form
from include.kreislauf.feedback.manual import make_way, manual_order
from include.kreislauf.feedback.work import give_up_stale
from include.kreislauf.handovers import (
    GIVES,
    MACHINE,
    TAKES,
    Edge,
    Handover,
    Loop,
    Message,
    Reason,
    Role,
    Stage,
    WorkOrder,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import contracts, cycles, live, messages, receipts
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from include.kreislauf.store.messages import LoopRow

__all__ = ["Form", "Incoming", "Refused", "read_form", "receive"]


def receive(store: Store, incoming: Incoming, now: datetime, *, wall_clock: bool = True) -> WorkOrder:
    """The work order of a DAG run.

    Raises
    ------
    Refused: nothing to do: a duplicate, a loop the governor refused, a cycle that is over.
    HandoverError: the event does not belong to this DAG.
    ContractError: a manual run of a use case that has no signed contract.
    """
    with store.write() as db:  # what was recorded on the way to a refusal is committed, too
        answer = _answer(db, incoming, now, wall_clock)
    if isinstance(answer, Refused):
        raise answer
    return answer


def _answer(db: Connection, incoming: Incoming, now: datetime, wall_clock: bool) -> WorkOrder | Refused:
    try:
        if not incoming.received:
            return manual_order(db, incoming, now, wall_clock=wall_clock)
    except Refused as refusal:
        return refusal
    message = max(incoming.received, key=lambda one: (one.attempt, isinstance(one, Loop)))
    _require_own_thread(incoming)
    answer = _answer_to(db, incoming, message, now)
    receipts.record_receipt(db, message, incoming.role, incoming.run_id, now)
    return answer


def _require_own_thread(incoming: Incoming) -> None:
    """Whoever emits events by hand must not put one cycle's work on another one's thread, nor into another use case.

    Raises
    ------
    HandoverError: a message is of another cycle than the run.
    """
    others = [one.key for one in incoming.received if incoming.partition_key not in (None, one.key)]
    if others:
        raise HandoverError(
            f"a message of {others[0]} arrived on the thread of {incoming.partition_key}", where=incoming.origin,
            allowed=f"messages of {incoming.partition_key}",
            next_step="emit the event under the partition key of its own cycle",
        )  # fmt: skip


def _answer_to(
    db: Connection, incoming: Incoming, message: Handover | Loop, now: datetime
) -> WorkOrder | Refused:
    try:
        if isinstance(message, Loop):
            return _from_loop(db, incoming, message, now)
        return _from_handover(db, incoming, message, now)
    except Refused as refusal:
        return refusal


def _from_handover(db: Connection, incoming: Incoming, message: Handover, now: datetime) -> WorkOrder:
    expected = TAKES.get(incoming.role)
    if message.stage is not expected:
        raise HandoverError(
            f"a handover of {message.stage} arrived", where=incoming.origin, allowed=expected or "loops only"
        )
    _reject_duplicate(db, incoming, message)
    stored = messages.find_handover(db, message.use_case, message.cycle_id, message.stage, message.attempt)
    if stored is None:
        raise HandoverError(
            f"handover {message.id} is not in the workflow store", where=incoming.origin,
            next_step="let the DAG that owns this stage make it; events alone carry no work",
        )  # fmt: skip
    if incoming.role is not Role.MONITORING:
        _reject_superseded(db, incoming, message)
        _require_active(db, cycles.get_cycle(db, message.use_case, message.cycle_id), incoming, now)
    return _order(
        stored, incoming, started_by=f"handover/{message.stage}", inputs={message.stage: stored.output}
    )


def _reject_duplicate(db: Connection, incoming: Incoming, message: Message) -> None:
    """An attempt is done once, whether it ended with a handover or was sent back."""
    if incoming.role is Role.MONITORING:
        return
    done = messages.find_handover(
        db, message.use_case, message.cycle_id, GIVES[incoming.role], message.attempt
    )
    raised = (row.loop for row in messages.loops_of(db, message.use_case, cycle_id=message.cycle_id))
    back = (
        one for one in raised if one.edge.raised_by is incoming.role and one.attempt == message.attempt + 1
    )
    for one in filter(None, [done, *back]):
        if one.run_id != incoming.run_id:
            raise Refused(
                f"attempt {message.attempt} of {message.key} was done by run {one.run_id}",
                where=incoming.origin,
            )


def _reject_superseded(db: Connection, incoming: Incoming, message: Handover) -> None:
    """A loop that was accepted since has begun a later attempt: two of one cycle must not be worked on at once."""
    rows = messages.loops_of(db, message.use_case, states=("accepted", "closed"), cycle_id=message.cycle_id)
    if later := next((row.loop for row in rows if row.loop.attempt > message.attempt), None):
        raise Refused(
            f"attempt {message.attempt} of {message.key} was superseded by {later.edge}",
            where=incoming.origin,
        )


def _require_active(db: Connection, cycle: Cycle, incoming: Incoming, now: datetime) -> None:
    """The cycle must be at work; one that failed is taken up again when its task is repeated."""
    again = [State.FAILED]
    if incoming.role is Role.REQUIREMENTS:
        again.append(State.WAITING)  # its first task sets this, and may be repeated
    if cycle.state is State.ACTIVE:
        return
    if cycle.state not in again or not cycles.set_state(db, cycle, State.ACTIVE, now, "taken up again"):
        raise Refused(f"cycle {cycle.cycle_id} is {cycle.state}: {cycle.note or ''}", where=incoming.origin)


def _from_loop(db: Connection, incoming: Incoming, message: Loop, now: datetime) -> WorkOrder:
    if message.edge.received_by is not incoming.role:
        raise HandoverError(
            f"loop {message.edge} arrived", where=incoming.origin, allowed=f"loops to {incoming.role}"
        )
    _reject_duplicate(db, incoming, message)
    row = messages.ledger_entry(db, message, now)
    loop, contract = row.loop, _contract(db, row.loop)
    asking = None
    if row.state == "raised":
        asking = _decide(db, incoming, loop, contract, now)
    elif asking := _asked(db, row, incoming.run_id):
        pass  # the governor refused, and this run is to ask a person
    elif row.state == "refused" or row.received_run != incoming.run_id:
        raise Refused(f"loop {loop.id} is {row.state} already: {row.decision}", where=incoming.origin)
    elif not _is_rollback(loop):
        _require_active(db, cycles.get_cycle(db, loop.use_case, loop.cycle_id), incoming, now)
    order = _order(loop, incoming, started_by=f"loop/{loop.edge}", inputs=_taken_back(db, loop))
    changes = {"contract_hash": contract.hash, "step": loop.step, "reason": loop.text, "by": loop.by}
    if asking:
        changes |= {"forced_loop": asking.edge, "reason": asking.text, "by": MACHINE}
    return order.model_copy(update=changes)


def _is_rollback(loop: Loop) -> bool:
    return loop.edge is Edge.MONITORING_TO_MLOPS


def _taken_back(db: Connection, loop: Loop) -> dict[str, str]:
    """The release that a rollback takes back: what is live, so that two who ask for the same go back once."""
    pointer = live.live(db, loop.use_case) if _is_rollback(loop) else None
    return {Stage.DEPLOYMENT: str(pointer.version)} if pointer else {}


def _contract(db: Connection, loop: Loop) -> Contract:
    """A new cycle works on the contract signed last, a loop inside a cycle on that cycle's."""
    wanted = None if loop.edge.opens_cycle else loop.contract_hash
    contract = contracts.signed_contract(db, loop.use_case, wanted)
    if contract is None:
        raise ContractError(
            "no signed contract", where=loop.use_case, next_step="trigger the requirements DAG"
        )
    return contract


def _decide(db: Connection, incoming: Incoming, loop: Loop, contract: Contract, now: datetime) -> Loop | None:
    """Ask the governor, write down what it answered, and make the loop's cycle the active one; or refuse.

    Returns
    -------
    The loop with which the receiver asks a person, where the governor refused and wants that.
    """
    give_up_stale(db, loop.use_case, contract.governor.cycle_timeout_hours, now)
    cycle = _cycle_of(db, loop, now)
    answer = decide(loop, governed(db, loop, cycle), contract.governor)
    active = answer.accepted and cycle and cycles.set_state(db, cycle, State.ACTIVE, now)
    if answer.accepted and cycle and not active and not _is_rollback(loop):
        answer = Answer(False, f"another cycle became active at the same moment; until it ends; {OVERRIDE}")
    override = {"override_by": loop.by, "override_reason": loop.text} if loop.override else {}
    state = "accepted" if answer.accepted else "refused"
    messages.decide_loop(db, loop.id, state, answer.text, incoming.run_id, **override)
    if answer.asks and cycle and cycles.set_state(db, cycle, State.ACTIVE, now):
        asking = _asking(loop).model_copy(
            update={"text": f"{answer.text}; last: {loop.text}", "run_id": incoming.run_id}
        )
        return messages.ledger_entry(db, asking, now).loop
    if not answer.accepted:
        _end_refused(db, cycle, loop, answer, now)
        raise Refused(f"the governor refused {loop.edge}: {answer.text}", where=incoming.origin)
    return None


def _cycle_of(db: Connection, loop: Loop, now: datetime) -> Cycle | None:
    """The loop's cycle; opened where the loop asks for a new one. An override makes way for it."""
    cycle = cycles.find(db, loop.use_case, loop.cycle_id)
    if not loop.edge.opens_cycle:
        return cycle
    cycle = cycle or cycles.open_cycle(
        db, loop.use_case, origin=loop.id, started_by=f"loop/{loop.edge}", reason=loop.text, as_of=loop.as_of,
        now=now, parent_cycle_id=loop.parent_cycle_id, cycle_id=loop.cycle_id,
    )  # fmt: skip
    if loop.override:
        make_way(db, cycle, now, by=loop.by, reason=loop.text)
    return cycle


def _asking(loop: Loop) -> Loop:
    """The loop with which the receiver of a refused one asks a person, in the same cycle."""
    edge = Edge(f"{loop.edge.received_by}→{Role.REQUIREMENTS}")
    changes = {"edge": edge, "reason": Reason.BUDGET_SPENT, "attempt": loop.attempt + 1, "hop": loop.hop + 1,
               "step": None, "by": MACHINE, "override": False}  # fmt: skip
    return loop.model_copy(update=changes)


def _end_refused(db: Connection, cycle: Cycle | None, loop: Loop, answer: Answer, now: datetime) -> None:
    """A refused loop ends the cycle it asked for; one inside a cycle at work leaves the decision to a person.

    The cycle of a rollback has done its work when what it asks for then is refused.
    """
    done = State.CLOSED if loop.reason is Reason.ROLLED_BACK else State.REFUSED
    after = {State.PROPOSED: done, State.ACTIVE: State.WAITING}
    if cycle and cycle.state in after:
        cycles.set_state(db, cycle, after[cycle.state], now, answer.text)


def _asked(db: Connection, row: LoopRow, run_id: str) -> Loop | None:
    """The question that this run was told to ask when it was refused, if it was."""
    if row.state != "refused" or row.received_run != run_id or row.loop.edge.opens_cycle:
        return None
    known = messages.find_loop(db, _asking(row.loop).id)
    return known.loop if known and known.loop.run_id == run_id else None


def _order(message: Message, incoming: Incoming, *, started_by: str, inputs: dict[str, str]) -> WorkOrder:
    shared = {name: getattr(message, name) for name in Message.model_fields if name != "run_id"}
    return WorkOrder(**shared, run_id=incoming.run_id, started_by=started_by, inputs=inputs)
