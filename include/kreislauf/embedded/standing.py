"""Where a use case stands, in a line for its owner, with what is to be done next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.store import contracts, cycles, live
from include.kreislauf.store.cycles import Cycle, State

AT_WORK = (State.ACTIVE, State.PROPOSED, State.WAITING)
_TOLD = tuple(state for state in State if state is not State.REFUSED)


@dataclass(frozen=True)
class Addresses:
    """Where a person goes next.

    Parameters
    ----------
    schedule: when the requirements DAG looks for new contracts by itself; empty: never.
    """

    airflow: str
    service: str
    schedule: str


def is_begun(db: Connection, use_case: str) -> bool:
    """Whether a release is live, or a cycle is at work or waits."""
    return live.live(db, use_case) is not None or bool(cycles.in_state(db, use_case, *AT_WORK))


def is_at_work(db: Connection, use_case: str) -> bool:
    """Whether a cycle is at work or waits."""
    return bool(cycles.in_state(db, use_case, *AT_WORK))


def standing(db: Connection, use_cases: Path, name: str, at: Addresses) -> str:
    """Contract, live release and newest cycle of a use case."""
    try:
        contract = load_contract(contract_path(use_cases, name))
    except ContractError as error:
        return "; ".join(["broken: " + error.text, *_live(db, name, at)])
    newest = cycles.in_state(db, name, *_TOLD)[:1]
    parts = [*_live(db, name, at), *(_cycle(one, at) for one in newest if one.state is not State.LIVE)]
    if not contracts.is_known(db, name, contract.hash):
        parts.append(_new(contract, at, begun=bool(newest)))
    return "; ".join(part for part in parts if part)


def _live(db: Connection, name: str, at: Addresses) -> list[str]:
    pointer = live.live(db, name)
    return [f"release {pointer.version} is live: {at.service}/v1/{name}/predictions"] if pointer else []


def _cycle(cycle: Cycle, at: Addresses) -> str:
    note = " ".join((cycle.note or "").split())
    match cycle.state:
        case State.WAITING:
            return f"{cycle.cycle_id} waits for a person ({note}): {at.airflow}/required_actions"
        case State.FAILED:
            return (
                f"{cycle.cycle_id} failed ({note}): see its failed task in Airflow, {_again(cycle.use_case)}"
            )
        case State.CLOSED:
            return f"{cycle.cycle_id} ended without a release ({note})"
    return f"{cycle.cycle_id} is at work"


def _new(contract: Contract, at: Addresses, *, begun: bool) -> str:
    what = "its contract has changed" if begun else "not begun"
    by_itself = f", or wait: requirements looks for new contracts ({at.schedule}, UTC)" if at.schedule else ""
    return f"{what}: {_again(contract.name)}{by_itself}"


def _again(name: str) -> str:
    return f"trigger the DAG requirements with {json.dumps({'use_case': name})}"
