"""The live release changed at once: back to a release of before, or to the one that a person names; verified first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.deployment.approval import objection, trainers
from include.kreislauf.errors import ReleaseError
from include.kreislauf.handovers import Edge, Evidence, Loop, Reason, Stage, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, live, rollouts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ROLLED_BACK, Live, ReleaseRow

MAX_SWAPS = 20
MAX_DOUBT = 300
BY_HAND = "manual/roll_back"
"""What started an order by which a person takes a release back."""
STARTS = (BY_HAND, f"loop/{Edge.MONITORING_TO_MLOPS}")


def roll_back(order: WorkOrder, store: Store, settings: Settings) -> Loop:
    """Point back to a release that was live before, end what is being tried, and ask data science for a better one.

    The newest of them that can be loaded is taken: the service must be able to answer with it.

    Parameters
    ----------
    order: names in ``inputs`` the release that is taken back, so that two who ask for the same go back once.

    Raises
    ------
    ReleaseError: there is no way back, or others changed the pointer again and again: nothing was changed, and a cycle
        that the rollback opened is over.
    """
    rollback = _Rollback(order, store, settings)
    try:
        for _ in range(MAX_SWAPS):
            if change := rollback.once():
                return _loop(order, change)
        raise ReleaseError("the live release was changed by others meanwhile", where=order.use_case,
                           next_step="look at the promotions, then clear the task")  # fmt: skip
    except ReleaseError as refusal:
        with store.write() as db:
            cycle = cycles.find(db, order.use_case, order.cycle_id)
            if cycle and cycle.state is State.PROPOSED:
                cycles.set_state(db, cycle, State.REFUSED, settings.now(), refusal.text)
        raise


@dataclass
class _Rollback:
    """One rollback.

    Parameters
    ----------
    doubts: by version, why it cannot be loaded; empty: it can.
    """

    order: WorkOrder
    store: Store
    settings: Settings
    doubts: dict[int, str] = field(default_factory=dict)

    def once(self) -> Any:
        """The change of the live release; ``None`` when somebody else moved the pointer at that moment."""
        order = self.order
        with self.store.read() as db:
            pointer, changes = live.live(db, order.use_case), live.promotions_of(db, order.use_case)
            rows = [live.find_release(db, order.use_case, one) for one in live.versions_before(changes)]
        # a repeated task must not flip it again
        if done := next((one for one in changes if one.cycle_id == order.cycle_id), None):
            return done
        found = self._first_good(pointer, [one for one in rows if one])
        now = self.settings.now()
        with self.store.write() as db:
            # the rollout before the pointer, as in a promotion: two that wait for each other would be a deadlock
            rollouts.abort(db, order.use_case, now, f"{ROLLED_BACK}{_said(order)}")
            swapped = live.promote(
                db, order.use_case, found.version, expected=pointer, cycle_id=order.cycle_id,
                reason="; ".join([f"{ROLLED_BACK}{_said(order)}", *self._skipped()]), as_of=order.as_of, now=now,
            )  # fmt: skip
            return live.promotions_of(db, order.use_case)[-1] if swapped else None

    def _first_good(self, pointer: Live | None, rows: list[ReleaseRow]) -> ReleaseRow:
        meant = self.order.inputs.get(Stage.DEPLOYMENT)
        if pointer and meant and meant != str(pointer.version):
            raise self._refused(
                f"release {meant} had been taken back already: release {pointer.version} is live"
            )
        if pointer is None or not rows:
            raise self._refused("nothing to roll back to: there was no release before")
        for row in rows:
            if row.version not in self.doubts:
                self.doubts[row.version] = _doubt(row, self.settings)
            if not self.doubts[row.version]:
                return row
        raise self._refused(
            f"nothing to roll back to: release {pointer.version} stays live; {'; '.join(self._skipped())}",
            f"restore the files or the key and roll back again, or {promote_command(self.order.use_case)}",
        )

    def _skipped(self) -> list[str]:
        return [f"release {version} skipped: {doubt}" for version, doubt in self.doubts.items() if doubt]

    def _refused(self, text: str, next_step: str = "") -> ReleaseError:
        return ReleaseError(
            text, where=self.order.use_case, next_step=next_step or promote_command(self.order.use_case)
        )


def promote_command(use_case: str, version: int | str = "VERSION") -> str:
    """The way to make any release the live one by hand."""
    return f"python -m include.kreislauf release promote {use_case} {version} --by NAME --reason TEXT"


def promote_by_hand(
    store: Store, settings: Settings, use_case: str, version: int, *, by: str, reason: str,
    as_of: Callable[[Connection], datetime],
) -> None:  # fmt: skip
    """Make a release the live one because a person says so, whatever is tried or at work; what is tried ends.

    Parameters
    ----------
    as_of: the time of the workflow.

    Raises
    ------
    ReleaseError: there is no such release, it is live, it cannot be loaded, it needs somebody else's approval, or others
        changed the live release meanwhile. Nothing was changed.
    """
    with store.read() as db:
        pointer, row = live.live(db, use_case), live.find_release(db, use_case, version)
        why = _objection(db, row, pointer, by) if row else f"there is no release {version}"
    if row is None or why:
        raise ReleaseError(
            why, where=use_case, next_step=f"python -m include.kreislauf release list {use_case}"
        )
    if doubt := _doubt(row, settings):
        raise ReleaseError(f"release {version} cannot be loaded: {doubt}", where=use_case,
                           next_step="restore its files or the key, or name another release")  # fmt: skip
    said, now = f"promoted by {by}: {reason}", settings.now()
    with store.write() as db:
        rollouts.abort(db, use_case, now, f"release {version} was {said}")
        swapped = live.promote(
            db,
            use_case,
            version,
            expected=pointer,
            cycle_id=row.cycle_id,
            reason=said,
            as_of=as_of(db),
            now=now,
        )
        if not swapped:  # what was ended is being tried again
            raise ReleaseError("the live release was changed by others meanwhile", where=use_case,
                               next_step=f"python -m include.kreislauf release list {use_case}")  # fmt: skip


def _objection(db: Connection, row: ReleaseRow, pointer: Live | None, by: str) -> str:
    """Why a person must not promote it: where the contract asks for approval, a trainer may not give it."""
    if pointer and pointer.version == row.version:
        return f"release {row.version} is live already"
    was_live = any(one.version == row.version for one in live.promotions_of(db, row.use_case))
    contract = contracts.signed_contract(db, row.use_case)
    if was_live or contract is None or contract.delivery.approval != "required":
        return ""
    return objection(trainers(db, row.use_case, row.cycle_id), by)


def _doubt(row: ReleaseRow, settings: Settings) -> str:
    """Why the service could not answer with a release; empty: it could."""
    from include.kreislauf.deployment import release  # scikit-learn and treelite: only here

    try:
        release.verify_release(row, settings)
    except ReleaseError as error:
        return error.what[:MAX_DOUBT]
    except Exception as error:  # noqa: BLE001 - whatever unpickling does, it cannot be served
        return f"{type(error).__name__}: {error}"[:MAX_DOUBT]
    return ""


def _said(order: WorkOrder) -> str:
    """The reason, with the name of the person; a loop's text has it already."""
    return f"{order.by}: {order.reason}" if order.started_by == BY_HAND else order.reason


def _loop(order: WorkOrder, change: Any) -> Loop:
    text = f"rolled back to release {change.version}: {change.reason.removeprefix(ROLLED_BACK)}"
    evidence = (Evidence(name="release", value=float(change.version), note=text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK, text, evidence=evidence, by=order.by)
