"""The way back: the pointer to the live release is set to the release before, at once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from include.kreislauf.errors import ReleaseError
from include.kreislauf.handovers import Edge, Evidence, Loop, Reason, Stage, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, rollouts
from include.kreislauf.store.database import Store

MAX_SWAPS = 20
BY_HAND = "manual/roll_back"
"""What started an order by which a person takes a release back."""
STARTS = (BY_HAND, f"loop/{Edge.MONITORING_TO_MLOPS}")


@dataclass(frozen=True)
class _TakenBack:
    version: int | None
    text: str


def roll_back(order: WorkOrder, store: Store, settings: Settings) -> Loop:
    """Point back to the release that was live before, end what is being tried, and ask data science for a better one.

    Parameters
    ----------
    order: names in ``inputs`` the release that is taken back, so that two who ask for the same go back once.

    Raises
    ------
    ReleaseError: others changed the pointer again and again.
    """
    for _ in range(MAX_SWAPS):
        with store.write() as db:
            if (done := take_back(db, order, settings)) is not None:
                return _loop(order, done)
    raise ReleaseError("the live release was changed by others meanwhile", where=order.use_case,
                       next_step="look at the promotions, then clear the task")  # fmt: skip


def take_back(db: Connection, order: WorkOrder, settings: Settings) -> _TakenBack | None:
    """One try within a transaction; ``None`` when somebody else moved the pointer at that moment."""
    now, why = settings.now(), f"rolled back: {order.reason}"
    # the rollout before the pointer, as in a promotion: two that wait for each other would be a deadlock
    rollouts.abort(db, order.use_case, now, why)
    pointer, changes = live.live(db, order.use_case), live.promotions_of(db, order.use_case)
    # a repeated task must not flip it again
    if done := next((one for one in changes if one.cycle_id == order.cycle_id), None):
        return _TakenBack(done.version, f"rolled back to release {done.version}: {order.reason}")
    wanted = live.version_before(changes)
    if pointer is None or wanted is None:
        return _TakenBack(None, "nothing to roll back to: there was no release before")
    if (meant := order.inputs.get(Stage.DEPLOYMENT)) and meant != str(pointer.version):
        text = f"release {meant} had been taken back already: release {pointer.version} is live"
        return _TakenBack(pointer.version, text)
    swapped = live.promote(
        db, order.use_case, wanted, expected=pointer, cycle_id=order.cycle_id, reason=why, as_of=order.as_of, now=now,
    )  # fmt: skip
    return _TakenBack(wanted, f"rolled back to release {wanted}: {order.reason}") if swapped else None


def _loop(order: WorkOrder, done: _TakenBack) -> Loop:
    value = float(done.version) if done.version is not None else None
    evidence = (Evidence(name="release", value=value, note=done.text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK, done.text, evidence=evidence)
