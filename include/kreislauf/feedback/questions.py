"""A cycle that waits for a person's answer in the middle of a discipline, and goes on with it."""

from __future__ import annotations

from datetime import datetime

from include.kreislauf.handovers import WorkOrder
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

TOO_GOOD = "too good to be true? the data scientist is asked"


def wait(store: Store, order: WorkOrder, now: datetime, note: str = TOO_GOOD) -> None:
    """The cycle waits; it no longer counts as at work."""
    with store.write() as db:
        cycles.set_state(db, cycles.get_cycle(db, order.use_case, order.cycle_id), State.WAITING, now, note)


def take_up(store: Store, order: WorkOrder, now: datetime, note: str) -> bool:
    """The cycle goes on; ``False`` when another one took its place meanwhile."""
    with store.write() as db:
        cycle = cycles.get_cycle(db, order.use_case, order.cycle_id)
        if cycle.state is State.ACTIVE:
            return True
        return cycle.state is State.WAITING and cycles.set_state(db, cycle, State.ACTIVE, now, note)
