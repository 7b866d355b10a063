"""Features that no model is to see: the contract leaves them out, or a loop of the cycle found them at fault."""

from __future__ import annotations

from collections.abc import Mapping

from include.kreislauf.handovers import Loop, Reason, Stage, WorkOrder
from include.kreislauf.preparation.features import FEATURES, ContractFaultError, FeatureModule, names_of
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store

BY_CONTRACT, BY_LOOP = "excluded by the contract", "at fault in a loop of this cycle"
FEATURE = "feature"
"""Name of the evidence that names a feature at fault, in its note."""


def excluded_features(
    order: WorkOrder, contract: Contract, settings: Settings, module: FeatureModule
) -> dict[str, str]:
    """Names of the features to leave out, each with the reason.

    Raises
    ------
    ContractFaultError: the contract names one that does not exist, or nothing would be left.
    """
    known = names_of(module)
    asked = contract.preparation.exclude
    if unknown := [name for name in asked if name not in known]:
        raise ContractFaultError(
            f"{', '.join(unknown)} is no feature", where="preparation.exclude", allowed=known,
            next_step="correct the contract",
        )  # fmt: skip
    excluded = dict.fromkeys(asked, BY_CONTRACT)
    for name in features_at_fault(order, settings):
        if name in known:
            excluded.setdefault(name, BY_LOOP)
    return with_others(excluded, {}, module)


def with_others(
    excluded: Mapping[str, str], unusable: Mapping[str, str], module: FeatureModule
) -> dict[str, str]:
    """What is left out, and what else turned out to be unusable.

    Raises
    ------
    ContractFaultError: nothing would be left.
    """
    found = {**unusable, **excluded}
    if not set(names_of(module)) - set(found):
        why = "; ".join(f"{name}: {reason}" for name, reason in unusable.items())
        raise ContractFaultError(
            f"every feature is left out: nothing is left to learn from{why and f' ({why})'}", where=FEATURES,
            next_step="correct features.py or the declared columns, or preparation.exclude in the contract",
        )  # fmt: skip
    return found


def features_at_fault(order: WorkOrder, settings: Settings) -> list[str]:
    """What loops of the order's cycle have found at fault."""
    with Store(settings.store).read() as db:
        rows = messages.loops_of(db, order.use_case, states=("accepted", "closed"), cycle_id=order.cycle_id)
    asked = [row.loop for row in rows if _asks_for_preparation(row.loop)]
    return [one.note for loop in asked for one in loop.evidence if one.name == FEATURE]


def _asks_for_preparation(loop: Loop) -> bool:
    return loop.step is Stage.PREPARATION and loop.reason is Reason.FEATURES_AT_FAULT
