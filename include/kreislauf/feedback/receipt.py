"""What an event, or a manual run, means for the DAG that it started: work to do, or a refusal with its reason.

Receipts are idempotent: the same DAG run asked again gets the same answer, another run with the same event gets told
that the work is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field
from sqlalchemy import Connection, func, select

from include.kreislauf.errors import ContractError, HandoverError, KreislaufError
from include.kreislauf.feedback.governor import Answer, Situation, decide
from include.kreislauf.handovers import (
    GIVES,
    TAKES,
    Edge,
    Frozen,
    Handover,
    Loop,
    Message,
    Name,
    Role,
    Stage,
    WorkOrder,
    split_key,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import contracts, cycles, live, messages
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import cycles as cycles_table
from include.kreislauf.store.schema import handovers as handovers_table
from include.kreislauf.store.schema import verdicts as verdicts_table


class Refused(KreislaufError):
    """There is nothing to do for this DAG run, and this is why. Recorded, not an error of the run."""


class Form(Frozen):
    """What a person (or a program) fills in when triggering a DAG by hand."""

    use_case: Name
    reason: str = Field(min_length=1, max_length=2000)
    by: str = "a person"
    as_of: AwareDatetime | None = None
    loop: Edge | None = None
    override: bool = Field(
        False, description="Go on although the governor refuses; needs a reason and a name."
    )


@dataclass(frozen=True)
class Incoming:
    """Everything a DAG run knows of why it was started."""

    role: Role
    run_id: str
    partition_key: str | None = None
    received: tuple[Handover | Loop, ...] = ()
    form: Form | None = None

    @property
    def origin(self) -> str:
        """What a cycle opened by this run is known by."""
        return f"{self.role}/{self.run_id}"


def receive(store: Store, incoming: Incoming, now: datetime, *, wall_clock: bool = True) -> WorkOrder:
    """The work order of a DAG run.

    Raises
    ------
    Refused: nothing to do: a duplicate, a loop the governor refused, a cycle that is over.
    HandoverError: the event does not belong to this DAG.
    ContractError: a manual run of a use case that has no signed contract.
    """
    refusal: Refused | None = None
    with store.write() as db:
        try:
            return _receive(db, incoming, now, wall_clock)
        except Refused as error:  # what was recorded on the way to the refusal must be committed
            refusal = error
    raise refusal


def _receive(db: Connection, incoming: Incoming, now: datetime, wall_clock: bool) -> WorkOrder:
    if not incoming.received:
        return _manual(db, incoming, now, wall_clock)
    message = max(incoming.received, key=lambda one: (one.attempt, isinstance(one, Loop)))
    _reject_duplicate(db, incoming, message)
    if isinstance(message, Loop):
        return _from_loop(db, incoming, message, now)
    return _from_handover(db, incoming, message, now)


def _reject_duplicate(db: Connection, incoming: Incoming, message: Message) -> None:
    if incoming.role is Role.MONITORING:
        return
    done = messages.find_handover(
        db, message.use_case, message.cycle_id, GIVES[incoming.role], message.attempt
    )
    if done and done.run_id != incoming.run_id:
        raise Refused(
            f"attempt {message.attempt} of {message.key} was done by run {done.run_id}", where=incoming.origin
        )


def _from_handover(db: Connection, incoming: Incoming, message: Handover, now: datetime) -> WorkOrder:
    expected = TAKES.get(incoming.role)
    if message.stage is not expected:
        raise HandoverError(
            f"a handover of {message.stage} arrived", where=incoming.origin, allowed=expected or "loops only"
        )
    stored = messages.find_handover(db, message.use_case, message.cycle_id, message.stage, message.attempt)
    if stored is None:
        raise HandoverError(
            f"handover {message.id} is not in the workflow store", where=incoming.origin,
            next_step="let the DAG that owns this stage make it; events alone carry no work",
        )  # fmt: skip
    cycle = cycles.get_cycle(db, message.use_case, message.cycle_id)
    if incoming.role is not Role.MONITORING:
        _require_active(db, cycle, incoming, now)
    return _order(
        stored, incoming, started_by=f"handover/{message.stage}", inputs={message.stage: stored.output}
    )


def _require_active(db: Connection, cycle: Cycle, incoming: Incoming, now: datetime) -> None:
    """The cycle must be at work; one that failed is taken up again when its task is repeated."""
    if cycle.state is State.ACTIVE:
        return
    resumed = cycle.state is State.FAILED and cycles.set_state(db, cycle, State.ACTIVE, now, "taken up again")
    if not resumed:
        raise Refused(f"cycle {cycle.cycle_id} is {cycle.state}: {cycle.note or ''}", where=incoming.origin)


def _from_loop(db: Connection, incoming: Incoming, loop: Loop, now: datetime) -> WorkOrder:
    if loop.edge.received_by is not incoming.role:
        raise HandoverError(
            f"loop {loop.edge} arrived", where=incoming.origin, allowed=f"loops to {incoming.role}"
        )
    messages.save_loop(db, loop, now)
    row = messages.find_loop(db, loop.id)
    if row and row.state != "raised" and row.received_run != incoming.run_id:
        raise Refused(f"loop {loop.id} is {row.state} already: {row.decision}", where=incoming.origin)
    contract = _contract(db, loop)
    answer = _ask_governor(db, loop, contract, now)
    state = "accepted" if answer.accepted else "refused"
    messages.decide_loop(db, loop.id, state, answer.text, incoming.run_id)
    if not answer.accepted:
        _end_refused(db, loop, answer, now)
        raise Refused(f"the governor refused {loop.edge}: {answer.text}", where=incoming.origin)
    order = _order(loop, incoming, started_by=f"loop/{loop.edge}", inputs={})
    changes = {"contract_hash": contract.hash, "step": loop.step, "reason": loop.text, "by": loop.by}
    return order.model_copy(update=changes)


def _contract(db: Connection, loop: Loop) -> Contract:
    """A new cycle works on the contract signed last, a loop inside a cycle on that cycle's."""
    wanted = None if loop.edge.opens_cycle else loop.contract_hash
    contract = contracts.signed_contract(db, loop.use_case, wanted)
    if contract is None:
        raise ContractError(
            "no signed contract", where=loop.use_case, next_step="trigger the requirements DAG"
        )
    return contract


def _ask_governor(db: Connection, loop: Loop, contract: Contract, now: datetime) -> Answer:
    give_up_stale(db, loop.use_case, contract.governor.cycle_timeout_hours, now)
    asked_by_person = loop.by != "kreislauf"
    situation = _situation(db, loop)
    if asked_by_person:  # a person need not wait for the cool-down
        situation = replace(situation, last_opened=None)
    answer = decide(loop, situation, contract.governor)
    if not answer.accepted:
        return answer
    cycle = cycles.find(db, loop.use_case, loop.cycle_id) or cycles.open_cycle(
        db, loop.use_case, origin=loop.id, started_by=f"loop/{loop.edge}", reason=loop.text, as_of=loop.as_of,
        now=now, parent_cycle_id=loop.parent_cycle_id, cycle_id=loop.cycle_id,
    )  # fmt: skip
    if not cycles.set_state(db, cycle, State.ACTIVE, now):
        return Answer(False, "another cycle became active at the same moment")
    return answer


def _situation(db: Connection, loop: Loop) -> Situation:
    accepted = messages.loops_of(
        db,
        loop.use_case,
        states=("accepted", "closed"),
        edges=tuple(edge for edge in Edge if edge.opens_cycle),
    )
    opened = [row.loop.as_of for row in accepted if row.loop.id != loop.id]
    active = cycles.in_state(db, loop.use_case, State.ACTIVE)
    waiting = [
        cycle
        for cycle in cycles.in_state(db, loop.use_case, State.WAITING)
        if cycle.cycle_id != loop.cycle_id
    ]
    return Situation(
        active=active[0] if active else None,
        waiting=waiting[0] if waiting else None,
        last_opened=max(opened, default=None),
        hops=messages.count_hops(db, loop.use_case, loop.cycle_id),
    )


def _end_refused(db: Connection, loop: Loop, answer: Answer, now: datetime) -> None:
    """A refused loop ends the cycle it asked for; one inside a cycle leaves the decision to a person."""
    if cycle := cycles.find(db, loop.use_case, loop.cycle_id):
        state = State.REFUSED if loop.edge.opens_cycle else State.WAITING
        cycles.set_state(db, cycle, state, now, answer.text)


def give_up_stale(db: Connection, use_case: str, timeout_hours: float, now: datetime) -> None:
    """An active cycle on which nothing moved for too long no longer keeps others from starting."""
    for cycle in cycles.in_state(db, use_case, State.ACTIVE):
        latest = db.scalar(
            select(func.max(handovers_table.c.created_at)).where(
                handovers_table.c.use_case == use_case, handovers_table.c.cycle_id == cycle.cycle_id
            )
        )
        moved = max(cycle.changed_at, latest) if latest else cycle.changed_at
        if now - moved > timedelta(hours=timeout_hours):
            cycles.set_state(
                db, cycle, State.FAILED, now, f"given up: nothing moved for {timeout_hours} hours"
            )


def _manual(db: Connection, incoming: Incoming, now: datetime, wall_clock: bool) -> WorkOrder:
    form = incoming.form
    if form is None:
        raise HandoverError(
            "started by hand without a use case and a reason", where=incoming.origin,
            next_step="trigger the DAG again and fill in the form",
        )  # fmt: skip
    as_of = form.as_of or (now if wall_clock else _newest_time(db, form.use_case) or now)
    contract = contracts.signed_contract(db, form.use_case)
    if contract is None and incoming.role is not Role.REQUIREMENTS:
        raise ContractError(
            "has no signed contract",
            where=form.use_case,
            next_step="trigger the requirements DAG for it first",
        )
    fields = {"contract_hash": contract.hash if contract else "0" * 64, "as_of": as_of, "run_id": incoming.run_id,
              "started_by": f"manual/{incoming.role}", "reason": form.reason, "by": form.by}  # fmt: skip
    if incoming.role is Role.MONITORING:
        return _manual_check(db, form, fields)
    cycle, attempt = _manual_cycle(db, incoming, form, as_of, now, contract)
    inputs = _latest_inputs(db, incoming.role, form.use_case)
    return WorkOrder(
        use_case=form.use_case, cycle_id=cycle.cycle_id, attempt=attempt, inputs=inputs, **fields
    )


def _manual_check(db: Connection, form: Form, fields: dict[str, object]) -> WorkOrder:
    """A check of the live release belongs to the cycle that made it live."""
    pointer = live.live(db, form.use_case)
    release = live.find_release(db, form.use_case, pointer.version) if pointer else None
    if release is None:
        raise Refused("nothing is live yet", where=form.use_case, next_step="trigger the requirements DAG")
    return WorkOrder(
        use_case=form.use_case, cycle_id=release.cycle_id, inputs={Stage.DEPLOYMENT: str(release.version)},
        forced_loop=form.loop, **fields,
    )  # fmt: skip


def _manual_cycle(
    db: Connection, incoming: Incoming, form: Form, as_of: datetime, now: datetime, contract: Contract | None
) -> tuple[Cycle, int]:
    """The cycle a manual run works in, made active; and the attempt."""
    cycle_id = _cycle_of_key(incoming, form)
    if contract:
        give_up_stale(db, form.use_case, contract.governor.cycle_timeout_hours, now)
    cycle = cycles.find(db, form.use_case, cycle_id) if cycle_id else None
    resumed = cycle is not None and cycle.origin != incoming.origin
    if cycle is None:
        cycle = cycles.open_cycle(
            db, form.use_case, origin=incoming.origin, started_by=f"manual/{incoming.role}", reason=form.reason,
            as_of=as_of, now=now, cycle_id=cycle_id,
        )  # fmt: skip
    _make_way(db, cycle, form, now)
    if cycle.state is not State.ACTIVE and not cycles.set_state(db, cycle, State.ACTIVE, now):
        other = cycles.in_state(db, form.use_case, State.ACTIVE)[0]
        if not resumed:
            cycles.set_state(db, cycle, State.REFUSED, now, f"cycle {other.cycle_id} is at work")
        raise Refused(
            f"cycle {other.cycle_id} is at work: one active cycle per use case", where=form.use_case,
            next_step="wait for it, or trigger again with override, your name and a reason",
        )  # fmt: skip
    return cycle, _next_attempt(db, cycle) if resumed else 1


def _cycle_of_key(incoming: Incoming, form: Form) -> str | None:
    if not incoming.partition_key:
        return None
    use_case, cycle_id = split_key(incoming.partition_key)
    if use_case != form.use_case:
        raise HandoverError(
            f"the partition key is of {use_case!r}, the form of {form.use_case!r}", where=incoming.origin
        )
    return cycle_id


def _make_way(db: Connection, cycle: Cycle, form: Form, now: datetime) -> None:
    """A manual run ends what waits for a person, and with an override also what is at work."""
    states = (State.WAITING, State.ACTIVE) if form.override else (State.WAITING,)
    for other in cycles.in_state(db, form.use_case, *states):
        if other.cycle_id != cycle.cycle_id:
            cycles.set_state(
                db, other, State.CLOSED, now, f"{form.by} started {cycle.cycle_id}: {form.reason}"
            )


def _next_attempt(db: Connection, cycle: Cycle) -> int:
    taken = max((one.attempt for one in messages.handovers_of(db, cycle.use_case, cycle.cycle_id)), default=0)
    return taken + 1


def _latest_inputs(db: Connection, role: Role, use_case: str) -> dict[str, str]:
    """What a role starts from when nobody handed it anything: the newest result of the role before it."""
    if role not in (Role.DATA_SCIENCE, Role.MLOPS):
        return {}
    stage = TAKES[role]
    newest = messages.latest_handover(db, use_case, stage)
    if newest is None:
        raise Refused(
            f"there is no {stage} to start from", where=use_case, next_step="start with an earlier DAG"
        )
    return {stage: newest.output}


def _newest_time(db: Connection, use_case: str) -> datetime | None:
    """The latest time the workflow has heard of: what "now" means where time comes with events."""
    tables = (cycles_table, verdicts_table)
    times = [db.scalar(select(func.max(t.c.as_of)).where(t.c.use_case == use_case)) for t in tables]
    return max((time for time in times if time), default=None)


def _order(message: Message, incoming: Incoming, *, started_by: str, inputs: dict[str, str]) -> WorkOrder:
    shared = {name: getattr(message, name) for name in Message.model_fields if name != "run_id"}
    return WorkOrder(**shared, run_id=incoming.run_id, started_by=started_by, inputs=inputs)
