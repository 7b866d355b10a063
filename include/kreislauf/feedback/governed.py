"""What the store knows of everything that the governor looks at."""

from __future__ import annotations

from sqlalchemy import Connection

from include.kreislauf.feedback.governor import Situation
from include.kreislauf.feedback.past_loops import QUESTION, loops_without_help, opened_by_machine
from include.kreislauf.handovers import OPENING, Loop
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import Cycle, State


def governed(db: Connection, loop: Loop, cycle: Cycle | None) -> Situation:
    """The situation in which the governor decides over a loop.

    Parameters
    ----------
    cycle: the loop's own; ``None``: there is none yet.
    """
    opened = messages.loops_of(db, loop.use_case, states=("accepted", "closed"), edges=OPENING)
    others = [
        one
        for one in cycles.in_state(db, loop.use_case, State.ACTIVE, State.WAITING)
        if one.cycle_id != loop.cycle_id
    ]
    return Situation(
        cycle=cycle,
        active=next((one for one in others if one.state is State.ACTIVE), None),
        waiting=next((one for one in others if one.state is State.WAITING), None),
        last_opened=max((row.loop.as_of for row in opened), default=None),
        last_asked=max((row.loop.as_of for row in opened if row.loop.edge is QUESTION), default=None),
        hops=messages.count_hops(db, loop.use_case, loop.cycle_id),
        without_help=loops_without_help(db, loop.use_case),
        opened=opened_by_machine(db, loop.use_case, loop.as_of),
    )
