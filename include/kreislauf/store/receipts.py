"""Which run has taken a message up, and which messages had to be emitted again because nobody had."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from include.kreislauf.handovers import KEY_SEPARATOR, Handover, Loop, Role
from include.kreislauf.store.database import insert_once, put
from include.kreislauf.store.schema import receipts, reminders

MAX_REMINDERS = 3
"""So often a message is emitted again; after that a person must look."""


@dataclass(frozen=True)
class Receipt:
    """A message that a run has taken up; another run with the same message finds it done."""

    message_id: str
    role: Role
    run_id: str
    received_at: datetime


@dataclass(frozen=True)
class Reminder:
    """How often a message was emitted again, and what became of that."""

    message_id: str
    count: int
    last_at: datetime
    note: str


def record_receipt(db: Connection, message: Handover | Loop, role: Role, run_id: str, now: datetime) -> None:
    """Write down that a run has taken a message up; the first one stands."""
    values = {"message_id": message.id, "role": role, "run_id": run_id, "received_at": now}
    insert_once(db, receipts, values)


def newest_receipts(db: Connection, use_case: str, limit: int = 5000) -> list[Receipt]:
    """The newest receipts of a use case's messages, newest first."""
    where = receipts.c.message_id.startswith(f"{use_case}{KEY_SEPARATOR}", autoescape=True)
    rows = db.execute(select(receipts).where(where).order_by(receipts.c.received_at.desc()).limit(limit))
    return [Receipt(row.message_id, Role(row.role), row.run_id, row.received_at) for row in rows]


def is_received(db: Connection, message_id: str) -> bool:
    """Whether a run has taken the message up."""
    return db.scalar(select(receipts.c.run_id).where(receipts.c.message_id == message_id)) is not None


def reminders_of(db: Connection, message_ids: Collection[str]) -> dict[str, Reminder]:
    """Reminders of some messages, by their id."""
    rows = db.execute(select(reminders).where(reminders.c.message_id.in_(message_ids)))
    return {row.message_id: Reminder(**row._mapping) for row in rows}


def save_reminder(db: Connection, reminder: Reminder) -> None:
    """Write down how often a message was emitted again, in place of what was known before."""
    put(db, reminders, vars(reminder))


def forget_reminders(db: Connection, keep: Collection[str]) -> None:
    """Delete the reminders of messages that were received, or whose cycle is over: of all but some."""
    db.execute(delete(reminders).where(reminders.c.message_id.not_in(keep)))
