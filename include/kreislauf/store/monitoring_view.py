"""What monitoring last said of a live release, and what became of the loops: all of it by short reads of an index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from include.kreislauf.handovers import KEY_SEPARATOR
from include.kreislauf.store.receipts import MAX_REMINDERS
from include.kreislauf.store.schema import loops, receipts, reminders, verdicts
from include.kreislauf.store.signals import Signal, newest_signals


@dataclass(frozen=True)
class MonitoringView:
    """What monitoring knows of one use case.

    Parameters
    ----------
    verdicts: the newest one on each metric of the release: metric, verdict, value, low, high, threshold, evidence.
    loops: number of loops by edge and state.
    stranded: messages that nobody receives.
    checked_at: when the release was last judged, by the wall clock; ``None``: not yet.
    """

    verdicts: tuple[Row[Any], ...]
    signals: tuple[Signal, ...]
    loops: dict[tuple[str, str], int]
    stranded: int
    checked_at: datetime | None


def monitoring_view(db: Connection, use_case: str, release: int) -> MonitoringView:
    """What monitoring knows of a use case whose live release is this one."""
    found = tuple(newest_verdicts(db, use_case, release))
    counts = select(loops.c.edge, loops.c.state, func.count()).where(loops.c.use_case == use_case)
    return MonitoringView(
        verdicts=found,
        signals=tuple(newest_signals(db, use_case, release)),
        loops={(edge, state): count for edge, state, count in db.execute(counts.group_by(loops.c.edge, loops.c.state))},
        stranded=_stranded(db, use_case),
        checked_at=max((row.created_at for row in found), default=None),
    )  # fmt: skip


def newest_verdicts(db: Connection, use_case: str, release: int) -> Iterator[Row[Any]]:
    """The newest verdict on each metric of a release, as rows of the table."""
    for metric in _metrics(db, use_case):
        where = (
            verdicts.c.use_case == use_case,
            verdicts.c.metric == metric,
            verdicts.c.release == release,
        )
        yield from db.execute(select(verdicts).where(*where).order_by(verdicts.c.as_of.desc()).limit(1))


def _metrics(db: Connection, use_case: str) -> Iterator[str]:
    """Names of the metrics ever judged: one step along the index for each, however many verdicts there are."""
    name: str | None = ""
    names = select(verdicts.c.metric).where(verdicts.c.use_case == use_case).order_by(verdicts.c.metric)
    while name := db.scalar(names.where(verdicts.c.metric > name).limit(1)):
        yield name


def _stranded(db: Connection, use_case: str) -> int:
    received = select(receipts.c.message_id).where(receipts.c.message_id == reminders.c.message_id)
    where = (
        reminders.c.count >= MAX_REMINDERS,
        reminders.c.message_id.startswith(f"{use_case}{KEY_SEPARATOR}", autoescape=True),
        ~received.exists(),
    )
    return db.scalar(select(func.count()).select_from(reminders).where(*where)) or 0
