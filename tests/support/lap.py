"""The ring in one process: the same receipts and disciplines as the DAGs, events as a list instead of Airflow's."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.collection.step import collect
from include.kreislauf.deployment.step import deploy
from include.kreislauf.evaluation.step import evaluate
from include.kreislauf.feedback import monitor, sign_off
from include.kreislauf.feedback.receipt import Form, Incoming, Refused, receive
from include.kreislauf.feedback.work import perform
from include.kreislauf.handovers import GIVES, TAKES, Edge, Handover, Loop, Role, Stage
from include.kreislauf.preparation.step import prepare
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import load_release
from include.kreislauf.training.step import train

STEPS = {
    Role.DATA_ENGINEERING: [(Stage.COLLECTION, collect)],
    Role.DATA_SCIENCE: [(Stage.PREPARATION, prepare), (Stage.TRAINING, train), (Stage.EVALUATION, evaluate)],
    Role.MLOPS: [(Stage.DEPLOYMENT, deploy)],
}


@dataclass
class Lap:
    """Runs whatever an event starts until nothing is left; ``refused`` keeps the refusals."""

    settings: Settings
    store: Store
    refused: list[str] = field(default_factory=list)
    sent: list[Handover | Loop] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)

    def manual(self, role: Role, **form: Any) -> list[Handover | Loop]:
        """A run started by hand, and all that follows from it."""
        incoming = Incoming(role, f"manual-{next(self._numbers)}", form=Form(**{"reason": "test", **form}))
        return self._follow(self.run(incoming))

    def event(self, message: Handover | Loop) -> list[Handover | Loop]:
        """An event that arrives (again), and all that follows from it."""
        return self._follow(
            self.run(Incoming(receiver(message), f"event-{next(self._numbers)}", message.key, (message,)))
        )

    def run(self, incoming: Incoming) -> Handover | Loop | None:
        """One DAG run; returns the message that leaves it."""
        now = datetime.now(UTC)
        try:
            order = receive(self.store, incoming, now, wall_clock=False)
        except Refused as refusal:
            self.refused.append(refusal.text)
            return None
        if incoming.role is Role.REQUIREMENTS:
            found = sign_off.review(self.store, order, self.settings, now)
            return None if found.needs_person else sign_off.sign(self.store, found.order, self.settings, now)
        if incoming.role is Role.MONITORING:
            return monitor.check(order, store=self.store, now=now)
        for stage, step in STEPS[incoming.role]:
            message = perform(
                stage, step, order, store=self.store, settings=self.settings, now=datetime.now(UTC)
            )
            if isinstance(message, Loop):
                return message
            order = order.model_copy(update={"inputs": {**order.inputs, stage: message.output}})
        return message

    def _follow(self, first: Handover | Loop | None) -> list[Handover | Loop]:
        sent: list[Handover | Loop] = []
        waiting = deque([first] if first else [])
        while waiting:
            message = waiting.popleft()
            sent.append(message)
            incoming = Incoming(receiver(message), f"run-{next(self._numbers)}", message.key, (message,))
            if answer := self.run(incoming):
                waiting.append(answer)
        self.sent += sent
        return sent

    def predict(self, use_case: str, now: datetime, period: datetime, asked: list[Any]) -> dict[str, str]:
        """What the service does: log the live release's predictions; returns prediction ids by entity."""
        from pathlib import Path

        with self.store.read() as db:
            pointer = live.live(db, use_case)
            assert pointer is not None
            row = live.find_release(db, use_case, pointer.version)
            assert row is not None
        release = load_release(Path(row.path), row.digest)
        rows = []
        for one in asked:
            known = one.entity in release.snapshot
            value = (
                float(release.predict([one.features or release.snapshot[one.entity]])[0]) if known else None
            )
            rows.append({"id": str(uuid.uuid4()), "use_case": use_case, "release": release.version, "entity": one.entity,
                         "known": known, "value": value, "period": period, "as_of": now, "created_at": datetime.now(UTC)})  # fmt: skip
        with self.store.write() as db:
            observations.save_predictions(db, rows)
        return {row["entity"]: row["id"] for row in rows}


def receiver(message: Handover | Loop) -> Role:
    """The role whose DAG an event starts."""
    if isinstance(message, Loop):
        return message.edge.received_by
    giver = next(role for role, stage in GIVES.items() if stage is message.stage)
    return next(role for role, stage in TAKES.items() if stage is GIVES[giver])


__all__ = ["Edge", "Lap", "receiver"]
