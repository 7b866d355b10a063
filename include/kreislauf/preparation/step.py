"""Prepare: clean a raw-data version, build the features of a use case from it, check them, keep them as a version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from include.kreislauf.errors import PreparationError
from include.kreislauf.handovers import MACHINE, Edge, Stage, StepResult, WorkOrder
from include.kreislauf.preparation.cleaning import Cleaned, clean
from include.kreislauf.preparation.declared import features_of
from include.kreislauf.preparation.document import Account, document, summary
from include.kreislauf.preparation.exclusion import excluded_features, features_at_fault, with_others
from include.kreislauf.preparation.features import (
    FEATURES,
    ContractFaultError,
    FeatureModule,
    columns_of,
    day_of,
    load_features,
)
from include.kreislauf.preparation.leaks import Leak, correlated_leaks, cuts, future_leaks
from include.kreislauf.preparation.schemas import check_features, check_raw
from include.kreislauf.preparation.unusable import unusable_features
from include.kreislauf.preparation.ways_back import fault, leaking, more_data, too_old
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.addresses import address_of
from include.kreislauf.store.database import Store
from include.kreislauf.store.reuse import Reuse
from include.kreislauf.store.tables import Tables

__all__ = ["FEATURES", "FeatureModule", "check_features", "load_features", "prepare", "prepare_alone"]

RAW = "raw"
FROM_MONITORING = f"loop/{Edge.MONITORING_TO_DATA_SCIENCE}"
"""What starts an order after requests have shifted, or a challenger has learnt from them and was better."""


def prepare(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
    """Discipline 3. A feature version, or a loop: to data engineering when the raw data do not carry it, or are older than
    what monitoring has seen; to data science when features leak, to requirements when what the contract asks for cannot
    be had.

    Raises
    ------
    PreparationError: there is no raw data yet; or the use case's ``features.py`` cannot be used, or is needed.
    """  # fmt: skip
    raw_version, known_at = _raw_version(order, settings)
    if order.started_by == FROM_MONITORING and order.by == MACHINE:
        with Store(settings.store).read() as db:
            newest = messages.latest_handover(db, order.use_case, Stage.COLLECTION)
        if newest and (behind := too_old(newest.as_of, order.as_of, contract.problem)):
            return more_data(order, behind)
    day = day_of(known_at, contract.problem)
    order = order.model_copy(update={"inputs": {Stage.COLLECTION: raw_version}})

    def make() -> StepResult:
        try:
            module = features_of(contract, settings.use_cases)
        except ContractFaultError as error:
            return fault(order, error)
        return _Preparation(order, contract, settings, module, day).result()

    return _reuse(order, contract, settings, day).result(make)


def _reuse(order: WorkOrder, contract: Contract, settings: Settings, day: date) -> Reuse:
    """The search of an earlier feature version that was made of the same."""
    at_fault = ", ".join(sorted(features_at_fault(order, settings)))
    inputs = {
        "raw data": order.inputs[Stage.COLLECTION],
        "day": day.isoformat(),
        "features at fault": at_fault,
    }
    address = address_of(Stage.PREPARATION, contract, settings, inputs)
    tables = Tables(settings.tables, order.use_case)
    return Reuse(order, address, settings, lambda earlier: tables.fault(earlier.output))


def prepare_alone(
    contract: Contract, settings: Settings, *, as_of: datetime, now: datetime, raw_version: str | None = None,
    fresh: bool = False,
) -> StepResult:  # fmt: skip
    """A preparation outside of any cycle, for a person at a shell; the result is recorded nowhere but in its table.

    Parameters
    ----------
    raw_version: what to prepare; ``None``: what was handed over last, else the newest version of the table ``raw``.
    fresh: whether the features are built although those of the same raw data are there.

    Raises
    ------
    PreparationError: as :func:`prepare`.
    """
    Store(settings.store).upgrade()
    newest = None if raw_version else Tables(settings.tables, contract.name).snapshot(RAW)
    order = WorkOrder(
        use_case=contract.name, cycle_id=f"alone-{as_of:%Y-%m-%d}-{now:%Y%m%d%H%M%S}", contract_hash=contract.hash,
        as_of=as_of, started_by="command line", fresh=fresh,
    )  # fmt: skip
    with Store(settings.store).read() as db:
        collected = messages.latest_handover(db, contract.name, Stage.COLLECTION)
    known = raw_version or (collected.output if collected else "") or (newest.version if newest else "")
    return prepare(
        order.model_copy(update={"inputs": {Stage.COLLECTION: known} if known else {}}), contract, settings
    )


@dataclass(frozen=True)
class _Preparation:
    """One feature version in the making.

    Parameters
    ----------
    day: what the raw data, and the order, may know of.
    """

    order: WorkOrder
    contract: Contract
    settings: Settings
    module: FeatureModule
    day: date

    def result(self) -> StepResult:
        """The handover, or the loop."""
        try:
            raw, frame, account = self._features()
        except PreparationError as error:
            return fault(self.order, error)
        if leaks := self._leaks(raw, frame, account):
            return leaking(
                self.order, leaks, [name for names in columns_of(frame, self.module) for name in names]
            )
        return self._version(frame, account)

    def _features(self) -> tuple[pd.DataFrame, pd.DataFrame, Account]:
        """Cleaned raw rows, checked features built from them, and what was done."""
        excluded = excluded_features(self.order, self.contract, self.settings, self.module)
        given = self._tables.read(self._raw_version)
        raw, cleaning = self._clean(check_raw(given, self.contract))
        built = self.module.build(raw.copy(), self.day)
        excluded = with_others(excluded, unusable_features(built, self.module), self.module)
        kept = built.drop(columns=list(excluded), errors="ignore")
        frame = check_features(kept, self.module, self.contract.problem, excluded)
        days = cuts(raw, self.day, self.contract.problem, self.contract.preparation.leak_checks)
        return raw, frame, Account(self._raw_version, len(given), cleaning, excluded, days)

    def _clean(self, raw: pd.DataFrame) -> tuple[pd.DataFrame, list[Cleaned]]:
        try:
            return clean(raw, self.contract)
        except PreparationError as error:
            raise ContractFaultError(
                error.what, where=error.where, allowed=error.allowed, next_step=error.next_step
            ) from error

    def _leaks(self, raw: pd.DataFrame, frame: pd.DataFrame, account: Account) -> list[Leak]:
        asked, problem = self.contract.preparation, self.contract.problem
        future = future_leaks(self.module, raw, self.day, problem, asked.leak_checks)
        correlated = correlated_leaks(frame, self.module, problem, asked.leak_correlation)
        return [one for one in (*future, *correlated) if one.feature not in account.excluded]

    def _version(self, frame: pd.DataFrame, account: Account) -> StepResult:
        order, inputs = self.order, {RAW: self._raw_version}
        version = self._tables.write(FEATURES, frame, f"{order.key}|{order.attempt}", inputs)
        told = summary(frame, self.contract, self.module, account)
        handover = order.handover(
            Stage.PREPARATION, code_version=self.settings.code, output=version, summary=told
        )
        return StepResult(handover, document(self.contract, version, frame, self.module, account))

    @property
    def _raw_version(self) -> str:
        return self.order.inputs[Stage.COLLECTION]

    @property
    def _tables(self) -> Tables:
        return Tables(self.settings.tables, self.order.use_case)


def _raw_version(order: WorkOrder, settings: Settings) -> tuple[str, datetime]:
    """The raw data to prepare, and the time of which it can tell: of what came later it knows nothing."""
    with Store(settings.store).read() as db:
        collected = messages.latest_handover(db, order.use_case, Stage.COLLECTION, cycle_id=order.cycle_id)
        collected = collected or messages.latest_handover(db, order.use_case, Stage.COLLECTION)
        raw = order.inputs.get(Stage.COLLECTION) or (collected.output if collected else "")
        made = messages.find_handover_of(db, order.use_case, Stage.COLLECTION, raw)
    if not raw:
        raise PreparationError(
            "there is no raw data yet", where=order.key, next_step="trigger data_engineering"
        )
    return raw, min(order.as_of, made.as_of if made else order.as_of)
