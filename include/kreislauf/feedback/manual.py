"""A DAG started by hand: in which cycle it works, from which inputs, and what must make way for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from include.kreislauf.deployment.promotion import BY_HAND
from include.kreislauf.errors import ContractError, HandoverError
from include.kreislauf.feedback.incoming import Form, Incoming, Refused
from include.kreislauf.feedback.standing import ROLE_OF
from include.kreislauf.feedback.work import give_up_stale
from include.kreislauf.handovers import TAKES, Edge, Role, Stage, WorkOrder, split_key
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import contracts, cycles, live, messages
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.schema import cycles as cycles_table
from include.kreislauf.store.schema import verdicts as verdicts_table

UNSIGNED = "0" * 64
"""Contract hash of an order that is to have a contract signed."""


def manual_order(db: Connection, incoming: Incoming, now: datetime, *, wall_clock: bool) -> WorkOrder:
    """The work order of a run that a person, a program or the clock started.

    Raises
    ------
    Refused: another cycle is at work, or there is nothing to start from.
    HandoverError: the form is missing, or does not fit the partition key.
    ContractError: the use case has no signed contract.
    """
    form = incoming.form
    if form is None:
        raise HandoverError(
            "started by hand without a use case and a reason", where=incoming.origin,
            next_step="trigger the DAG again and fill in the form",
        )  # fmt: skip
    _require_own(incoming, form)
    contract = _contract(db, incoming.role, form)
    as_of = form.as_of or (now if wall_clock else newest_time(db, form.use_case) or now)
    facts = {"use_case": form.use_case, "contract_hash": contract.hash if contract else UNSIGNED, "as_of": as_of,
             "run_id": incoming.run_id, "started_by": f"manual/{incoming.role}", "reason": form.reason,
             "by": form.by, "override": form.override, "fresh": form.fresh}  # fmt: skip
    if incoming.role is Role.MONITORING:
        return _check(db, form, facts)
    if incoming.role is Role.MLOPS and form.roll_back:
        return rollback_order(db, incoming.origin, facts, now)
    cycle_id = _cycle_of_key(incoming, form)
    if form.loop:
        return _raise_order(db, incoming, form.cycle or cycle_id, {**facts, "forced_loop": form.loop})
    inputs = _newest_inputs(db, incoming.role, form.use_case, cycle_id)
    if incoming.role is Role.MLOPS and not form.override:
        _require_another(db, form.use_case, inputs[Stage.EVALUATION], incoming)
    cycle = _make_active(db, incoming, form, contract, cycle_id=cycle_id, as_of=as_of, now=now)
    attempt = _attempt(db, cycle, incoming)
    return WorkOrder(cycle_id=cycle.cycle_id, attempt=attempt, inputs=inputs, **facts)


def rollback_order(db: Connection, origin: str, facts: dict[str, Any], now: datetime) -> WorkOrder:
    """The order to take the live release back, whatever else is at work: its cycle becomes active only afterwards.

    Parameters
    ----------
    origin: what its cycle is known by.
    facts: fields of the order.

    Raises
    ------
    Refused: nothing is live.
    """
    release = live.live_release(db, facts["use_case"])
    if release is None:
        raise Refused(
            "nothing is live yet", where=facts["use_case"], next_step="there is nothing to roll back"
        )
    cycle = cycles.open_cycle(
        db, release.use_case, origin=origin, started_by=BY_HAND, reason=facts["reason"], as_of=facts["as_of"],
        now=now, parent_cycle_id=release.cycle_id,
    )  # fmt: skip
    own = {
        "cycle_id": cycle.cycle_id,
        "inputs": {Stage.DEPLOYMENT: str(release.version)},
        "started_by": BY_HAND,
    }
    return WorkOrder(**{**facts, **own})


def make_way(db: Connection, cycle: Cycle, now: datetime, *, by: str, reason: str) -> None:
    """End what is at work or waits for a person, because someone started this cycle; tells who and why."""
    for other in cycles.in_state(db, cycle.use_case, State.WAITING, State.ACTIVE):
        if other.cycle_id != cycle.cycle_id:
            cycles.set_state(db, other, State.CLOSED, now, f"{by} started {cycle.cycle_id}: {reason}")


def _contract(db: Connection, role: Role, form: Form) -> Contract | None:
    """The contract signed last; only the requirements DAG may start without one."""
    contract = contracts.signed_contract(db, form.use_case)
    if contract is None and role is not Role.REQUIREMENTS:
        raise ContractError(
            "has no signed contract", where=form.use_case,
            allowed=contracts.signed_use_cases(db) or "(no use case has one yet)",
            next_step="trigger the requirements DAG for it first",
        )  # fmt: skip
    return contract


def _check(db: Connection, form: Form, facts: dict[str, Any]) -> WorkOrder:
    """A check of the live release belongs to the cycle that made it live."""
    release = live.live_release(db, form.use_case)
    if release is None:
        raise Refused("nothing is live yet", where=form.use_case, next_step="trigger the requirements DAG")
    inputs = {Stage.DEPLOYMENT: str(release.version)}
    return WorkOrder(cycle_id=release.cycle_id, inputs=inputs, forced_loop=form.loop, **facts)


def _require_own(incoming: Incoming, form: Form) -> None:
    """A loop is raised in the DAG of the role that may raise it, and a release is rolled back by MLOps."""
    if form.roll_back and incoming.role is not Role.MLOPS:
        raise HandoverError(
            f"roll_back is not what {incoming.role} does", where=incoming.origin, allowed=Role.MLOPS,
            next_step=f"trigger {Role.MLOPS} with this form",
        )  # fmt: skip
    if form.loop and form.loop.raised_by is not incoming.role:
        raise HandoverError(
            f"loop {form.loop} is not one that {incoming.role} raises", where=incoming.origin,
            allowed=[edge for edge in Edge if edge.raised_by is incoming.role] or "no loop here",
            next_step=f"trigger {form.loop.raised_by} with this form",
        )  # fmt: skip


def _raise_order(
    db: Connection, incoming: Incoming, cycle_id: str | None, facts: dict[str, Any]
) -> WorkOrder:
    """The order to raise a loop inside a cycle, as the attempt after the newest; the governor decides at its receipt."""
    use_case = facts["use_case"]
    cycle = cycles.find(db, use_case, cycle_id) if cycle_id else None
    if cycle is None:
        at_work = [one.cycle_id for one in cycles.in_state(db, use_case, State.ACTIVE, State.FAILED)]
        raise Refused(
            f"there is no cycle {cycle_id}" if cycle_id else f"loop {facts['forced_loop']} needs a cycle", where=use_case,
            allowed=at_work or "(none is at work or has failed)", next_step="name one of them in the field 'cycle'",
        )  # fmt: skip
    given = messages.handovers_of(db, use_case, cycle.cycle_id)
    loops = [row.loop for row in messages.loops_of(db, use_case, cycle_id=cycle.cycle_id)]
    own = [one.attempt - 1 for one in loops if one.run_id == incoming.run_id]
    attempt = max(own or [one.attempt for one in [*given, *loops]], default=1)
    return WorkOrder(cycle_id=cycle.cycle_id, attempt=attempt, **facts)


def _cycle_of_key(incoming: Incoming, form: Form) -> str | None:
    if not incoming.partition_key:
        return None
    use_case, cycle_id = split_key(incoming.partition_key)
    if use_case != form.use_case:
        raise HandoverError(
            f"the partition key is of {use_case!r}, the form of {form.use_case!r}", where=incoming.origin
        )
    return cycle_id


def _newest_inputs(db: Connection, role: Role, use_case: str, cycle_id: str | None) -> dict[str, str]:
    """What a role starts from when nobody handed it anything: the newest result of the role before it.

    A cycle that is taken up again starts from its own.
    """
    if role not in (Role.DATA_SCIENCE, Role.MLOPS):
        return {}
    stage = TAKES[role]
    own = messages.latest_handover(db, use_case, stage, cycle_id=cycle_id) if cycle_id else None
    newest = own or messages.latest_handover(db, use_case, stage)
    if newest is None:
        raise Refused(
            f"there is no {stage} to start from", where=use_case, next_step="start with an earlier DAG"
        )
    return {stage: newest.output}


def _require_another(db: Connection, use_case: str, candidate: str, incoming: Incoming) -> None:
    """The candidate must not be the one that is live: its release again would be the same under another number."""
    pointer = live.live(db, use_case)
    made = (
        messages.find_handover_of(db, use_case, Stage.DEPLOYMENT, str(pointer.version)) if pointer else None
    )
    if pointer and made and made.run_id != incoming.run_id and made.inputs.get(Stage.EVALUATION) == candidate:
        raise Refused(
            f"the newest candidate is what is live: release {pointer.version} was made of {candidate}", where=use_case,
            next_step="trigger data_science for another candidate, or mlops again with override, your name and a reason",
        )  # fmt: skip


def _make_active(
    db: Connection, incoming: Incoming, form: Form, contract: Contract | None, *, cycle_id: str | None,
    as_of: datetime, now: datetime,
) -> Cycle:  # fmt: skip
    """The cycle a manual run works in: the one of its key, or a new one."""
    if contract:
        give_up_stale(db, form.use_case, contract.governor.cycle_timeout_hours, now)
    known = cycles.find(db, form.use_case, cycle_id) if cycle_id else None
    cycle = known or cycles.open_cycle(
        db, form.use_case, origin=incoming.origin, started_by=f"manual/{incoming.role}", reason=form.reason,
        as_of=as_of, now=now, cycle_id=cycle_id,
    )  # fmt: skip
    if not form.override and _others_at_work(db, cycle):
        raise _refuse(db, cycle, now)
    make_way(db, cycle, now, by=form.by, reason=form.reason)
    if cycle.state is not State.ACTIVE and not cycles.set_state(db, cycle, State.ACTIVE, now):
        raise _refuse(db, cycle, now)
    return cycle


def _others_at_work(db: Connection, cycle: Cycle) -> list[str]:
    at_work = cycles.in_state(db, cycle.use_case, State.ACTIVE)
    return [other.cycle_id for other in at_work if other.cycle_id != cycle.cycle_id]


def _refuse(db: Connection, cycle: Cycle, now: datetime) -> Refused:
    """The refusal of a manual run; the cycle that it opened remembers it."""
    text = f"cycle {', '.join(_others_at_work(db, cycle))} is at work: one active cycle per use case"
    if cycle.state is State.PROPOSED:
        cycles.set_state(db, cycle, State.REFUSED, now, text)
    return Refused(
        text, where=cycle.use_case,
        next_step="wait for it, or trigger again with override, your name and a reason",
    )  # fmt: skip


def _attempt(db: Connection, cycle: Cycle, incoming: Incoming) -> int:
    """The attempt that this run has begun, or the next one: what an attempt before left must not be mixed in."""
    given = messages.handovers_of(db, cycle.use_case, cycle.cycle_id)
    loops = [row.loop for row in messages.loops_of(db, cycle.use_case, cycle_id=cycle.cycle_id)]
    begun = [(one.run_id, ROLE_OF[one.stage], one.attempt) for one in given]
    begun += [(one.run_id, one.edge.raised_by, one.attempt - 1) for one in loops]
    own = [attempt for run_id, role, attempt in begun if (run_id, role) == (incoming.run_id, incoming.role)]
    taken = [one.attempt + 1 for one in given] + [one.attempt for one in loops]
    return max(own or taken, default=1)


def newest_time(db: Connection, use_case: str) -> datetime | None:
    """The latest time the workflow has heard of: what "now" means where time comes with events."""
    tables = (cycles_table, verdicts_table)
    times = [db.scalar(select(func.max(t.c.as_of)).where(t.c.use_case == use_case)) for t in tables]
    return max((time for time in times if time), default=None)
