"""How far a canary has come, as the workflow store shows it; and which part to look at when it does not go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.standing import ROLE_OF
from include.kreislauf.handovers import TAKES, Role, Stage
from include.kreislauf.settings import CANARY
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.schema import handovers, receipts, verdicts

STAGES: tuple[str, ...] = tuple(map(str, Stage))
"""What a canary must come to, in this order; the last is the first verdict."""
OVER = {State.FAILED, State.CLOSED, State.REFUSED, State.WAITING}
"""A cycle in such a state does not go on by itself."""


class CanaryError(KreislaufError):
    """The canary did not come through; ``where`` is the first stage that was not reached."""


@dataclass(frozen=True)
class Progress:
    """How far a canary has come.

    Parameters
    ----------
    cycle: its cycle; ``None``: the first DAG has not opened it.
    seconds: by stage that is done, how long it took.
    release: number of the release that was made.
    receiver: DAG run that works at the next stage; empty: none has taken it up.
    tracking: MLflow run of the training, or why there is none.
    """

    cycle: Cycle | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    release: int | None = None
    receiver: str = ""
    tracking: str = ""

    @property
    def next(self) -> str:
        """The stage that is awaited; empty: all are done."""
        return next((stage for stage in STAGES if stage not in self.seconds), "")

    def told(self) -> dict[str, Any]:
        """What is known, as JSON: cycle, release, seconds by stage, tracking."""
        return {
            "cycle": self.cycle.cycle_id if self.cycle else "", "release": self.release,
            "seconds": dict(self.seconds), "tracking": self.tracking,
        }  # fmt: skip

    @property
    def ended(self) -> CanaryError | None:
        """Why it will not go on, where that is known already."""
        if not self.next or self.cycle is None or self.cycle.state not in OVER:
            return None
        what = (
            f"cycle {self.cycle.cycle_id} is {self.cycle.state}: {self.cycle.note or 'no reason was given'}"
        )
        return CanaryError(what, where=self.next, next_step=_read_log(self))

    def stuck(self, patience: float) -> CanaryError:
        """What to look at when the next stage does not come within its time (seconds)."""
        dag, within = role_of(self.next), f"within {patience:.0f} s"
        if self.receiver:
            return CanaryError(
                f"{dag} took it up, and was not done {within}", where=self.next, next_step=_read_log(self)
            )
        return CanaryError(
            f"no run of {dag} took it up {within}", where=self.next,
            next_step=f"look at the runs of {dag} in Airflow: one that is queued waits for a worker or the broker; where there is "
            "none, the scheduler has made none of the asset event before it",
        )  # fmt: skip


def role_of(stage: str) -> Role:
    """Whose DAG comes to a stage."""
    return ROLE_OF[Stage(stage)]


def look(db: Connection, origin: str, began: datetime) -> Progress:
    """How far the cycle has come that something opened; reads only.

    Parameters
    ----------
    origin: see :func:`~include.kreislauf.store.cycles.open_cycle`.
    began: when the canary did.
    """
    cycle = cycles.find_by_origin(db, CANARY, origin)
    if cycle is None:
        return Progress()
    where = (handovers.c.use_case == CANARY, handovers.c.cycle_id == cycle.cycle_id)
    rows = {row.stage: row for row in db.execute(select(handovers).where(*where))}
    at = {stage: row.created_at for stage, row in rows.items()}
    judged = select(verdicts.c.created_at).where(
        verdicts.c.use_case == CANARY, verdicts.c.cycle_id == cycle.cycle_id
    )
    if first := db.scalar(judged.order_by(verdicts.c.created_at).limit(1)):
        at[Stage.MONITORING] = first
    progress = Progress(cycle, _seconds(at, began))
    training, deployment = rows.get(Stage.TRAINING), rows.get(Stage.DEPLOYMENT)
    return Progress(
        cycle, progress.seconds,
        release=int(deployment.output) if deployment else None,
        receiver=_receiver(db, progress, {stage: row.id for stage, row in rows.items()}),
        tracking=_tracked(training.body["summary"]) if training else "",
    )  # fmt: skip


def _seconds(at: Mapping[str, datetime], began: datetime) -> dict[str, float]:
    """Of each stage, the time since the one before; up to the first that is missing."""
    found: dict[str, float] = {}
    for stage in STAGES:
        if stage not in at:
            break
        found[stage] = max(0.0, (at[stage] - began).total_seconds())
        began = at[stage]
    return found


def _receiver(db: Connection, progress: Progress, ids: Mapping[str, str]) -> str:
    """The run that has taken up what the next stage is made of."""
    if not progress.next or progress.cycle is None:
        return ""
    role = role_of(progress.next)
    if role not in TAKES:
        return progress.cycle.origin.partition("/")[2]
    taken = ids.get(TAKES[role], "")
    where = (receipts.c.message_id == taken, receipts.c.role == role)
    return db.scalar(select(receipts.c.run_id).where(*where)) or ""


def _tracked(summary: Mapping[str, object]) -> str:
    found = summary.get("tracking")
    told: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    return f"MLflow run {told['parent']}" if told.get("parent") else f"not tracked: {told.get('note')}"


def _read_log(progress: Progress) -> str:
    run = f"run {progress.receiver} of " if progress.receiver else ""
    return f"read the log of {run}{role_of(progress.next)} in Airflow"
