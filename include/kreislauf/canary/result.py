"""What came of a canary: one line for people, kept with its cycle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from include.kreislauf.settings import CANARY
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

START, WAIT, ASK, TIDY = "start", "wait_for_the_ring", "ask_the_service", "tidy"
"""Tasks of the canary's DAG."""
FAULT = "fault"
"""Key under which a task tells what does not work."""


def passed(seconds: Mapping[str, float], cycle_id: str, release: int | None, tracking: str) -> str:
    """The line of a canary that came through.

    Parameters
    ----------
    seconds: by stage, in their order.
    tracking: what became of the experiment tracking.
    """
    stages = ", ".join(f"{stage} {took:.1f} s" for stage, took in seconds.items())
    return f"canary passed in {sum(seconds.values()):.1f} s: {stages}; cycle {cycle_id}, release {release}; {tracking}"


def write_down(store: Store, cycle_id: str, note: str, now: datetime, *, over: bool) -> None:
    """Keep a line with the canary's cycle, if there is one.

    Parameters
    ----------
    over: whether the cycle ends where it stands: nobody is reminded of it any more.
    """
    with store.write() as db:
        cycle = cycles.find(db, CANARY, cycle_id)
        if cycle is None:
            return
        open_ones = (State.ACTIVE, State.PROPOSED, State.WAITING, State.FAILED)
        state = State.CLOSED if over and cycle.state in open_ones else cycle.state
        cycles.set_state(db, cycle, state, now, note)
