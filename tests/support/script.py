"""Disciplines that answer what a test says, and hand over otherwise: the feedback layer without data and models."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.deployment.promotion import STARTS, roll_back
from include.kreislauf.feedback.work import Step
from include.kreislauf.handovers import Edge, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow


class Script:
    """The disciplines of a :class:`tests.support.lap.Lap`.

    Parameters
    ----------
    done: every step so far, as (stage, attempt).
    leaves_a_release_behind: whether a deployment that sends back has made its release before, as a real one has.
    """

    def __init__(self) -> None:
        self.done: list[tuple[Stage, int]] = []
        self.leaves_a_release_behind = False
        self._replies: dict[Stage, deque[dict[str, Any]]] = defaultdict(deque)

    def sends_back(self, stage: Stage, edge: Edge, reason: Reason, *, times: int = 1, **fields: Any) -> None:
        """What a discipline answers the next times, instead of handing over."""
        reply = {"edge": edge, "reason": reason, "text": f"{stage} says {reason}", **fields}
        self._replies[stage].extend([reply] * times)

    def steps(self) -> Mapping[Stage, Step]:
        """The disciplines, to be given to a lap."""
        scripted = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION, Stage.DEPLOYMENT)
        return {stage: self._step(stage) for stage in scripted}

    def _step(self, stage: Stage) -> Step:
        def step(order: WorkOrder, contract: Contract, settings: Settings) -> StepResult:
            self.done.append((stage, order.attempt))
            if self._replies[stage]:
                if stage is Stage.DEPLOYMENT and self.leaves_a_release_behind:
                    release(order, Store(settings.store), go_live=False)
                return StepResult(order.loop(**self._replies[stage].popleft()))
            output = f"{stage}-{order.cycle_id}-{order.attempt}"
            if stage is Stage.DEPLOYMENT:
                if order.started_by in STARTS:
                    return StepResult(roll_back(order, Store(settings.store), settings))
                output = str(release(order, Store(settings.store)))
            return StepResult(order.handover(stage, code_version="test", output=output, summary={}))

        return step


def release(order: WorkOrder, store: Store, *, go_live: bool = True) -> int:
    """Make a release without files."""
    now = datetime.now(UTC)
    with store.write() as db:
        version = live.next_version(db, order.use_case)
        row = ReleaseRow(
            order.use_case, version, order.cycle_id, order.attempt, "nowhere", "0" * 64, {}, order.as_of, now
        )
        assert live.save_release(db, row)
        before = live.live(db, order.use_case)
        assert not go_live or live.promote(
            db, order.use_case, version, expected=before, cycle_id=order.cycle_id, reason="test",
            as_of=order.as_of, now=now,
        )  # fmt: skip
    return version
