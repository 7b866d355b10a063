"""Cycles: one row per pass around the ring, with what opened it and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import IntegrityError

from include.kreislauf.errors import StoreError
from include.kreislauf.handovers import cycle_id_for, partition_key
from include.kreislauf.store.database import insert_once
from include.kreislauf.store.schema import cycles


class State(StrEnum):
    """Where a cycle stands."""

    PROPOSED = "proposed"  # a loop asked for it; the governor has not decided
    ACTIVE = "active"  # work goes on
    WAITING = "waiting"  # a person must decide
    LIVE = "live"  # its release went live
    REFUSED = "refused"  # the governor said no
    FAILED = "failed"  # a task failed for good
    CLOSED = "closed"  # ended without a release, by a person or by a later cycle


@dataclass(frozen=True)
class Cycle:
    """One pass around the ring."""

    use_case: str
    cycle_id: str
    number: int
    parent_cycle_id: str | None
    origin: str
    started_by: str
    reason: str
    state: State
    note: str | None
    as_of: datetime
    opened_at: datetime
    changed_at: datetime

    @property
    def key(self) -> str:
        """Partition key of the cycle's events and runs."""
        return partition_key(self.use_case, self.cycle_id)


def open_cycle(
    db: Connection, use_case: str, *, origin: str, started_by: str, reason: str, as_of: datetime, now: datetime,
    parent_cycle_id: str | None = None, cycle_id: str | None = None, state: State = State.PROPOSED,
) -> Cycle:  # fmt: skip
    """Open a cycle, or return the one that the same origin opened before.

    Parameters
    ----------
    origin: what opened it (a DAG run, a loop). The same origin never opens a second cycle.
    cycle_id: the id to use; by default the next number and ``as_of``.
    """
    if known := find_by_origin(db, use_case, origin):
        return known
    highest = db.scalar(select(func.max(cycles.c.number)).where(cycles.c.use_case == use_case)) or 0
    for number in range(highest + 1, highest + 100):
        values: dict[str, Any] = {
            "use_case": use_case, "cycle_id": cycle_id or cycle_id_for(number, as_of), "number": number,
            "parent_cycle_id": parent_cycle_id, "origin": origin, "started_by": started_by, "reason": reason,
            "state": state, "as_of": as_of, "opened_at": now, "changed_at": now,
        }  # fmt: skip
        if insert_once(db, cycles, values):
            return get_cycle(db, use_case, values["cycle_id"])
        if known := find_by_origin(db, use_case, origin):
            return known
        if cycle_id and find(db, use_case, cycle_id):
            return get_cycle(db, use_case, cycle_id)
    raise StoreError("no free cycle number", where=f"cycles of {use_case}")


def find(db: Connection, use_case: str, cycle_id: str) -> Cycle | None:
    """A cycle by its id, or ``None``."""
    where = (cycles.c.use_case == use_case, cycles.c.cycle_id == cycle_id)
    return _first(db, select(cycles).where(*where))


def find_by_origin(db: Connection, use_case: str, origin: str) -> Cycle | None:
    """The cycle that something opened, or ``None``."""
    return _first(db, select(cycles).where(cycles.c.use_case == use_case, cycles.c.origin == origin))


def opened_by(db: Connection, use_case: str, origin: str) -> list[Cycle]:
    """Cycles of a use case whose origin begins with a text, oldest first."""
    where = (cycles.c.use_case == use_case, cycles.c.origin.startswith(origin, autoescape=True))
    return [_cycle(row) for row in db.execute(select(cycles).where(*where).order_by(cycles.c.number))]


def get_cycle(db: Connection, use_case: str, cycle_id: str) -> Cycle:
    """A cycle by its id.

    Raises
    ------
    StoreError: there is none.
    """
    if (cycle := find(db, use_case, cycle_id)) is None:
        raise StoreError(
            f"no cycle {cycle_id!r}", where=f"use case {use_case}",
            next_step="leave the partition key empty to open a new cycle",
        )  # fmt: skip
    return cycle


def in_state(db: Connection, use_case: str, *states: State) -> list[Cycle]:
    """Cycles of a use case in one of some states, newest first."""
    query = select(cycles).where(cycles.c.use_case == use_case, cycles.c.state.in_(states))
    return [_cycle(row) for row in db.execute(query.order_by(cycles.c.number.desc()))]


def all_cycles(db: Connection, use_case: str, limit: int = 1000) -> list[Cycle]:
    """The newest cycles of a use case, oldest first."""
    query = select(cycles).where(cycles.c.use_case == use_case).order_by(cycles.c.number.desc()).limit(limit)
    return [_cycle(row) for row in db.execute(query)][::-1]


def use_cases(db: Connection) -> list[str]:
    """Every use case that ever had a cycle, by name."""
    return list(db.scalars(select(cycles.c.use_case).distinct().order_by(cycles.c.use_case)))


def set_state(db: Connection, cycle: Cycle, state: State, now: datetime, note: str | None = None) -> bool:
    """Move a cycle to a state. ``False`` when it should become active and another one is."""
    where = (cycles.c.use_case == cycle.use_case, cycles.c.cycle_id == cycle.cycle_id)
    try:
        with db.begin_nested():
            db.execute(update(cycles).where(*where).values(state=state, changed_at=now, note=note))
    except IntegrityError:
        return False
    return True


def _first(db: Connection, query: Any) -> Cycle | None:
    row = db.execute(query).first()
    return _cycle(row) if row else None


def _cycle(row: Row[Any]) -> Cycle:
    return Cycle(**{**row._mapping, "state": State(row.state)})
