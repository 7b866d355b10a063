"""The governor: whether a loop may start work now, and why not. A pure decision; :mod:`receipt` carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.kreislauf.handovers import Loop
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store.cycles import Cycle


@dataclass(frozen=True)
class Situation:
    """What the governor looks at.

    Parameters
    ----------
    active: the use case's active cycle, if any.
    waiting: the cycle that waits for a person, if any.
    last_opened: ``as_of`` of the latest cycle that monitoring opened and the governor accepted.
    hops: accepted loops inside the loop's own cycle.
    """

    active: Cycle | None = None
    waiting: Cycle | None = None
    last_opened: datetime | None = None
    hops: int = 0


@dataclass(frozen=True)
class Answer:
    """The governor's decision and its reason, for the ledger and for people."""

    accepted: bool
    text: str


def decide(loop: Loop, situation: Situation, policy: Governor) -> Answer:
    """Accept a loop, or refuse it with the reason.

    A loop from monitoring asks for a new cycle: there must be no other one at work, none that waits for a person, and
    the cool-down must have passed. A loop inside a cycle only counts as a hop.
    """
    if not loop.edge.opens_cycle:
        return _within_cycle(situation.hops, policy)
    if situation.active and situation.active.cycle_id != loop.cycle_id:
        return Answer(False, f"cycle {situation.active.cycle_id} is at work: one active cycle per use case")
    if situation.waiting:
        return Answer(
            False, f"cycle {situation.waiting.cycle_id} waits for a person: {situation.waiting.note}"
        )
    return _cooled_down(loop, situation.last_opened, policy)


def _within_cycle(hops: int, policy: Governor) -> Answer:
    if hops >= policy.max_hops:
        return Answer(False, f"hop limit: {hops} loops in this cycle, {policy.max_hops} allowed")
    return Answer(True, f"hop {hops + 1} of {policy.max_hops}")


def _cooled_down(loop: Loop, last_opened: datetime | None, policy: Governor) -> Answer:
    if last_opened is None:
        return Answer(True, "the first loop from monitoring")
    ready_at = last_opened + timedelta(days=policy.cool_down_days)
    if loop.as_of < ready_at:
        return Answer(
            False,
            f"cool-down until {ready_at:%Y-%m-%d}: the last cycle was opened as of {last_opened:%Y-%m-%d}",
        )
    return Answer(True, f"the cool-down ended {ready_at:%Y-%m-%d}")
