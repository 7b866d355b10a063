"""Handovers and loops as rows: written once per (cycle, stage or edge, attempt), whoever writes first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from include.kreislauf.handovers import Edge, Handover, Loop, Stage, to_extra
from include.kreislauf.store.database import insert_once
from include.kreislauf.store.schema import handovers, loops


@dataclass(frozen=True)
class LoopRow:
    """A loop of the ledger: what was raised, what became of it, and whether it helped."""

    loop: Loop
    state: str
    decision: str | None
    received_run: str | None
    value_before: float | None
    before_low: float | None
    before_high: float | None
    value_after: float | None
    after_low: float | None
    after_high: float | None
    gain_low: float | None
    gain_high: float | None
    helped: bool | None
    override_by: str | None
    override_reason: str | None
    created_at: datetime

    @property
    def sure(self) -> bool:
        """Whether the interval of the gain excludes zero."""
        return bool((self.gain_low or 0.0) > 0 or (self.gain_high or 0.0) < 0)


@dataclass(frozen=True)
class Measured:
    """A business metric before and after a loop, and its gain in the direction that is better, each with its interval."""

    before_low: float | None
    before_high: float | None
    value_after: float
    after_low: float | None
    after_high: float | None
    gain_low: float | None
    gain_high: float | None
    helped: bool


def save_handover(db: Connection, handover: Handover, document: str, now: datetime) -> Handover:
    """Write a handover down; returns the one that stands for this (cycle, stage, attempt), new or old."""
    values = {
        "id": handover.id, "use_case": handover.use_case, "cycle_id": handover.cycle_id, "stage": handover.stage,
        "attempt": handover.attempt, "run_id": handover.run_id, "output": handover.output,
        "body": to_extra(handover), "document": document, "created_at": now,
    }  # fmt: skip
    if insert_once(db, handovers, values):
        return handover
    stored = find_handover(db, handover.use_case, handover.cycle_id, handover.stage, handover.attempt)
    return stored or handover


def find_handover(
    db: Connection, use_case: str, cycle_id: str, stage: Stage, attempt: int
) -> Handover | None:
    """The handover of a stage in one attempt of a cycle, or ``None``."""
    query = select(handovers.c.body).where(
        handovers.c.use_case == use_case, handovers.c.cycle_id == cycle_id,
        handovers.c.stage == stage, handovers.c.attempt == attempt,
    )  # fmt: skip
    body = db.scalar(query)
    return Handover.model_validate(body) if body else None


def latest_handover(
    db: Connection, use_case: str, stage: Stage, *, cycle_id: str | None = None
) -> Handover | None:
    """The newest handover of a stage, of one cycle or of all."""
    query = select(handovers.c.body).where(handovers.c.use_case == use_case, handovers.c.stage == stage)
    if cycle_id:
        query = query.where(handovers.c.cycle_id == cycle_id)
    newest = query.order_by(handovers.c.created_at.desc(), handovers.c.attempt.desc()).limit(1)
    body = db.scalar(newest)
    return Handover.model_validate(body) if body else None


def find_handover_of(db: Connection, use_case: str, stage: Stage, output: str) -> Handover | None:
    """The handover that gave on a version first, or ``None``."""
    where = (handovers.c.use_case == use_case, handovers.c.stage == stage, handovers.c.output == output)
    body = db.scalar(select(handovers.c.body).where(*where).order_by(handovers.c.created_at).limit(1))
    return Handover.model_validate(body) if body else None


def newest_handovers(
    db: Connection, use_case: str, stage: Stage, limit: int, *, before: datetime | None = None
) -> list[Handover]:
    """The last handovers of a stage in all cycles, newest first; those only that were recorded before a time."""
    where = [handovers.c.use_case == use_case, handovers.c.stage == stage]
    where += [handovers.c.created_at < before] if before else []
    order = (handovers.c.created_at.desc(), handovers.c.attempt.desc())
    query = select(handovers.c.body).where(*where).order_by(*order).limit(limit)
    return [Handover.model_validate(body) for body in db.scalars(query)]


def handovers_of(db: Connection, use_case: str, cycle_id: str) -> list[Handover]:
    """All handovers of a cycle, oldest first."""
    return [one for one, _ in recorded_handovers(db, use_case, cycle_id)]


def recorded_handovers(db: Connection, use_case: str, cycle_id: str) -> list[tuple[Handover, datetime]]:
    """All handovers of a cycle with the time of their recording, oldest first."""
    where = (handovers.c.use_case == use_case, handovers.c.cycle_id == cycle_id)
    query = select(handovers.c.body, handovers.c.created_at).where(*where).order_by(handovers.c.created_at)
    return [(Handover.model_validate(row.body), row.created_at) for row in db.execute(query)]


def document_of(db: Connection, handover_id: str) -> str | None:
    """The readable form of a handover, in Markdown."""
    return db.scalar(select(handovers.c.document).where(handovers.c.id == handover_id))


def save_loop(db: Connection, loop: Loop, now: datetime, document: str = "") -> bool:
    """Write a loop down as raised; ``False`` when it is in the ledger already."""
    before = loop.metric_before.value if loop.metric_before else None
    values = {
        "id": loop.id, "use_case": loop.use_case, "cycle_id": loop.cycle_id, "edge": loop.edge,
        "reason": loop.reason, "body": to_extra(loop), "as_of": loop.as_of, "created_at": now,
        "state": "raised", "value_before": before, "document": document,
    }  # fmt: skip
    return insert_once(db, loops, values)


def ledger_entry(db: Connection, loop: Loop, now: datetime, document: str = "") -> LoopRow:
    """The loop as it stands in the ledger; written down as raised when it is new."""
    save_loop(db, loop, now, document)
    return _loop(db.execute(select(loops).where(loops.c.id == loop.id)).one())


def decide_loop(
    db: Connection, loop_id: str, state: str, decision: str, run_id: str, **override: str
) -> None:
    """Write down what the governor answered, to which DAG run."""
    values: dict[str, Any] = {"state": state, "decision": decision, "received_run": run_id, **override}
    db.execute(update(loops).where(loops.c.id == loop_id).values(**values))


def close_loop(db: Connection, loop_id: str, measured: Measured) -> None:
    """Close a loop in the ledger with the business metric before and after it."""
    db.execute(update(loops).where(loops.c.id == loop_id).values(state="closed", **vars(measured)))


def find_loop(db: Connection, loop_id: str) -> LoopRow | None:
    """A loop of the ledger by its id, or ``None``."""
    row = db.execute(select(loops).where(loops.c.id == loop_id)).first()
    return _loop(row) if row else None


def loops_of(
    db: Connection, use_case: str, *, states: tuple[str, ...] = (), edges: tuple[Edge, ...] = (),
    cycle_id: str | None = None, limit: int | None = None,
) -> list[LoopRow]:  # fmt: skip
    """Loops of a use case, oldest first, filtered where asked; with a limit, the newest of them."""
    query = select(loops).where(loops.c.use_case == use_case)
    if states:
        query = query.where(loops.c.state.in_(states))
    if edges:
        query = query.where(loops.c.edge.in_(edges))
    if cycle_id:
        query = query.where(loops.c.cycle_id == cycle_id)
    newest = query.order_by(loops.c.created_at.desc(), loops.c.id.desc()).limit(limit)
    return [_loop(row) for row in db.execute(newest)][::-1]


def last_by_run(db: Connection, use_case: str, cycle_ids: Collection[str]) -> dict[tuple[str, str], datetime]:
    """When each run of some cycles recorded its last message, by cycle and run."""
    found: dict[tuple[str, str], datetime] = {}
    for table in (handovers, loops):
        run_id = table.c.run_id if table is handovers else loops.c.body["run_id"].as_string()
        query = select(table.c.cycle_id, run_id.label("run_id"), table.c.created_at)
        where = (table.c.use_case == use_case, table.c.cycle_id.in_(cycle_ids))
        for row in db.execute(query.where(*where).order_by(table.c.created_at)):
            key = (row.cycle_id, row.run_id)
            found[key] = max(row.created_at, found.get(key, row.created_at))
    return found


def count_hops(db: Connection, use_case: str, cycle_id: str) -> int:
    """Accepted loops inside a cycle; the one that opened it does not count."""
    inside = [edge for edge in Edge if not edge.opens_cycle]
    query = select(func.count()).where(
        loops.c.use_case == use_case, loops.c.cycle_id == cycle_id,
        loops.c.state == "accepted", loops.c.edge.in_(inside),
    )  # fmt: skip
    return db.scalar(query) or 0


def _loop(row: Row[Any]) -> LoopRow:
    fields = {name: row._mapping[name] for name in LoopRow.__dataclass_fields__ if name != "loop"}
    return LoopRow(loop=Loop.model_validate(row.body), **fields)
