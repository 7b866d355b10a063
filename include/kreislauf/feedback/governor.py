"""The governor: whether a loop may start work now, and why not. A pure decision; :mod:`receipt` carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.kreislauf.handovers import Edge, Loop, Reason, Role
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store.cycles import Cycle, State


@dataclass(frozen=True)
class Situation:
    """What the governor looks at.

    Parameters
    ----------
    cycle: the loop's own cycle, if there is one.
    active: the use case's other cycle that is at work, if any.
    waiting: the other cycle that waits for a person, if any.
    last_opened: ``as_of`` of the latest cycle that monitoring opened and the governor accepted.
    hops: accepted loops inside the loop's own cycle.
    """

    cycle: Cycle | None = None
    active: Cycle | None = None
    waiting: Cycle | None = None
    last_opened: datetime | None = None
    hops: int = 0


@dataclass(frozen=True)
class Answer:
    """The governor's decision and its reason, for the ledger and for people."""

    accepted: bool
    text: str


def decide(loop: Loop, situation: Situation, policy: Governor) -> Answer:
    """Accept a loop, or refuse it with the reason.

    A loop from monitoring asks for a new cycle: there must be no other one at work, none that waits for a person, and
    the cool-down must have passed. A loop inside a cycle, which must not be over, counts as a hop; one that asks a
    person is always accepted, because it ends with the person. A rollback waits for nothing.
    """
    if loop.edge is Edge.MONITORING_TO_MLOPS:
        return _rollback(situation)
    if situation.active:
        return Answer(False, f"cycle {situation.active.cycle_id} is at work: one active cycle per use case")
    if not loop.edge.opens_cycle:
        return _within_cycle(loop, situation, policy)
    if situation.cycle and situation.cycle.state is not State.PROPOSED:
        return _is(situation.cycle)
    if waiting := situation.waiting:
        return Answer(False, f"cycle {waiting.cycle_id} waits for a person: {waiting.note}")
    return _cooled_down(loop, situation.last_opened, policy)


def _rollback(situation: Situation) -> Answer:
    if situation.cycle and situation.cycle.state is not State.PROPOSED:
        return _is(situation.cycle)
    busy = f", although cycle {situation.active.cycle_id} is at work" if situation.active else ""
    return Answer(True, f"a rollback waits for nothing{busy}")


def _within_cycle(loop: Loop, situation: Situation, policy: Governor) -> Answer:
    if situation.cycle is None:
        return Answer(False, f"there is no cycle {loop.cycle_id}")
    # the cycle of a rollback becomes active only after it
    rolled_back = loop.reason is Reason.ROLLED_BACK and situation.cycle.state is State.PROPOSED
    if situation.cycle.state not in (State.ACTIVE, State.FAILED) and not rolled_back:
        return _is(situation.cycle)
    if loop.edge.received_by is Role.REQUIREMENTS:
        return Answer(True, "a person decides")
    if situation.hops >= policy.max_hops:
        return Answer(False, f"hop limit: {situation.hops} loops in this cycle, {policy.max_hops} allowed")
    return Answer(True, f"hop {situation.hops + 1} of {policy.max_hops}")


def _is(cycle: Cycle) -> Answer:
    return Answer(False, f"cycle {cycle.cycle_id} is {cycle.state}: {cycle.note or cycle.reason}")


def _cooled_down(loop: Loop, last_opened: datetime | None, policy: Governor) -> Answer:
    if last_opened is None:
        return Answer(True, "no cool-down to wait for")
    ready_at = last_opened + timedelta(days=policy.cool_down_days)
    if loop.as_of < ready_at:
        return Answer(
            False,
            f"cool-down until {ready_at:%Y-%m-%d}: the last cycle was opened as of {last_opened:%Y-%m-%d}",
        )
    return Answer(True, f"the cool-down ended {ready_at:%Y-%m-%d}")
