"""The requirements role's work: look at the contract, sign it or ask a person, and decide what a loop brought back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.kreislauf.handovers import MACHINE, Handover, Stage, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_all, load_contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, messages
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Review:
    """What the look at the contract came to: go on, or a question for a person."""

    order: WorkOrder
    question: str = ""

    @property
    def needs_person(self) -> bool:
        """Whether a person must answer before the cycle goes on."""
        return bool(self.question)


def changed_contract(store: Store, use_cases: Path) -> Contract | None:
    """The first contract, by name, whose present version the workflow has not seen.

    Broken ones are logged and passed over, and use cases that are at work, where the look would only be refused.
    """
    found, broken = load_all(use_cases)
    for one in broken:
        log.error("%s: the contract's file cannot be used: %s", one.name, one.error.text)
    with store.read() as db:
        new = (one for one in found.values() if not contracts.is_known(db, one.name, one.hash))
        return next((one for one in new if not cycles.in_state(db, one.name, State.ACTIVE)), None)


def review(store: Store, order: WorkOrder, settings: Settings, now: datetime) -> Review:
    """Load and record the contract as it stands in its file; sign it where it says ``sign_off: automatic``.

    A loop that came back needs a person, unless the contract has changed since the loop's cycle began.

    Raises
    ------
    ContractError: the contract cannot be used; names file, line, fault and what is allowed.
    """
    contract = load_contract(contract_path(settings.use_cases, order.use_case))
    came_back = order.started_by.startswith("loop/") and contract.hash == order.contract_hash
    order = order.model_copy(update={"contract_hash": contract.hash})
    with store.write() as db:
        contracts.record_contract(db, contract, now)
        if contract.sign_off == "automatic" and not contracts.is_signed(db, contract.name, contract.hash):
            sign_off = SignOff("signed", by=MACHINE, how="automatic", note="sign_off: automatic")
            contracts.record_sign_off(db, contract.name, contract.hash, sign_off, now)
        question = _question(db, order, contract, came_back)
        if question:
            cycle = cycles.get_cycle(db, order.use_case, order.cycle_id)
            cycles.set_state(db, cycle, State.WAITING, now, order.reason or "sign-off")
    return Review(order, question)


def _question(db: Connection, order: WorkOrder, contract: Contract, came_back: bool) -> str:
    if came_back:
        return (
            f"**{order.started_by.removeprefix('loop/')}** came back: {order.reason}\n\nThe contract has not changed "
            "since. *Approve* carries on with the sources and the contract as they are now; *Reject* ends the cycle."
        )
    if not contracts.is_signed(db, contract.name, contract.hash):
        return f"Sign the contract **{contract.title}** (`{contract.hash[:12]}`)?\n\n{contract.purpose}"
    return ""


def record_answer(
    store: Store, order: WorkOrder, *, approved: bool, by: str, note: str, now: datetime
) -> bool:
    """Write a person's answer down and move the cycle; tells whether the cycle goes on.

    A loop that is turned down leaves a contract that was signed before signed. An answer that comes after the cycle
    had to make way for another one changes nothing but the contract's sign-off.
    """
    with store.write() as db:
        if approved or not contracts.is_signed(db, order.use_case, order.contract_hash):
            sign_off = SignOff("signed" if approved else "rejected", by=by, how="person", note=note)
            contracts.record_sign_off(db, order.use_case, order.contract_hash, sign_off, now)
        cycle = cycles.get_cycle(db, order.use_case, order.cycle_id)
        if cycle.state not in (State.WAITING, State.ACTIVE):
            return False
        if not approved:
            cycles.set_state(db, cycle, State.CLOSED, now, f"rejected by {by}: {note}")
            return False
        return cycles.set_state(db, cycle, State.ACTIVE, now, f"approved by {by}")


def sign(store: Store, order: WorkOrder, settings: Settings, now: datetime) -> Handover:
    """Hand the signed contract over to data engineering."""
    with store.write() as db:
        contract = contracts.signed_contract(db, order.use_case, order.contract_hash)
        if contract is None:
            raise ValueError(
                f"contract {order.contract_hash} of {order.use_case} was handed over without a signature"
            )
        summary = {"title": contract.title, "sign_off": contract.sign_off, "owner": contract.owner}
        handover = order.handover(
            Stage.REQUIREMENTS, code_version=settings.code, output=contract.hash, summary=dict(summary)
        )
        return messages.save_handover(db, handover, _document(contract, order), now)


def _document(contract: Contract, order: WorkOrder) -> str:
    metrics = "\n".join(
        f"- {metric.name}: breach {'below' if metric.direction == 'higher' else 'above'} {metric.threshold} {metric.unit}"
        for metric in contract.business_metrics
    )
    return f"""# Signed contract: {contract.title}

Version `{contract.hash}`, cycle `{order.cycle_id}`, started by {order.started_by} ({order.reason}).

{contract.purpose}

Owner: {contract.owner}. Sign-off: {contract.sign_off}.

## Business metrics

{metrics}
"""
