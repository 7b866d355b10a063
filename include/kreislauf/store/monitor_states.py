"""What the sequential tests of monitoring remember: one row per metric, release and arm.

Read before a pass and written after it, in one transaction with the verdict: who finds another state than the one it
read has to judge again, so that no observation counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from include.kreislauf.errors import StoreError
from include.kreislauf.store.database import insert_once, put
from include.kreislauf.store.schema import monitor_states


@dataclass(frozen=True)
class MonitorState:
    """A memory.

    Parameters
    ----------
    release: the one that is judged, also where the arm is its control.
    test: digest of the test's parameters; a state of another test is of no use.
    as_of: time of the pass that wrote it.
    """

    use_case: str
    metric: str
    release: int
    arm: str
    test: str
    as_of: datetime
    body: dict[str, Any]


class MovedOnError(StoreError):
    """Another pass has written the memory in the meantime: judge again."""

    def __init__(self, state: MonitorState) -> None:
        super().__init__(
            "another pass judges at the same time", where=f"{state.use_case}, {state.metric}",
            next_step="judge again: what the other one has taken does not count twice",
        )  # fmt: skip


def find(db: Connection, use_case: str, metric: str, release: int, arm: str) -> MonitorState | None:
    """The memory of a metric, or ``None`` before the first pass."""
    row = db.execute(select(monitor_states).where(*_own(use_case, metric, release, arm))).first()
    return MonitorState(**row._mapping) if row else None


def save(db: Connection, new: MonitorState, before: MonitorState | None) -> None:
    """Write a memory down, in the transaction of the caller.

    Parameters
    ----------
    before: what the pass has read.

    Raises
    ------
    MovedOnError: it is no longer what the pass has read.
    """
    if before is None:
        if not insert_once(db, monitor_states, vars(new)):
            raise MovedOnError(new)
        return
    own = _own(new.use_case, new.metric, new.release, new.arm)
    row = db.execute(select(monitor_states).where(*own).with_for_update()).first()
    if row is None or MonitorState(**row._mapping) != before:
        raise MovedOnError(new)
    put(db, monitor_states, vars(new))


def _own(use_case: str, metric: str, release: int, arm: str) -> tuple[Any, ...]:
    columns = monitor_states.c
    return (
        columns.use_case == use_case,
        columns.metric == metric,
        columns.release == release,
        columns.arm == arm,
    )
