"""The service's worker processes: which releases each of them holds, as they say themselves every second or so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from include.kreislauf.store.database import put
from include.kreislauf.store.schema import workers

ALIVE_SECONDS = 10.0
"""A worker that has said nothing for so long is taken for dead."""


@dataclass(frozen=True)
class Worker:
    """One process of the service.

    Parameters
    ----------
    serving: use case -> slot (``champion``, ``candidate``) -> version that it holds there.
    problems: use case -> why a release cannot be loaded.
    """

    id: str
    host: str
    pid: int
    serving: dict[str, dict[str, int]]
    problems: dict[str, str]
    started_at: datetime
    seen_at: datetime


def beat(db: Connection, worker: Worker) -> None:
    """A worker says that it is there, and what it holds."""
    put(db, workers, vars(worker))


def alive(db: Connection, now: datetime) -> list[Worker]:
    """The workers that were heard of a moment ago."""
    since = now - timedelta(seconds=ALIVE_SECONDS)
    query = select(workers).where(workers.c.seen_at >= since).order_by(workers.c.started_at, workers.c.id)
    return [Worker(**row._mapping) for row in db.execute(query)]


def forget(db: Connection, worker_id: str, before: datetime) -> None:
    """A worker that stops takes its row away, and those of workers dead since before a time."""
    db.execute(delete(workers).where((workers.c.id == worker_id) | (workers.c.seen_at < before)))
