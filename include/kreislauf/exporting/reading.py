"""Reads the workflow store for the exporter: a fixed number of queries, whatever the number of use cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, union_all

from include.kreislauf.exporting import metrics
from include.kreislauf.exporting.metrics import Sheet
from include.kreislauf.feedback.standing import ORDER, ROLE_OF
from include.kreislauf.feedback.stranded import RECEIVERS
from include.kreislauf.handovers import Edge, Role, Stage
from include.kreislauf.store.cycles import State
from include.kreislauf.store.rollouts import TRIED
from include.kreislauf.store.schema import (
    cycles,
    handovers,
    live_releases,
    loops,
    promotions,
    receipts,
    releases,
    rollouts,
    verdicts,
)

WINDOW = timedelta(hours=24)
"""Latencies are told over so much of the past."""
QUANTILES = (0.5, 0.9, 1.0)
VERDICT_KINDS = ("healthy", "inconclusive", "breach")
DECISIONS = {"accepted": "accepted", "closed": "accepted", "refused": "refused"}
"""State of a loop in the ledger -> what the governor had decided."""
OPEN = (State.ACTIVE, State.PROPOSED, State.WAITING)


def read_workflow(db: Connection, sheet: Sheet, now: datetime) -> None:
    """Write down what the tables of the workflow tell; the log's size is told by :mod:`sizes`."""
    names = _cycles(db, sheet)
    _loops(db, sheet, names)
    _verdicts(db, sheet, names)
    _open(db, sheet)
    _latency(db, sheet, now)
    _live(db, sheet)
    _challengers(db, sheet)


def _cycles(db: Connection, sheet: Sheet) -> list[str]:
    """Counts the cycles; names of the use cases."""
    query = select(cycles.c.use_case, cycles.c.state, func.count()).group_by(cycles.c.use_case, cycles.c.state)  # fmt: skip
    counted = {(name, state): count for name, state, count in db.execute(query)}
    names = sorted({name for name, _ in counted})
    for name in names:
        for state in State:
            sheet.put(metrics.CYCLES, counted.get((name, state), 0), name, state)
    return names


def _loops(db: Connection, sheet: Sheet, names: Sequence[str]) -> None:
    keys = loops.c["use_case", "edge", "reason", "state", "helped"]
    edges: dict[tuple[str, str, str], int] = defaultdict(int)
    reasons: dict[tuple[str, str, str], int] = defaultdict(int)
    helped: dict[tuple[str, str], int] = defaultdict(int)
    query = select(*keys, func.count().label("times")).group_by(*keys)
    for row in db.execute(query):
        name, state, count = row.use_case, row.state, row.times
        if decision := DECISIONS.get(state):
            edges[name, row.edge, decision] += count
            reasons[name, row.reason, decision] += count
        if state == "closed":
            helped[name, "yes" if row.helped else "no"] += count
    # zeros too: what rises from nothing is not seen as a rise
    for name in names:
        for decision in ("accepted", "refused"):
            for edge in Edge:
                sheet.put(metrics.LOOPS_DECIDED, edges[name, edge, decision], name, edge, decision)
        for answer in ("yes", "no"):
            sheet.put(metrics.LOOPS_HELPED, helped[name, answer], name, answer)
    for key, count in sorted(reasons.items()):
        sheet.put(metrics.LOOPS_REASONS, count, *key)


def _verdicts(db: Connection, sheet: Sheet, names: Sequence[str]) -> None:
    keys = verdicts.c["use_case", "verdict"]
    last, times = func.max(verdicts.c.created_at).label("last"), func.count().label("times")
    counted: dict[tuple[str, str], int] = {}
    newest: dict[str, datetime] = {}
    for row in db.execute(select(*keys, times, last).group_by(*keys)):
        counted[row.use_case, row.verdict] = row.times
        newest[row.use_case] = max(row.last, newest.get(row.use_case, row.last))
    for name in names:
        for verdict in VERDICT_KINDS:
            sheet.put(metrics.VERDICTS, counted.get((name, verdict), 0), name, verdict)
    for name, at in sorted(newest.items()):
        sheet.put(metrics.VERDICT_AT, at.timestamp(), name)


@dataclass(frozen=True)
class _Newest:
    """The message of an open cycle that says who has the work."""

    place: tuple[int, int]
    at: datetime
    role: Role
    awaited: bool


def _open(db: Connection, sheet: Sheet) -> None:
    """The cycles that are not over: how long they work, wait for a person, or for somebody to take a message up."""
    query = select(*cycles.c["use_case", "cycle_id", "state", "opened_at", "changed_at"])
    found = db.execute(query.where(cycles.c.state.in_(OPEN))).all()
    newest, moved = _newest_messages(db)
    asked: dict[Role, int] = dict.fromkeys(Role, 0)
    for one in found:
        last = newest.get((one.use_case, one.cycle_id))
        if one.state == State.WAITING:
            role = last.role if last else Role.REQUIREMENTS
            asked[role] += 1
            sheet.put(metrics.QUESTION_SINCE, one.changed_at.timestamp(), one.use_case, role)
        elif last and last.awaited:
            sheet.put(metrics.MESSAGE_SINCE, last.at.timestamp(), one.use_case, last.role)
        if one.state == State.ACTIVE:
            at = max(one.changed_at, moved.get((one.use_case, one.cycle_id), one.changed_at))
            sheet.put(metrics.CYCLE_OPENED, one.opened_at.timestamp(), one.use_case)
            sheet.put(metrics.CYCLE_MOVED, at.timestamp(), one.use_case)
    for role, count in asked.items():
        sheet.put(metrics.QUESTIONS, count, role)


Cycles = dict[tuple[str, str], Any]


def _newest_messages(db: Connection) -> tuple[Cycles, Cycles]:
    """Of each open cycle its newest message by the order of the ring, and when it last recorded one."""
    newest: Cycles = {}
    moved: Cycles = {}
    for key, message in (*_handed_over(db), *_raised(db)):
        newest[key] = max(newest.get(key, message), message, key=lambda one: one.place)
        moved[key] = max(moved.get(key, message.at), message.at)
    return newest, moved


def _of_open(table: Any) -> tuple[Any, Any]:
    """A join with the open cycles, and the condition."""
    same = (cycles.c.use_case == table.c.use_case) & (cycles.c.cycle_id == table.c.cycle_id)
    return cycles.join(table, same), cycles.c.state.in_(OPEN)


def _handed_over(db: Connection) -> Iterator[tuple[tuple[str, str], _Newest]]:
    joined, is_open = _of_open(handovers)
    joined = joined.outerjoin(receipts, receipts.c.message_id == handovers.c.id)
    columns = (*handovers.c["use_case", "cycle_id", "stage", "attempt", "created_at"], receipts.c.run_id)
    for one in db.execute(select(*columns).select_from(joined).where(is_open)):
        stage = Stage(one.stage)
        after = ORDER[min(ORDER.index(stage) + 1, len(ORDER) - 1)]
        place = (one.attempt, ORDER.index(stage))
        awaited = stage in RECEIVERS and one.run_id is None
        role = RECEIVERS.get(stage, ROLE_OF[after])
        yield (one.use_case, one.cycle_id), _Newest(place, one.created_at, role, awaited)


def _raised(db: Connection) -> Iterator[tuple[tuple[str, str], _Newest]]:
    joined, is_open = _of_open(loops)
    columns = (
        *loops.c["use_case", "cycle_id", "edge", "state", "created_at"],
        loops.c.body["attempt"].as_integer().label("attempt"),
    )
    for one in db.execute(select(*columns).select_from(joined).where(is_open, loops.c.state != "refused")):
        role = Edge(one.edge).received_by
        yield (
            (one.use_case, one.cycle_id),
            _Newest((one.attempt, -1), one.created_at, role, one.state == "raised"),
        )


def _latency(db: Connection, sheet: Sheet, now: datetime) -> None:
    seconds: dict[str, list[float]] = {role: [] for role in Role}
    for role, received, emitted in db.execute(_taken_up(now - WINDOW)):
        seconds[role].append(max(0.0, (received - emitted).total_seconds()))
    for role, values in seconds.items():
        sheet.put(metrics.RECEIVED, len(values), role)
        for share in QUANTILES if values else ():
            sheet.put(metrics.LATENCY, quantile(values, share), role, f"{share:g}")


def _taken_up(since: datetime) -> Any:
    """Role, time of receipt, and time of the message, of everything taken up since a time."""
    parts = (
        select(receipts.c.role, receipts.c.received_at, table.c.created_at)
        .select_from(receipts.join(table, table.c.id == receipts.c.message_id))
        .where(receipts.c.received_at >= since)
        for table in (handovers, loops)
    )
    return union_all(*parts)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as a share of all (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _live(db: Connection, sheet: Sheet) -> None:
    same_release = (releases.c.use_case == live_releases.c.use_case) & (
        releases.c.version == live_releases.c.version
    )
    same_change = (promotions.c.use_case == live_releases.c.use_case) & (
        promotions.c.revision == live_releases.c.revision
    )
    joined = live_releases.join(releases, same_release).join(promotions, same_change)
    family = releases.c.manifest["family"].as_string().label("family")
    columns = (*live_releases.c["use_case", "version"], releases.c.cycle_id, family, promotions.c.at)
    for one in db.execute(select(*columns).select_from(joined)):
        sheet.put(metrics.LIVE, 1, one.use_case, str(one.version), one.cycle_id, one.family or "")
        sheet.put(metrics.LIVE_SINCE, one.at.timestamp(), one.use_case)


def _challengers(db: Connection, sheet: Sheet) -> None:
    columns = rollouts.c["use_case", "state", "state_at"]
    for one in db.execute(select(*columns).where(rollouts.c.state.in_(TRIED))):
        for state in TRIED:
            sheet.put(metrics.CHALLENGER, float(one.state == state), one.use_case, state)
        sheet.put(metrics.CHALLENGER_SINCE, one.state_at.timestamp(), one.use_case)
