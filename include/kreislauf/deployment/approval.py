"""Who may agree to a release: nobody who had a hand in the training of its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from include.kreislauf.handovers import GIVES, MACHINE, Role, Stage
from include.kreislauf.store import messages

ASKED_BY, OVERRIDDEN, GENUINE_BY = "asked_by", "overridden", "genuine_by"
"""Keys in the summary of a handover: who asked for the work by hand, with an override or not; and who took a result for
genuine."""
_TRAINING = (Stage.PREPARATION, Stage.TRAINING, GIVES[Role.DATA_SCIENCE])


@dataclass(frozen=True)
class Approval:
    """A person's answer to a release.

    Parameters
    ----------
    by: the person, by the name that others know.
    note: why, in the person's words.
    """

    approved: bool
    by: str
    note: str = ""


def trainers(db: Connection, use_case: str, cycle_id: str) -> Mapping[str, str]:
    """Who had a hand in the training of a cycle's model, and what it was."""
    found: dict[str, str] = {}
    for one in messages.handovers_of(db, use_case, cycle_id):
        asked, genuine = one.summary.get(ASKED_BY), one.summary.get(GENUINE_BY)
        if asked and one.summary.get(OVERRIDDEN):
            found.setdefault(str(asked), "overrode the governor for this cycle")
        if asked and one.stage in _TRAINING:
            found.setdefault(str(asked), "had it trained")
        if genuine:
            found.setdefault(str(genuine), "called its result genuine")
    for row in messages.loops_of(db, use_case, cycle_id=cycle_id):
        if row.override_by:
            found.setdefault(row.override_by, "overrode the governor for this cycle")
        if row.loop.by != MACHINE and row.loop.edge.received_by is Role.DATA_SCIENCE:
            found.setdefault(row.loop.by, "sent it to data science")
    return found


def objection(found: Mapping[str, str], *names: str) -> str:
    """Why a person must not approve, by any of the names that the person is known by; empty: nothing speaks against it."""
    known = {part for name in names for part in names_in(name)}
    for trainer, what in found.items():
        if known & names_in(trainer):
            return f"{trainer} {what} and may not approve it: somebody else must"
    return ""


def names_in(text: str) -> set[str]:
    """Every name in ``Ada (ada.lovelace)``: who triggers a run may leave another name than that of the log-in."""
    return {part.strip().casefold() for part in re.split(r"[()]", text) if part.strip()}
