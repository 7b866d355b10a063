"""The ring in one process: the same receipts and disciplines as the DAGs, events as a list instead of Airflow's."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.kreislauf.collection.step import collect
from include.kreislauf.deployment.step import deploy
from include.kreislauf.embedded.client import Answer
from include.kreislauf.embedded.worlds import Asked
from include.kreislauf.evaluation.step import evaluate
from include.kreislauf.feedback import monitor, sign_off
from include.kreislauf.feedback.receipt import Incoming, Refused, read_form, receive
from include.kreislauf.feedback.sign_off import Review
from include.kreislauf.feedback.work import Step, mark_failed, perform
from include.kreislauf.handovers import GIVES, TAKES, Handover, Loop, Role, Stage, WorkOrder
from include.kreislauf.inference.served import Served, serve
from include.kreislauf.preparation.step import prepare
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, cycles, live, messages, observations
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.messages import LoopRow
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.training.step import train

Message = Handover | Loop

STAGES: Mapping[Role, tuple[Stage, ...]] = {
    Role.DATA_ENGINEERING: (Stage.COLLECTION,),
    Role.DATA_SCIENCE: (Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION),
    Role.MLOPS: (Stage.DEPLOYMENT,),
}
STEPS: Mapping[Stage, Step] = {
    Stage.COLLECTION: collect,
    Stage.PREPARATION: prepare,
    Stage.TRAINING: train,
    Stage.EVALUATION: evaluate,
    Stage.DEPLOYMENT: deploy,
}


@dataclass
class Lap:
    """Runs whatever an event starts until nothing is left.

    Parameters
    ----------
    use_case: the one that is meant where none is named.
    steps: the disciplines.
    refused: the refusals so far; ``questions``: what waits for a person, oldest first; ``sent``: every event.
    delay: how far the wall clock is ahead.
    """

    settings: Settings
    store: Store
    use_case: str = "radar"
    steps: Mapping[Stage, Step] = field(default_factory=lambda: STEPS)
    refused: list[str] = field(default_factory=list)
    questions: list[Review] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    delay: timedelta = timedelta()
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        """The wall clock of this ring."""
        return datetime.now(UTC) + self.delay

    # What starts runs

    def by_hand(self, role: Role, *, run_id: str = "", key: str | None = None, **form: Any) -> Incoming:
        """What a DAG run gets that a person started."""
        filled = read_form({"use_case": self.use_case, "reason": "a test", **form})
        return Incoming(role, run_id or f"manual-{next(self._numbers)}", key, form=filled)

    def manual(self, role: Role, **form: Any) -> list[Message]:
        """A run started by hand, and all that follows from it; returns the events."""
        return self._follow(self.run(self.by_hand(role, **form)))

    def event(self, message: Message, run_id: str = "") -> list[Message]:
        """An event that arrives (again), and all that follows from it."""
        return self._follow(self.run(self.arriving(message, run_id)))

    def arriving(self, message: Message, run_id: str = "") -> Incoming:
        """What a DAG run gets that an event started."""
        return Incoming(receiver(message), run_id or f"run-{next(self._numbers)}", message.key, (message,))

    def answer(self, *, approved: bool, by: str = "the owner", note: str = "") -> list[Message]:
        """A person's answer to the oldest question, and all that follows from it."""
        order = self.questions.pop(0).order
        now = self.now()
        goes_on = sign_off.record_answer(self.store, order, approved=approved, by=by, note=note, now=now)
        return self._follow(sign_off.sign(self.store, order, self.settings, now) if goes_on else None)

    def check(self, as_of: datetime, **form: Any) -> list[Message]:
        """A due check of the live release, and all that follows from it."""
        return self.manual(Role.MONITORING, as_of=as_of, **form)

    def receive(self, incoming: Incoming) -> WorkOrder:
        """Only the receipt of a run."""
        return receive(self.store, incoming, self.now(), wall_clock=False)

    def run(self, incoming: Incoming) -> Message | None:
        """One DAG run; returns the message that leaves it."""
        try:
            order = self.receive(incoming)
        except Refused as refusal:
            self.refused.append(refusal.text)
            return None
        try:
            return self._work(incoming.role, order)
        except Exception as error:  # what Airflow's failure callback does
            mark_failed(self.store, order.use_case, order.cycle_id, str(error), self.now())
            raise

    def _work(self, role: Role, order: WorkOrder) -> Message | None:
        now = self.now()
        if role is Role.REQUIREMENTS:
            found = sign_off.review(self.store, order, self.settings, now)
            if not found.needs_person:
                return sign_off.sign(self.store, found.order, self.settings, now)
            self.questions.append(found)
            return None
        if role is Role.MONITORING:
            return monitor.check(order, store=self.store, now=now)
        return self.work(order, *STAGES[role])[0]

    def work(self, order: WorkOrder, *stages: Stage) -> tuple[Message, WorkOrder]:
        """Disciplines one after the other; returns the last one's message, and the order as the next gets it."""
        for stage in stages:
            message = perform(
                stage, self.steps[stage], order, store=self.store, settings=self.settings, now=self.now()
            )
            if isinstance(message, Loop):
                return message, order
            order = order.after(message)
        return message, order

    def _follow(self, first: Message | None) -> list[Message]:
        sent: list[Message] = []
        waiting = deque([first] if first else [])
        while waiting:
            message = waiting.popleft()
            sent.append(message)
            if answer := self.run(self.arriving(message)):
                waiting.append(answer)
        self.sent += sent
        return sent

    # What stands in the store

    @property
    def contract(self) -> Contract:
        """The contract as it stands in its file."""
        return load_contract(contract_path(self.settings.use_cases, self.use_case))

    def order(self, as_of: datetime, **fields: Any) -> WorkOrder:
        """An order to work on, in a new active cycle, under the signed contract."""
        contract, now = self.contract, self.now()
        with self.store.write() as db:
            contracts.record_contract(db, contract, now)
            contracts.record_sign_off(
                db, contract.name, contract.hash, SignOff("signed", "test", "person"), now
            )
            origin = f"test/{next(self._numbers)}"
            cycle = cycles.open_cycle(
                db, contract.name, origin=origin, started_by="test", reason="a test", as_of=as_of, now=now
            )
            for other in cycles.in_state(db, contract.name, State.ACTIVE):
                cycles.set_state(db, other, State.CLOSED, now)
            cycles.set_state(db, cycle, State.ACTIVE, now)
        values = {
            "contract_hash": contract.hash,
            "as_of": as_of,
            "run_id": origin,
            "started_by": "test",
            **fields,
        }
        return WorkOrder(use_case=contract.name, cycle_id=cycle.cycle_id, **values)

    def cycles(self, *states: State) -> list[Cycle]:
        """Cycles, oldest first."""
        with self.store.read() as db:
            return [one for one in cycles.all_cycles(db, self.use_case) if one.state in (states or State)]

    def loops(self, *states: str) -> list[LoopRow]:
        """The ledger, oldest first."""
        with self.store.read() as db:
            return messages.loops_of(db, self.use_case, states=states)

    def handovers(self, cycle_id: str) -> list[Handover]:
        """What was handed over in a cycle, oldest first."""
        with self.store.read() as db:
            return messages.handovers_of(db, self.use_case, cycle_id)

    def verdicts(self) -> list[Verdict]:
        """Every verdict, oldest first."""
        with self.store.read() as db:
            return observations.verdicts_of(db, self.use_case)

    def live(self) -> ReleaseRow | None:
        """The live release."""
        with self.store.read() as db:
            pointer = live.live(db, self.use_case)
            return live.find_release(db, self.use_case, pointer.version) if pointer else None

    def loaded(self) -> LoadedRelease:
        """The live release, verified."""
        row = self.live()
        assert row is not None
        return load_row(self.settings, row)

    def served(self) -> Served:
        """The live release, ready to answer."""
        return serve(self.loaded())

    # What happens outside

    def predict(self, now: datetime, period: datetime, asked: Sequence[Asked]) -> list[Answer]:
        """What the service does: log the live release's predictions, and answer."""
        served = self.served()
        release = served.release
        known = [one for one in asked if one.entity in release.snapshot]
        given = [one.features or release.snapshot[one.entity] for one in known]
        values = {one.entity: float(value) for one, value in zip(known, served.predict(given), strict=True)}
        answers = [
            Answer(str(uuid.uuid4()), one.entity, period.isoformat(), release.version, one.entity in values, values.get(one.entity))
            for one in asked
        ]  # fmt: skip
        rows = [
            {"id": one.prediction_id, "use_case": self.use_case, "release": one.release, "entity": one.entity,
             "known": one.known, "value": one.value, "period": period, "as_of": now, "created_at": self.now()}
            for one in answers
        ]  # fmt: skip
        with self.store.write() as db:
            observations.save_predictions(db, rows)
        return answers


def receiver(message: Message) -> Role:
    """The role whose DAG an event starts."""
    if isinstance(message, Loop):
        return message.edge.received_by
    giver = next(role for role, stage in GIVES.items() if stage is message.stage)
    return next(role for role, stage in TAKES.items() if stage is GIVES[giver])
