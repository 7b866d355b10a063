"""Contracts seen by the workflow, and who signed or rejected each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store.database import insert_once
from include.kreislauf.store.schema import contracts


@dataclass(frozen=True)
class SignOff:
    """A decision on one version of a contract."""

    decision: Literal["signed", "rejected"]
    by: str
    how: Literal["automatic", "person"]
    note: str = ""


def record_contract(db: Connection, contract: Contract, now: datetime) -> None:
    """Remember a version of a contract; does nothing when it is known."""
    values = {"use_case": contract.name, "hash": contract.hash, "body": contract.model_dump(mode="json")}
    insert_once(db, contracts, {**values, "first_seen": now})


def record_sign_off(
    db: Connection, use_case: str, contract_hash: str, sign_off: SignOff, now: datetime
) -> None:
    """Write down who signed or rejected a version, and how. The latest decision counts."""
    db.execute(
        update(contracts)
        .where(contracts.c.use_case == use_case, contracts.c.hash == contract_hash)
        .values(decision=sign_off.decision, decided_by=sign_off.by, decided_how=sign_off.how,
                decided_at=now, note=sign_off.note)
    )  # fmt: skip


def is_known(db: Connection, use_case: str, contract_hash: str) -> bool:
    """Whether the workflow has seen this very version."""
    where = (contracts.c.use_case == use_case, contracts.c.hash == contract_hash)
    return db.scalar(select(contracts.c.hash).where(*where)) is not None


def sign_off_of(db: Connection, use_case: str, contract_hash: str) -> SignOff | None:
    """Who signed or rejected this very version; ``None``: nobody yet."""
    where = (contracts.c.use_case == use_case, contracts.c.hash == contract_hash)
    row = db.execute(select(contracts).where(*where)).first()
    if row is None or row.decision is None:
        return None
    return SignOff(row.decision, row.decided_by, row.decided_how, row.note or "")


def is_signed(db: Connection, use_case: str, contract_hash: str) -> bool:
    """Whether this very version is signed."""
    where = (contracts.c.use_case == use_case, contracts.c.hash == contract_hash)
    return db.scalar(select(contracts.c.decision).where(*where)) == "signed"


def signed_contract(db: Connection, use_case: str, contract_hash: str | None = None) -> Contract | None:
    """The signed contract with this hash, or the one signed last; ``None`` when there is none."""
    query = select(contracts.c.body).where(contracts.c.use_case == use_case, contracts.c.decision == "signed")
    if contract_hash:
        query = query.where(contracts.c.hash == contract_hash)
    body: dict[str, Any] | None = db.scalar(query.order_by(contracts.c.decided_at.desc()).limit(1))
    return Contract.model_validate(body) if body else None


def body_of(db: Connection, use_case: str, contract_hash: str) -> dict[str, Any] | None:
    """A contract as it was when it was first seen, whether it can still be read or not; ``None``: it is not known."""
    where = (contracts.c.use_case == use_case, contracts.c.hash == contract_hash)
    body: dict[str, Any] | None = db.scalar(select(contracts.c.body).where(*where))
    return body


def signed_hashes(db: Connection) -> dict[str, str]:
    """Use case -> hash of the contract signed last, whether it can still be read or not."""
    signed = select(contracts.c.use_case, contracts.c.hash).where(contracts.c.decision == "signed")
    return {row.use_case: row.hash for row in db.execute(signed.order_by(contracts.c.decided_at))}


def control_share(db: Connection, use_case: str) -> float | None:
    """Share of the requests that the release before answers, by the contract signed last; ``None``: no share.

    Read without the contract's model: the service asks every few seconds.
    """
    query = select(contracts.c.body).where(contracts.c.use_case == use_case, contracts.c.decision == "signed")
    body: dict[str, Any] | None = db.scalar(query.order_by(contracts.c.decided_at.desc()).limit(1))
    control = ((body or {}).get("monitoring") or {}).get("control")
    return float(control["share"]) if control else None


def signed_use_cases(db: Connection) -> list[str]:
    """Names of the use cases with a signed contract, sorted."""
    query = select(contracts.c.use_case).where(contracts.c.decision == "signed").distinct()
    return list(db.scalars(query.order_by(contracts.c.use_case)))
