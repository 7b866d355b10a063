"""Where the ring stands: which cycle is the current one, and which of the seven disciplines has the work."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from include.kreislauf.handovers import TAKES, Edge, Frozen, Role, Stage
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.schema import handovers

ORDER = tuple(Stage)
ROLE_OF: dict[Stage, Role] = {
    Stage.REQUIREMENTS: Role.REQUIREMENTS,
    Stage.COLLECTION: Role.DATA_ENGINEERING,
    Stage.PREPARATION: Role.DATA_SCIENCE,
    Stage.TRAINING: Role.DATA_SCIENCE,
    Stage.EVALUATION: Role.DATA_SCIENCE,
    Stage.DEPLOYMENT: Role.MLOPS,
    Stage.MONITORING: Role.MONITORING,
}
"""Whose discipline each is."""


class Place(Frozen):
    """One discipline of the ring, as the current cycle sees it."""

    stage: Stage
    role: Role
    state: Literal["done", "here", "open"]


class Standing(Frozen):
    """The seven disciplines in the order of the ring, and the attempt that the current cycle is at."""

    places: tuple[Place, ...]
    attempt: int


def current_cycle(
    db: Connection, use_case: str, shown: list[Cycle], live_cycle_id: str | None
) -> Cycle | None:
    """The cycle people ask about: the one at work, else one that waits, failed last, or is live.

    Parameters
    ----------
    shown: the newest cycles, newest first.
    live_cycle_id: the cycle that made the live release.
    """
    if at_work := cycles.in_state(db, use_case, State.ACTIVE) or cycles.in_state(db, use_case, State.WAITING):
        return at_work[0]
    if shown and shown[0].state in (State.PROPOSED, State.FAILED):
        return shown[0]
    live = cycles.find(db, use_case, live_cycle_id) if live_cycle_id else None
    return live or (shown[0] if shown else None)


def standing(db: Connection, cycle: Cycle | None, raised: list[Row[Any]]) -> Standing:
    """What the cycle has done, where it is, and what is open.

    Parameters
    ----------
    raised: loops, those of the cycle among them.
    """
    if cycle is None:
        return Standing(places=tuple(_place(stage, "open") for stage in ORDER), attempt=1)
    where = (handovers.c.use_case == cycle.use_case, handovers.c.cycle_id == cycle.cycle_id)
    query = select(handovers.c.stage, handovers.c.attempt).where(*where).order_by(handovers.c.attempt)
    rows = db.execute(query)
    attempts: dict[Stage, int] = {Stage(row.stage): row.attempt for row in rows}
    here, attempt = _here(cycle, attempts, [row for row in raised if row.cycle_id == cycle.cycle_id])
    done = {stage for stage in attempts if ORDER.index(stage) < ORDER.index(here)}
    found = (
        _place(stage, "here" if stage is here else "done" if stage in done else "open") for stage in ORDER
    )
    return Standing(places=tuple(found), attempt=attempt)


def _place(stage: Stage, state: Literal["done", "here", "open"]) -> Place:
    return Place(stage=stage, role=ROLE_OF[stage], state=state)


def _here(cycle: Cycle, attempts: dict[Stage, int], own: list[Row[Any]]) -> tuple[Stage, int]:
    """The discipline that has the work, and the attempt.

    Within one attempt the loop that asked for it comes first, then the handovers in the order of the ring: the newest
    of them says where the work is, without a look at any clock.
    """
    steps = [((attempt, 1 + ORDER.index(stage)), _after(stage)) for stage, attempt in attempts.items()]
    steps += [((int(row.body.get("attempt", 1)), 0), _taken_up(row)) for row in own if row.state != "refused"]
    receiver = next((role for role in Role if cycle.started_by.endswith(role)), Role.REQUIREMENTS)
    (attempt, _), here = max(steps, key=lambda step: step[0], default=((1, 0), _first_of(receiver)))
    fixed = {State.WAITING: Stage.REQUIREMENTS, State.LIVE: Stage.MONITORING}
    return fixed.get(cycle.state, here), attempt


def _after(stage: Stage) -> Stage:
    return ORDER[min(ORDER.index(stage) + 1, len(ORDER) - 1)]


def _taken_up(loop: Row[Any]) -> Stage:
    step = loop.body.get("step")
    return Stage(step) if step else _first_of(Edge(loop.edge).received_by)


def _first_of(role: Role) -> Stage:
    """The discipline with which a role begins."""
    return _after(TAKES[role]) if role in TAKES else Stage.REQUIREMENTS
