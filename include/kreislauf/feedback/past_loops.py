"""What the loops before came to: how many in a row did not help, how many cycles of this week are used up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from include.kreislauf.handovers import MACHINE, OPENING, Edge, Loop, Reason
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State
from include.kreislauf.store.messages import LoopRow

WEEK = timedelta(days=7)
QUESTION = Edge.MONITORING_TO_REQUIREMENTS
"""The loop with which monitoring asks a person."""
_ROLLBACK = Edge.MONITORING_TO_MLOPS
_ACCEPTED = ("accepted", "closed")


def is_persons(loop: Loop) -> bool:
    """Whether a person asked for it, who need not wait; a program that raises a loop under a name of its own does."""
    return loop.by != MACHINE and loop.reason in (Reason.RETRIGGERED, Reason.ROLLED_BACK)


def places(policy: Governor) -> int:
    """Cycles that monitoring may open within seven days without a person: the last place is kept for the question."""
    return max(1, policy.weekly_budget - 1)


def loops_without_help(db: Connection, use_case: str) -> int:
    """Loops in a row, newest first, that did not help; a person who decided since begins a new count.

    One whose cycle failed for good did not help either.
    """
    count = 0
    for row in reversed(messages.loops_of(db, use_case, states=_ACCEPTED, edges=OPENING)):
        state = _state(db, row)
        ended_by_person = state is State.CLOSED and row.loop.edge is not _ROLLBACK
        if row.helped or row.loop.edge is QUESTION or ended_by_person:
            break
        count += row.helped is False or state is State.FAILED
    return count


def _state(db: Connection, row: LoopRow) -> State | None:
    cycle = cycles.find(db, row.loop.use_case, row.loop.cycle_id) if row.helped is None else None
    return cycle.state if cycle else None


def opened_by_machine(db: Connection, use_case: str, as_of: datetime) -> tuple[datetime, ...]:
    """``as_of`` of the cycles that monitoring opened by itself within seven days, oldest first.

    A rollback counts with the work that follows from it, not by itself. What is later than ``as_of`` counts too, so
    that no seven days hold more than the budget, in whatever order loops arrive.
    """
    rows = messages.loops_of(db, use_case, states=_ACCEPTED)
    own = (row.loop for row in rows if _opens_work(row.loop) and not is_persons(row.loop))
    return tuple(sorted(loop.as_of for loop in own if loop.as_of > as_of - WEEK))


def _opens_work(loop: Loop) -> bool:
    return loop.reason is Reason.ROLLED_BACK or (loop.edge.opens_cycle and loop.edge is not _ROLLBACK)


def why_ask(db: Connection, use_case: str, policy: Governor, as_of: datetime) -> tuple[Reason, str] | None:
    """Why monitoring's next loop goes to a person, not to a role; ``None`` while loops may still help."""
    if (spent := loops_without_help(db, use_case)) >= policy.ask_after:
        return Reason.LOOPS_DID_NOT_HELP, f"{spent} loops did not help"
    opened = len(opened_by_machine(db, use_case, as_of))
    if opened >= places(policy):
        text = (
            f"{opened} of {policy.weekly_budget} cycles within seven days are used up, and the breaches go on"
        )
        return Reason.BUDGET_SPENT, text
    return None
