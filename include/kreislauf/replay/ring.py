"""The ring in one process: the same receipts and disciplines as the DAGs, events as a list instead of Airflow's."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from include.kreislauf.collection.step import collect
from include.kreislauf.deployment.approval import Approval
from include.kreislauf.deployment.step import deploy
from include.kreislauf.evaluation.step import evaluate
from include.kreislauf.feedback import monitor, questions, sign_off
from include.kreislauf.feedback.receipt import Incoming, Refused, read_form, receive
from include.kreislauf.feedback.sign_off import Review
from include.kreislauf.feedback.work import Step, mark_failed, perform
from include.kreislauf.handovers import (
    GIVES,
    TAKES,
    Handover,
    Loop,
    PersonAnswer,
    PersonNeeded,
    Role,
    Stage,
    StepResult,
    WorkOrder,
)
from include.kreislauf.preparation.step import prepare
from include.kreislauf.replay.standing import Standing
from include.kreislauf.store import cycles, messages
from include.kreislauf.store.cycles import State
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


@dataclass(frozen=True)
class Person:
    """Who answers the ring's questions where nobody sits at the inbox: always the same.

    Parameters
    ----------
    approves: whether the answer is yes.
    """

    approves: bool = False
    name: str = "the replay"
    note: str = "nobody is there to decide"

    def answered(self, stage: Stage, step: Callable[..., StepResult]) -> Step:
        """A discipline that asked, and now has its answer."""
        if stage is Stage.EVALUATION:
            return partial(step, answer=PersonAnswer(genuine=self.approves, by=self.name))
        return partial(step, approval=Approval(self.approves, self.name, self.note))


def take_all(_loop: Loop) -> str:
    """Turns no loop down."""
    return ""


@dataclass
class LocalRing(Standing):
    """Runs whatever an event starts until nothing is left.

    Parameters
    ----------
    steps: the disciplines.
    person: answers the questions; ``None``: they wait in ``questions``, oldest first.
    turned_down: why a loop of monitoring is not even shown to the governor; empty: it is.
    refused: the refusals so far; ``sent``: every event; ``seconds``: machine time of the disciplines so far.
    delay: how far the wall clock is ahead.
    """

    steps: Mapping[Stage, Step] = field(default_factory=lambda: STEPS)
    person: Person | None = None
    turned_down: Callable[[Loop], str] = take_all
    refused: list[str] = field(default_factory=list)
    questions: list[Review] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    seconds: float = 0.0
    delay: timedelta = timedelta()
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        """The wall clock of this ring."""
        return datetime.now(UTC) + self.delay

    # What starts runs

    def by_hand(self, role: Role, *, run_id: str = "", key: str | None = None, **form: Any) -> Incoming:
        """What a DAG run gets that a person started."""
        filled = read_form({"use_case": self.use_case, "reason": "a replay", **form})
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
        return self._follow(self._answered(approved=approved, by=by, note=note))

    def check(self, as_of: datetime, **form: Any) -> list[Message]:
        """A due check of the live release, and all that follows from it."""
        return self.manual(Role.MONITORING, as_of=as_of, **form)

    # What a run does

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

    def work(self, order: WorkOrder, *stages: Stage) -> tuple[Message, WorkOrder]:
        """Disciplines one after the other; returns the last one's message, and the order as the next gets it."""
        began = time.perf_counter()
        for stage in stages:
            message = self._perform(stage, order)
            if isinstance(message, Loop):
                break
            order = order.after(message)
        self.seconds += time.perf_counter() - began
        return message, order

    def _work(self, role: Role, order: WorkOrder) -> Message | None:
        now = self.now()
        if role is Role.REQUIREMENTS:
            return self._review(order)
        if role is Role.MONITORING:
            return monitor.check(order, store=self.store, now=now, settings=self.settings)
        return self.work(order, *STAGES[role])[0]

    def _review(self, order: WorkOrder) -> Message | None:
        found = sign_off.review(self.store, order, self.settings, self.now())
        if not found.needs_person:
            return sign_off.sign(self.store, found.order, self.settings, self.now())
        self.questions.append(found)
        if self.person is None:
            return None
        return self._answered(approved=self.person.approves, by=self.person.name, note=self.person.note)

    def _answered(self, *, approved: bool, by: str, note: str) -> Message | None:
        order, now = self.questions.pop(0).order, self.now()
        goes_on = sign_off.record_answer(self.store, order, approved=approved, by=by, note=note, now=now)
        return sign_off.sign(self.store, order, self.settings, now) if goes_on else None

    def _perform(self, stage: Stage, order: WorkOrder) -> Message:
        todo = partial(perform, stage, order=order, store=self.store, settings=self.settings, now=self.now())
        try:
            return todo(self.steps[stage])
        except PersonNeeded:
            if self.person is None:
                raise
            questions.wait(self.store, order, self.now())
            questions.take_up(self.store, order, self.now(), f"{self.person.name} answered")
            return todo(self.person.answered(stage, self.steps[stage]))

    def _follow(self, first: Message | None) -> list[Message]:
        sent: list[Message] = []
        waiting = deque([first] if first else [])
        while waiting:
            message = waiting.popleft()
            sent.append(message)
            if self._stops(message):
                continue
            if answer := self.run(self.arriving(message)):
                waiting.append(answer)
        self.sent += sent
        return sent

    def _stops(self, message: Message) -> bool:
        """A loop that nobody is to take up is written down as refused, with the reason."""
        why = self.turned_down(message) if isinstance(message, Loop) and message.edge.opens_cycle else ""
        if not why:
            return False
        with self.store.write() as db:
            messages.decide_loop(db, message.id, "refused", why, f"replay-{next(self._numbers)}")
            cycle = cycles.get_cycle(db, message.use_case, message.cycle_id)
            cycles.set_state(db, cycle, State.REFUSED, self.now(), why)
        self.refused.append(why)
        return True


def receiver(message: Message) -> Role:
    """The role whose DAG an event starts."""
    if isinstance(message, Loop):
        return message.edge.received_by
    giver = next(role for role, stage in GIVES.items() if stage is message.stage)
    return next(role for role, stage in TAKES.items() if stage is GIVES[giver])
