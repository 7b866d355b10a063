"""Progressive delivery: a release on its way to being live, as a state machine over ``store/rollouts``.

``candidate`` (every worker loads it) → ``shadow`` → ``canary`` → approval → ``promoted``; ``rejected`` when a check fails
or a person says no, ``aborted`` when something else became live meanwhile or the cycle is over. Every change is a
compare-and-swap, every look starts from what the store says: whoever looks, again or at the same time, comes to the
same end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.deployment.canary import judge_canary
from include.kreislauf.deployment.confirmation import judge_loading
from include.kreislauf.deployment.found import Found
from include.kreislauf.deployment.shadow import judge_shadow
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import folder_of
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.store import cycles, live, rollouts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import Live, ReleaseRow
from include.kreislauf.store.rollouts import TRIED, Rollout, RolloutState

KEEP_ALIVE = timedelta(minutes=5)
"""So often a cycle whose release is tried says that it is at work: a long canary is not given up as stale."""
MAX_BEGINS = 5
LOADING, SHADOW, CANARY, APPROVAL = "loading", "shadow", "canary", "approval"
STATES = {LOADING: RolloutState.CANDIDATE, SHADOW: RolloutState.SHADOW, CANARY: RolloutState.CANARY}
NO_TRAFFIC = "no live traffic: time comes only with events here (replay, simulation)"
FIRST = "nothing was live before: there is nothing to compare with"
REVISION, INTERRUPTED = "revision", "interrupted"
"""Keys of the evidence: of the pointer when it began; and of what its task died of."""


class Phase(Enum):
    """What a rollout waits for."""

    LOADING = "the service's workers"
    TRYING = "live traffic"
    ASKING = "a person"
    READY = "its promotion"
    OVER = "nothing"


@dataclass(frozen=True)
class Progress:
    """A rollout as it is, and what comes next."""

    rollout: Rollout
    phase: Phase


class _OvertakenError(Exception):
    """The pointer is no longer what it was: nothing of the transaction counts."""


@dataclass(frozen=True)
class _Change:
    state: RolloutState
    note: str
    evidence: dict[str, Any] = field(default_factory=dict)


def begin(store: Store, row: ReleaseRow, contract: Contract, now: datetime) -> Rollout:
    """The rollout of a release: the one that there is, or a new one that ends what else is tried of its use case."""
    share = contract.delivery.canary.share if contract.delivery.canary else 0.0
    for _ in range(MAX_BEGINS):
        with store.write() as db:
            known = rollouts.find(db, row.use_case, row.version)
            if known and not (known.state is RolloutState.ABORTED and INTERRUPTED in known.evidence):
                return known
            rollouts.abort(db, row.use_case, now, f"release {row.version} is tried instead")
            pointer = live.live(db, row.use_case)
            rollout = Rollout(
                row.use_case, row.version, row.cycle_id, row.attempt, RolloutState.CANDIDATE,
                pointer.version if pointer else None, share, "the workers load it",
                {REVISION: pointer.revision if pointer else 0}, now, now,
            )  # fmt: skip
            if rollouts.begin_again(db, known, rollout) if known else rollouts.begin(db, rollout):
                return rollout
    raise RuntimeError(f"releases of {row.use_case} keep ending each other's rollout")


def interrupt(db: Connection, use_case: str, cycle_id: str, now: datetime, note: str) -> None:
    """A task of a cycle failed for good: its release is no longer tried, until the task is repeated."""
    rollouts.abort(db, use_case, now, note, cycle_id=cycle_id, evidence={INTERRUPTED: note})


@dataclass(frozen=True)
class Delivery:
    """One release that is tried.

    Parameters
    ----------
    has_traffic: whether requests come by themselves; in a replay they come with the events, so nothing can be tried.
    folder: where the use case's own code is.
    """

    store: Store
    order: WorkOrder
    contract: Contract
    version: int
    has_traffic: bool
    folder: Path | None = None

    @classmethod
    def of(cls, order: WorkOrder, contract: Contract, settings: Settings, version: int) -> Delivery:
        """The delivery of an order's release, in the store of the settings."""
        return cls(
            Store(settings.store), order, contract, version, has_traffic=settings.clock == "wall",
            folder=folder_of(settings.use_cases, contract.name),
        )  # fmt: skip

    def look(self, now: datetime) -> Progress:
        """Take every step that can be taken now; returns what the rollout waits for then."""
        while True:
            with self.store.read() as db:
                rollout = self._rollout(db)
                coming = self._next(db, rollout, now)
            if isinstance(coming, Phase):
                self._stay_alive(now)
                return Progress(rollout, coming)
            with self.store.write() as db:
                if isinstance(coming, _Change):
                    rollouts.move(db, rollout, coming.state, now, coming.note, coming.evidence)
                else:
                    rollouts.note_down(db, rollout, coming)

    def promote(self, reason: str, now: datetime) -> Progress:
        """Make the release the live one, if what was live when it began still is; else it is aborted."""
        with suppress(_OvertakenError), self.store.write() as db:
            rollout = self._rollout(db)
            before = rollout.champion
            seen = Live(rollout.use_case, before, rollout.evidence[REVISION]) if before is not None else None
            moved = rollout.state in TRIED and rollouts.move(
                db, rollout, RolloutState.PROMOTED, now, reason, {}
            )
            swapped = moved and live.promote(
                db, rollout.use_case, rollout.version, expected=seen, cycle_id=rollout.cycle_id, reason=reason,
                as_of=self.order.as_of, now=now,
            )  # fmt: skip
            if moved and not swapped:
                raise _OvertakenError
        return self.look(now)

    def decide(self, by: str, *, approved: bool, note: str, now: datetime) -> Progress:
        """A person's answer, if one is waited for; a no is a rejection."""
        progress = self.look(now)
        if progress.phase is not Phase.ASKING:
            return progress
        verdict = Verdict.PASS if approved else Verdict.FAIL
        said = f"{'approved' if approved else 'rejected'} by {by}{f': {note}' if note else ''}"
        record = {APPROVAL: Found(verdict, said).record() | {"by": by}}
        with self.store.write() as db:
            if approved:
                rollouts.note_down(db, progress.rollout, record)
            else:
                rollouts.move(db, progress.rollout, RolloutState.REJECTED, now, said, record)
        return self.look(now)

    def reject(self, why: str, now: datetime) -> Progress:
        """End it because its files cannot be believed."""
        with self.store.write() as db:
            rollout = self._rollout(db)
            if rollout.state in TRIED:
                rollouts.move(db, rollout, RolloutState.REJECTED, now, why, {})
        return self.look(now)

    def _rollout(self, db: Connection) -> Rollout:
        found = rollouts.find(db, self.order.use_case, self.version)
        if found is None:
            raise RuntimeError(
                f"release {self.version} of {self.order.use_case} is not tried: begin comes first"
            )
        return found

    def _next(self, db: Connection, rollout: Rollout, now: datetime) -> Phase | _Change | dict[str, Any]:
        """What to wait for, or the change to make, or what to note down."""
        if rollout.state not in TRIED:
            return Phase.OVER
        if why := _overtaken(db, rollout):
            return _Change(RolloutState.ABORTED, why)
        for name in self._open(rollout):
            if self._can_be_tried(name, rollout) and rollout.state is not STATES[name]:
                return _Change(STATES[name], f"{name} began")
            found = self._judge(db, name, rollout, now)
            if found.final:
                return self._conclude(rollout, name, found)
            before = rollout.evidence.get(f"{name}_so_far", {})
            return (
                {f"{name}_so_far": found.record()}
                if found.look > before.get("look", -1)
                else _waits_for(name)
            )
        if self._needs_person(rollout) and APPROVAL not in rollout.evidence:
            if rollout.state is RolloutState.CANARY:  # nobody is answered by it while a person thinks
                return _Change(RolloutState.CANDIDATE, "a person is asked")
            return Phase.ASKING
        return Phase.READY

    def _open(self, rollout: Rollout) -> Iterator[str]:
        """The checks that the contract asks for and that have not been concluded, in their order."""
        asked = {LOADING: True, SHADOW: self.contract.delivery.shadow, CANARY: self.contract.delivery.canary}
        return (name for name, wanted in asked.items() if wanted and name not in rollout.evidence)

    def _can_be_tried(self, name: str, rollout: Rollout) -> bool:
        return name != LOADING and self.has_traffic and rollout.champion is not None

    def _judge(self, db: Connection, name: str, rollout: Rollout, now: datetime) -> Found:
        delivery = self.contract.delivery
        if name == LOADING:
            return judge_loading(db, rollout, now)
        if rollout.champion is None:
            return Found(Verdict.PASS, FIRST)
        if not self.has_traffic:
            return Found(Verdict.INCONCLUSIVE, NO_TRAFFIC)
        if name == SHADOW and delivery.shadow:
            return judge_shadow(db, rollout, self.contract.problem, delivery.shadow, now)
        assert delivery.canary is not None  # noqa: S101 - it is one of the open checks
        return judge_canary(db, rollout, self.contract, delivery.canary, now, self.folder)

    def _conclude(self, rollout: Rollout, name: str, found: Found) -> _Change | Phase | dict[str, Any]:
        said = f"{name}: {found.text}"
        if found.verdict is Verdict.FAIL:
            return _Change(RolloutState.REJECTED, said, {name: found.record()})
        if found.verdict is Verdict.PASS:
            return _Change(rollout.state, said, {name: found.record()})
        then = self.contract.delivery.on_inconclusive
        if then == "wait":
            if not self.has_traffic:  # for ever
                return _Change(rollout.state, said, {name: found.record("promote")})
            before = rollout.evidence.get(f"{name}_so_far", {})
            known = bool(before.get("then")) and found.look <= before.get("look", -1)
            return Phase.TRYING if known else {f"{name}_so_far": found.record(then)}
        state = RolloutState.REJECTED if then == "reject" else rollout.state
        return _Change(state, said, {name: found.record(then)})

    def _needs_person(self, rollout: Rollout) -> bool:
        unsure = any(isinstance(one, dict) and one.get("then") == "ask" for one in rollout.evidence.values())
        return unsure or self.contract.delivery.approval == "required"

    def _stay_alive(self, now: datetime) -> None:
        with self.store.read() as db:
            cycle = cycles.find(db, self.order.use_case, self.order.cycle_id)
        if cycle and cycle.state is State.ACTIVE and now - cycle.changed_at > KEEP_ALIVE:
            with self.store.write() as db:
                cycles.set_state(db, cycle, State.ACTIVE, now, cycle.note)


def _waits_for(name: str) -> Phase:
    return Phase.LOADING if name == LOADING else Phase.TRYING


def _overtaken(db: Connection, rollout: Rollout) -> str:
    """Why a rollout must not go on: another release became live since it began, or its cycle is over; else nothing."""
    pointer = live.live(db, rollout.use_case)
    if (pointer.revision if pointer else 0) != rollout.evidence[REVISION]:
        change = live.promotions_of(db, rollout.use_case)[-1]
        return f"release {change.version} became the live one meanwhile: {change.reason}"
    cycle = cycles.find(db, rollout.use_case, rollout.cycle_id)
    if cycle and cycle.state not in (State.ACTIVE, State.WAITING):
        return f"cycle {cycle.cycle_id} is {cycle.state}: {cycle.note or cycle.reason}"
    return ""
