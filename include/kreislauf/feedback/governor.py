"""The governor: whether a loop may start work now, and why not. A pure decision; :mod:`receipt` carries it out.

Every refusal says which rule it is, until when it holds, and who can override it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.kreislauf.feedback.past_loops import QUESTION, WEEK, is_persons, places
from include.kreislauf.handovers import Edge, Loop, Reason, Role
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store.cycles import Cycle, State

MAX_BACK_OFF = 8.0
"""The cool-down grows to at most so many times its length."""
OVERRIDE = "a person may override this, with a name and a reason"


@dataclass(frozen=True)
class Situation:
    """What the governor looks at.

    Parameters
    ----------
    cycle: the loop's own cycle, if there is one.
    active: the use case's other cycle that is at work, if any.
    waiting: the other cycle that waits for a person, if any.
    last_opened: ``as_of`` of the latest cycle that monitoring opened and the governor accepted.
    last_asked: likewise, of the latest that asked a person.
    hops: accepted loops inside the loop's own cycle.
    without_help: loops in a row that did not help.
    opened: ``as_of`` of each cycle that monitoring opened by itself within seven days of the loop, oldest first.
    """

    cycle: Cycle | None = None
    active: Cycle | None = None
    waiting: Cycle | None = None
    last_opened: datetime | None = None
    last_asked: datetime | None = None
    hops: int = 0
    without_help: int = 0
    opened: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The governor's decision and its reason, for the ledger and for people.

    Parameters
    ----------
    asks: whether who was refused is to ask a person: without that, nothing would go on.
    """

    accepted: bool
    text: str
    asks: bool = False


def decide(loop: Loop, situation: Situation, policy: Governor) -> Answer:
    """Accept a loop, or refuse it with the reason.

    A loop from monitoring asks for a new cycle: there must be no other one at work, none that waits for a person, the
    cool-down must have passed, and the week's budget must have a place. The question to a person only waits for the
    cool-down after the last question, and has the last place of the budget. A loop inside a cycle, which must not be
    over, counts as a hop; one that asks a person is always accepted, because it ends with the person. A rollback waits
    for nothing.
    """
    if loop.edge is Edge.MONITORING_TO_MLOPS:
        return _rollback(situation)
    if active := situation.active:
        ends = f"until it ends, or {policy.cycle_timeout_hours:g} hours after it last moved"
        return _no(f"cycle {active.cycle_id} is at work: one active cycle per use case", ends)
    if not loop.edge.opens_cycle:
        return _within_cycle(loop, situation, policy)
    if situation.cycle and situation.cycle.state is not State.PROPOSED:
        return _is(situation.cycle)
    if waiting := situation.waiting:
        return _no(f"cycle {waiting.cycle_id} waits for a person: {waiting.note}", "until the answer")
    if loop.override or is_persons(loop):
        return Answer(True, "no cool-down to wait for")
    return _within_budget(loop, situation, policy) or _cooled_down(loop, situation, policy)


def passes(refusal: str) -> bool:
    """Whether a refusal holds for a time only: what it held back may be raised again afterwards."""
    return refusal.endswith(OVERRIDE)


def cool_down(policy: Governor, without_help: int) -> timedelta:
    """The least time between two cycles, after some loops in a row that did not help."""
    longer: float = min(policy.back_off**without_help, MAX_BACK_OFF)
    return timedelta(days=policy.cool_down_days * longer)


def _no(what: str, until: str) -> Answer:
    return Answer(False, f"{what}; {until}; {OVERRIDE}")


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
    if loop.override:
        return Answer(True, f"hop {situation.hops + 1}: {loop.by} overrides the limit of {policy.max_hops}")
    if situation.hops >= policy.max_hops:
        limit = f"hop limit: {situation.hops} loops in this cycle, {policy.max_hops} allowed"
        return Answer(False, f"{limit}; until the end of the cycle: a person is asked", asks=True)
    # what follows from a rollback is work that monitoring began
    spent = _within_budget(loop, situation, policy) if rolled_back and not is_persons(loop) else None
    return spent or Answer(True, f"hop {situation.hops + 1} of {policy.max_hops}")


def _is(cycle: Cycle) -> Answer:
    return Answer(False, f"cycle {cycle.cycle_id} is {cycle.state}: {cycle.note or cycle.reason}")


def _within_budget(loop: Loop, situation: Situation, policy: Governor) -> Answer | None:
    """The refusal when the week's cycles are used up; ``None`` while they are not."""
    work = places(policy)
    allowed = max(work + 1, policy.weekly_budget) if loop.edge is QUESTION else work
    used = situation.opened
    if len(used) < allowed:
        return None
    kept = "" if loop.edge is QUESTION else ", the last place is kept for the question to a person"
    free = used[len(used) - allowed] + WEEK
    return _no(
        f"weekly budget: {len(used)} of {policy.weekly_budget} cycles within seven days are used up{kept}",
        f"until {free:%Y-%m-%d %H:%M}",
    )


def _cooled_down(loop: Loop, situation: Situation, policy: Governor) -> Answer:
    is_question = loop.edge is QUESTION
    last = situation.last_asked if is_question else situation.last_opened
    if last is None:
        return Answer(True, "no cool-down to wait for")
    without_help = 0 if is_question else situation.without_help
    wait = cool_down(policy, without_help)
    if loop.as_of >= last + wait:
        return Answer(True, f"the cool-down ended {last + wait:%Y-%m-%d}")
    longer = f", {without_help} loops did not help" if without_help else ""
    what = "a person was asked" if is_question else "the last cycle was opened"
    return _no(
        f"cool-down of {wait / timedelta(days=1):g} days: {what} as of {last:%Y-%m-%d}{longer}",
        f"until {last + wait:%Y-%m-%d}",
    )
