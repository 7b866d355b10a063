"""Which loops pay: per kind of loop how many there were, how many helped, by how much, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from sqlalchemy import Connection

from include.kreislauf.feedback.overview_models import LoopKind
from include.kreislauf.handovers import Role
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store import messages, receipts
from include.kreislauf.store.levels import Level, level_of
from include.kreislauf.store.messages import LoopRow

LEVEL = 0.8
"""Confidence level of the interval of a mean gain."""
MAX_LOOPS = 500
"""The summary is over so many of the newest loops."""


def loop_summary(db: Connection, use_case: str) -> tuple[LoopKind, ...]:
    """The kinds of loops of a use case (way, reason, metric), the most frequent first."""
    rows = messages.loops_of(db, use_case, limit=MAX_LOOPS)
    seconds = _machine_seconds(db, use_case, rows)
    kinds: dict[tuple[str, str, str], list[LoopRow]] = defaultdict(list)
    for row in rows:
        kinds[row.loop.edge, row.loop.reason, row.loop.metric].append(row)
    found = (_kind(members, seconds) for members in kinds.values())
    return tuple(sorted(found, key=lambda kind: (-kind.raised, kind.edge, kind.reason)))


def _kind(rows: Sequence[LoopRow], seconds: dict[str, float]) -> LoopKind:
    closed = [row for row in rows if row.state == "closed"]
    loop, gain = rows[0].loop, _gain(closed)
    return LoopKind(
        edge=loop.edge, reason=loop.reason, metric=loop.metric,
        unit=loop.metric_before.unit if loop.metric_before else "",
        raised=len(rows), refused=sum(row.state == "refused" for row in rows), closed=len(closed),
        helped=sum(bool(row.helped) for row in closed),
        surely_helped=sum(row.sure and bool(row.helped) for row in closed),
        surely_harmed=sum(row.sure and not row.helped for row in closed),
        gain=gain.value if gain else None, gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None, machine_seconds=sum(seconds[row.loop.id] for row in rows),
    )  # fmt: skip


def _gain(closed: Sequence[LoopRow]) -> Level | None:
    """The mean gain. Of one loop the interval is that of its own levels; of several, that of their spread."""
    gains = [gain for row in closed if (gain := gain_of(row)) is not None]
    if len(gains) < 2:
        return Level(gains[0], closed[0].gain_low, closed[0].gain_high) if gains else None
    interval = mean_interval(gains, LEVEL)
    return level_of(fmean(gains), interval.low, interval.high)


def gain_of(row: LoopRow) -> float | None:
    """By how much the metric is better after a loop; negative: it is worse."""
    if row.value_before is None or row.value_after is None:
        return None
    return abs(row.value_after - row.value_before) * (1 if row.helped else -1)


def _machine_seconds(db: Connection, use_case: str, rows: Sequence[LoopRow]) -> dict[str, float]:
    """Per loop the time from each receipt in its cycle to what that run made; of one inside a cycle, in its attempt.

    What waits for a person in the requirements DAG does not count.
    """
    ends = messages.last_by_run(db, use_case, {row.loop.cycle_id for row in rows})
    spent: dict[tuple[str, int], float] = defaultdict(float)
    for one in receipts.newest_receipts(db, use_case):
        _, cycle_id, _, attempt = one.message_id.split("|")
        if one.role is not Role.REQUIREMENTS and (end := ends.get((cycle_id, one.run_id))):
            spent[cycle_id, int(attempt)] += max(0.0, (end - one.received_at).total_seconds())
    whole: dict[str, float] = defaultdict(float)
    for (cycle_id, _), seconds in spent.items():
        whole[cycle_id] += seconds
    return {
        row.loop.id: whole[row.loop.cycle_id]
        if row.loop.edge.opens_cycle
        else spent[row.loop.cycle_id, row.loop.attempt]
        for row in rows
    }
