"""Which release is live: forward to a new one by compare-and-swap, or back to the one before."""

from __future__ import annotations

from include.kreislauf.errors import ReleaseError
from include.kreislauf.handovers import Edge, Evidence, Handover, Loop, Reason, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow

MAX_SWAPS = 5


def promote(store: Store, row: ReleaseRow, order: WorkOrder, reason: str, settings: Settings) -> int | None:
    """Make a release the live one; returns the version before it. Does nothing when it is live already.

    Raises
    ------
    ReleaseError: others changed the pointer again and again.
    """
    for _ in range(MAX_SWAPS):
        with store.write() as db:
            before = live.live(db, row.use_case)
            if before and before.version == row.version:
                return live.version_before(live.promotions_of(db, row.use_case))
            if live.promote(
                db, row.use_case, row.version, expected=before, cycle_id=order.cycle_id, reason=reason,
                as_of=order.as_of, now=settings.now(),
            ):  # fmt: skip
                return before.version if before else None
    raise ReleaseError("the live release was changed by others meanwhile", where=row.use_case,
                       next_step="look at the promotions, then clear the task")  # fmt: skip


def roll_back(order: WorkOrder, store: Store, settings: Settings) -> Handover | Loop:
    """Point back to the release that was live before, then ask data science for a better one."""
    with store.read() as db:
        changes = live.promotions_of(db, order.use_case)
        # a repeated task must not flip it again
        done = bool(changes) and changes[-1].cycle_id == order.cycle_id
        wanted = changes[-1].version if done else live.version_before(changes)
        row = live.find_release(db, order.use_case, wanted) if wanted else None
    if row is None:
        text = "nothing to roll back to: there was no release before"
    else:
        promote(store, row, order, f"rolled back: {order.reason}", settings)
        text = f"rolled back to release {row.version}: {order.reason}"
    evidence = (Evidence(name="release", value=float(row.version) if row else None, note=text),)
    return order.loop(Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK, text, evidence=evidence)
