"""A rollback by a command: done at once, whether Airflow runs or not; the next run of mlops tells data science."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.deployment.promotion import roll_back
from include.kreislauf.errors import ContractError
from include.kreislauf.feedback.manual import rollback_order
from include.kreislauf.handovers import Edge, Loop, Reason
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, messages
from include.kreislauf.store.database import Store

COMMAND = "command/"
"""How the run of such a loop begins: no DAG run will emit its event by itself."""


def roll_back_now(
    store: Store, settings: Settings, use_case: str, *, by: str, reason: str, now: datetime
) -> Loop:
    """Take the live release back and write the loop to data science down as raised.

    Raises
    ------
    Refused: nothing is live.
    ContractError: the use case has no signed contract.
    ReleaseError: others changed the live release again and again.
    """
    run_id = f"{COMMAND}{now:%Y%m%dT%H%M%S.%f}"
    with store.write() as db:
        contract = contracts.signed_contract(db, use_case)
        if contract is None:
            raise ContractError(
                "has no signed contract", where=use_case, allowed=contracts.signed_use_cases(db) or "(none yet)",
                next_step="name a use case with a live release",
            )  # fmt: skip
        facts = {"use_case": use_case, "contract_hash": contract.hash, "as_of": now, "run_id": run_id,
                 "reason": f"{by}: {reason}", "by": by}  # fmt: skip
        order = rollback_order(db, f"mlops/{run_id}", facts, now)
    loop = roll_back(order, store, settings).model_copy(update={"by": by})
    with store.write() as db:
        return messages.ledger_entry(db, loop, now).loop


def nobodys_loops(db: Connection, use_case: str) -> list[Loop]:
    """Loops to data science that a command raised and nobody has received: the next run of mlops emits them."""
    rows = messages.loops_of(db, use_case, states=("raised",), edges=(Edge.MLOPS_TO_DATA_SCIENCE,))
    return [
        row.loop for row in rows
        if row.loop.reason is Reason.ROLLED_BACK and row.loop.run_id.startswith(COMMAND)
    ]  # fmt: skip
