"""Handovers and loops that nobody has received: found, emitted again a few times, then reported.

An event can be lost: its consumer was paused, or the scheduler died at the wrong moment. The store knows better: the
newest message of a cycle that is at work says who should have it, and the receipts say whether somebody does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from include.kreislauf.errors import HandoverError
from include.kreislauf.handovers import TAKES, Handover, Loop, Role, Stage
from include.kreislauf.store import cycles, messages, receipts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.receipts import MAX_REMINDERS, Reminder

log = logging.getLogger(__name__)

RECEIVERS: dict[Stage, Role] = {stage: role for role, stage in TAKES.items()}


@dataclass(frozen=True)
class Stranded:
    """A message that nobody has received.

    Parameters
    ----------
    since: when it was recorded, just before its event was emitted.
    reminder: how often it was emitted again, if it was.
    """

    message: Handover | Loop
    since: datetime
    reminder: Reminder | None = None

    @property
    def receiver(self) -> Role:
        """The role whose DAG should have taken it up."""
        return (
            self.message.edge.received_by if isinstance(self.message, Loop) else RECEIVERS[self.message.stage]
        )

    @property
    def times(self) -> int:
        """How often it was emitted again."""
        return self.reminder.count if self.reminder else 0

    @property
    def needs_person(self) -> bool:
        """Whether it was emitted again as often as makes sense."""
        return self.times >= MAX_REMINDERS

    @property
    def text(self) -> str:
        """What is stranded, for people."""
        note = f": {self.reminder.note}" if self.reminder else ""
        return f"{self.message.id}: not received by {self.receiver} since {self.since:%Y-%m-%d %H:%M}, emitted again {self.times} times{note}"


def stranded(db: Connection, use_case: str, before: datetime) -> list[Stranded]:
    """The messages of a use case's open cycles that were recorded before a time and that nobody has received."""
    found = []
    for cycle in cycles.in_state(db, use_case, State.ACTIVE, State.PROPOSED):
        newest = _newest(db, use_case, cycle.cycle_id)
        if newest and newest[1] < before and _is_awaited(db, newest[0]):
            found.append(newest)
    known = receipts.reminders_of(db, [message.id for message, _ in found])
    return [Stranded(message, since, known.get(message.id)) for message, since in found]


def unreceived(db: Connection, use_case: str) -> list[Stranded]:
    """What was emitted again as often as makes sense, and nobody has received even so."""
    return [one for one in stranded(db, use_case, datetime.max.replace(tzinfo=UTC)) if one.needs_person]


def recorded(db: Connection, message: Handover | Loop) -> Handover | Loop:
    """What a reminder reminds of, as the store has it: whoever may start a run may write anything into its form.

    Raises
    ------
    HandoverError: no DAG has made this message.
    """
    if isinstance(message, Loop):
        row = messages.find_loop(db, message.id)
        found: Handover | Loop | None = row.loop if row else None
    else:
        found = messages.find_handover(db, message.use_case, message.cycle_id, message.stage, message.attempt)
    if found is None:
        raise HandoverError(
            f"{message.id} is not in the workflow store", where="reminder",
            next_step="to send work back, start the DAG of the role that raises the loop, and name it in the form",
        )  # fmt: skip
    return found


def remind(
    store: Store, now: datetime, patience: timedelta, emit: Callable[[Stranded], str]
) -> list[Stranded]:
    """Emit again, in every use case, what nobody has received for a while.

    Parameters
    ----------
    patience: time between the message and its first reminder, and between two reminders.
    emit: makes the receiver's DAG run, and returns a note about that; what it raises is the note.

    Returns
    -------
    What a person must look at: emitted again :data:`MAX_REMINDERS` times, and not received even so.
    """
    with store.read() as db:
        found = [one for name in cycles.use_cases(db) for one in stranded(db, name, now - patience)]
    due = [one for one in found if one.reminder is None or one.reminder.last_at <= now - patience]
    reminders = [
        Reminder(one.message.id, one.times + 1, now, _emitted(emit, one))
        for one in due
        if not one.needs_person
    ]
    with store.write() as db:
        receipts.forget_reminders(db, keep=[one.message.id for one in found])
        for reminder in reminders:
            receipts.save_reminder(db, reminder)
    hopeless = [one for one in due if one.needs_person]
    for one in hopeless:
        log.error("stranded: %s; next: unpause %s, or clear the task that emits it", one.text, one.receiver)
    return hopeless


def _emitted(emit: Callable[[Stranded], str], one: Stranded) -> str:
    try:
        note = emit(one)
    except Exception as error:  # noqa: BLE001 - the others must be emitted all the same; the note tells
        note = f"{type(error).__name__}: {error}"
    log.warning("emitted again: %s; %s", one.message.id, note)
    return note


def _newest(db: Connection, use_case: str, cycle_id: str) -> tuple[Handover | Loop, datetime] | None:
    """The newest message of a cycle, and when it was recorded: by attempt, and within one by the order of the ring."""
    given: Sequence[tuple[Handover | Loop, datetime]] = messages.recorded_handovers(db, use_case, cycle_id)
    raised = [(row.loop, row.created_at) for row in messages.loops_of(db, use_case, cycle_id=cycle_id)]
    return max([*given, *raised], key=lambda one: _place(one[0]), default=None)


def _place(message: Handover | Loop) -> tuple[int, int]:
    return message.attempt, -1 if isinstance(message, Loop) else tuple(Stage).index(message.stage)


def _is_awaited(db: Connection, message: Handover | Loop) -> bool:
    if isinstance(message, Handover) and message.stage not in RECEIVERS:
        return False  # its role goes on with it itself
    if isinstance(message, Loop):
        row = messages.find_loop(db, message.id)
        return row is not None and row.state == "raised"
    return not receipts.is_received(db, message.id)
