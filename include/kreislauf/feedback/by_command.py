"""A rollback, or a promotion, by a command: done at once, whether Airflow runs or not."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.deployment.promotion import promote_by_hand, roll_back
from include.kreislauf.feedback.incoming import Form, Incoming
from include.kreislauf.feedback.manual import manual_order, newest_time
from include.kreislauf.handovers import Edge, Loop, Reason, Role
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store

COMMAND = "command/"
"""How the run of such a loop begins: no DAG run will emit its event by itself."""


def roll_back_now(
    store: Store, settings: Settings, use_case: str, *, by: str, reason: str, now: datetime
) -> Loop:
    """Take the live release back and write the loop to data science down as raised: the next run of mlops emits it.

    Raises
    ------
    Refused: nothing is live.
    ContractError: the use case has no signed contract.
    ReleaseError: there is no way back, or others changed the live release again and again; no loop was written down.
    """
    form = Form(use_case=use_case, reason=reason, by=by, roll_back=True)
    incoming = Incoming(Role.MLOPS, f"{COMMAND}{now:%Y%m%dT%H%M%S.%f}", form=form)
    with store.write() as db:
        order = manual_order(db, incoming, now, wall_clock=settings.clock == "wall")
    loop = roll_back(order, store, settings)
    with store.write() as db:
        return messages.ledger_entry(db, loop, now).loop


def promote_now(
    store: Store, settings: Settings, use_case: str, version: int, *, by: str, reason: str, now: datetime
) -> None:
    """Make a release the live one because a person says so.

    Raises
    ------
    ReleaseError: it cannot be promoted, see :func:`~include.kreislauf.deployment.promotion.promote_by_hand`.
    """

    def as_of(db: Connection) -> datetime:
        return now if settings.clock == "wall" else newest_time(db, use_case) or now

    promote_by_hand(store, settings, use_case, version, by=by, reason=reason, as_of=as_of)


def nobodys_loops(db: Connection, use_case: str) -> list[Loop]:
    """Loops to data science that a command raised and nobody has received: the next run of mlops emits them."""
    rows = messages.loops_of(db, use_case, states=("raised",), edges=(Edge.MLOPS_TO_DATA_SCIENCE,))
    return [
        row.loop for row in rows
        if row.loop.reason is Reason.ROLLED_BACK and row.loop.run_id.startswith(COMMAND)
    ]  # fmt: skip
