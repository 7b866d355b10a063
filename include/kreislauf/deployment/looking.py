"""A look at a release that is tried, as light as can be: it comes every few seconds, for hours."""

from __future__ import annotations

from include.kreislauf.deployment.asking import question
from include.kreislauf.deployment.delivery import Delivery, Progress
from include.kreislauf.errors import ContractError, ReleaseError
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.rollouts import Rollout


def look(order: WorkOrder, settings: Settings) -> Progress:
    """Take every step that an order's release can take now.

    Raises
    ------
    ContractError: the order's contract is not signed.
    ReleaseError: the attempt has made no release.
    """
    contract, row = _facts(Store(settings.store), order)
    return Delivery.of(order, contract, settings, row.version).look(settings.now())


def question_of(order: WorkOrder, settings: Settings, rollout: Rollout) -> str:
    """What a person is asked before the release goes live."""
    store = Store(settings.store)
    contract, row = _facts(store, order)
    return question(contract, store, rollout, row)


def _facts(store: Store, order: WorkOrder) -> tuple[Contract, ReleaseRow]:
    with store.read() as db:
        contract = contracts.signed_contract(db, order.use_case, order.contract_hash)
        row = live.release_of(db, order.use_case, order.cycle_id, order.attempt)
    if contract is None:
        raise ContractError(f"contract {order.contract_hash[:12]} is not signed", where=order.use_case)
    if row is None:
        raise ReleaseError(f"attempt {order.attempt} of {order.key} has made no release", where="deployment",
                           next_step="clear the task deploy")  # fmt: skip
    return contract, row
