"""Deploy: make a release of the winner, verify it, try it as the contract says, make it the live one, see it answer."""

from __future__ import annotations

import time
from typing import Any

from include.kreislauf.deployment.approval import Approval, objection, trainers
from include.kreislauf.deployment.asking import note_of, question, same_as_taken_back
from include.kreislauf.deployment.confirmation import confirm
from include.kreislauf.deployment.contents import problem_of
from include.kreislauf.deployment.delivery import Delivery, Phase, Progress, begin
from include.kreislauf.deployment.found import numbers_of
from include.kreislauf.deployment.promotion import STARTS, promote_command, roll_back
from include.kreislauf.deployment.release import make_release, verify_release
from include.kreislauf.errors import ReleaseError
from include.kreislauf.evaluation.winner import load_winner
from include.kreislauf.handovers import (
    Edge,
    Evidence,
    Handover,
    Loop,
    PersonNeeded,
    Reason,
    Stage,
    StepResult,
    WorkOrder,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import cycles, live, rollouts
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.rollouts import Rollout, RolloutState

LOAD_WAIT_SECONDS = 20.0
"""So long the workers' loading is waited for here; after that it is looked at from time to time."""
LOAD_PAUSE_SECONDS = 0.1


class StillTried(Exception):
    """A release waits for live traffic, or for the service: look again later. Everything found is in the store."""


def deploy(
    order: WorkOrder, contract: Contract, settings: Settings, *, approval: Approval | None = None
) -> StepResult:
    """Discipline 6. The live release, or the loop to data science when a release fails or was rolled back.

    Parameters
    ----------
    approval: what the person said who was asked.

    Raises
    ------
    StillTried: it needs live traffic first.
    PersonNeeded: a person must agree first; or the one who did had a hand in the training.
    """
    store = Store(settings.store)
    if order.started_by in STARTS:
        return StepResult(roll_back(order, store, settings))
    return _Deployment(order, contract, settings, store).result(approval)


class _Deployment:
    """The deployment of one attempt; taken up again from where the store says it is."""

    def __init__(self, order: WorkOrder, contract: Contract, settings: Settings, store: Store) -> None:
        self.order, self.contract, self.settings, self.store = order, contract, settings, store

    def result(self, approval: Approval | None) -> StepResult:
        verified = False
        row, rollout = self._known()
        if row is None or rollout is None:
            try:
                row = self._make()
            except ReleaseError as error:
                return StepResult(_failed(self.order, error.text, _fault(error.text)))
            verified = True
        rollout = begin(self.store, row, self.contract, self.settings.now())
        delivery = Delivery.of(self.order, self.contract, self.settings, rollout.version)
        if bad := self._was_taken_back(row):
            return self._ended(delivery.reject(bad, self.settings.now()).rollout, row)
        progress = self._wait_for_workers(delivery)
        if progress.phase in (Phase.LOADING, Phase.TRYING):
            raise StillTried(progress.rollout.note)
        if progress.phase is Phase.ASKING:
            progress = self._ask(delivery, progress, row, approval)
        if progress.phase is Phase.READY:
            progress = self._promote(delivery, progress, row, verified=verified)
        return self._ended(progress.rollout, row)

    def _known(self) -> tuple[ReleaseRow | None, Rollout | None]:
        order = self.order
        with self.store.read() as db:
            row = live.release_of(db, order.use_case, order.cycle_id, order.attempt)
            return row, rollouts.find(db, order.use_case, row.version) if row else None

    def _was_taken_back(self, row: ReleaseRow) -> str:
        """Why the very model must not go live again, where no person decides that; else nothing."""
        asks = self.contract.delivery.approval == "required"
        found = None if asks or self.order.override else same_as_taken_back(self.store, row)
        if found is None:
            return ""
        version, why = found
        way = promote_command(row.use_case, version)
        return f"it is the model that was taken back as release {version} ({why}); to bring that back: {way}"

    def _make(self) -> ReleaseRow:
        winner = load_winner(self.settings, self.order.use_case, self.order.inputs[Stage.EVALUATION])
        problem = problem_of(winner, self.contract)
        row = make_release(self.order, winner, self.store, self.settings, problem)
        verify_release(row, self.settings)
        return row

    def _wait_for_workers(self, delivery: Delivery) -> Progress:
        deadline = time.monotonic() + LOAD_WAIT_SECONDS
        while True:
            progress = delivery.look(self.settings.now())
            if progress.phase is not Phase.LOADING or time.monotonic() >= deadline:
                return progress
            time.sleep(LOAD_PAUSE_SECONDS)

    def _ask(
        self, delivery: Delivery, progress: Progress, row: ReleaseRow, approval: Approval | None
    ) -> Progress:
        if approval is None:
            raise PersonNeeded(question(self.contract, self.store, progress.rollout, row))
        with self.store.read() as db:
            why = (
                objection(trainers(db, row.use_case, row.cycle_id), approval.by) if approval.approved else ""
            )
        if why:
            asked = question(self.contract, self.store, progress.rollout, row)
            raise PersonNeeded(f"**{why}**\n\n{asked}")
        return delivery.decide(
            approval.by, approved=approval.approved, note=approval.note, now=self.settings.now()
        )

    def _promote(
        self, delivery: Delivery, progress: Progress, row: ReleaseRow, *, verified: bool
    ) -> Progress:
        now = self.settings.now()
        try:
            if not verified:  # it may have waited for days
                verify_release(row, self.settings)
        except ReleaseError as error:
            return delivery.reject(error.text, now)
        agreed = progress.rollout.evidence.get("approval", {}).get("text", "")
        return delivery.promote("; ".join(filter(None, [_why(self.order, self.store), agreed])), now)

    def _ended(self, rollout: Rollout, row: ReleaseRow) -> StepResult:
        document = f"{note_of(self.contract, self.store, rollout, row)}\n{rollout.note}\n"
        if rollout.state is not RolloutState.PROMOTED:
            text = f"release {row.version} was {rollout.state}: {rollout.note}"
            numbers = numbers_of(rollout.evidence) or _fault(text)
            return StepResult(_failed(self.order, text, numbers), document)
        answered = confirm(self.store, row.use_case, row.version, self.settings.now)
        handover = _handover(self.order, self.settings.code, rollout, row, {"service": answered})
        note = note_of(self.contract, self.store, rollout, row, {"service": answered}).rstrip()
        return StepResult(handover, document=f"{note}\n")


def _handover(
    order: WorkOrder, code: str, rollout: Rollout, row: ReleaseRow, more: dict[str, Any]
) -> Handover:
    manifest = row.manifest
    summary: dict[str, Any] = {
        "version": row.version, "previous": rollout.champion, "family": manifest["family"],
        "metrics": manifest["metrics"], **more,
    }  # fmt: skip
    if by := rollout.evidence.get("approval", {}).get("by"):
        summary["approved_by"] = by
    return order.handover(Stage.DEPLOYMENT, code_version=code, output=str(row.version), summary=summary)


def _failed(order: WorkOrder, text: str, evidence: tuple[Evidence, ...]) -> Loop:
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED, text, evidence=evidence)


def _fault(text: str) -> tuple[Evidence, ...]:
    return (Evidence(name="fault", value=None, note=text),)


def _why(order: WorkOrder, store: Store) -> str:
    """Why the cycle was opened: the reason that a promotion carries."""
    with store.read() as db:
        cycle = cycles.get_cycle(db, order.use_case, order.cycle_id)
    return f"made after a rollback ({cycle.reason})" if cycle.started_by in STARTS else cycle.reason
