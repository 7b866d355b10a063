"""Living through a world under one policy, step by step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Loop, Role
from include.kreislauf.replay.logged import log_as_of
from include.kreislauf.replay.policies import EDGE, Plan, ReplayError
from include.kreislauf.replay.ring import LocalRing, Message
from include.kreislauf.replay.surroundings import Surroundings

Say = Callable[[str], None]
_TOLD = 10
"""So often, at most, a policy says how far it has come."""


def begin(ring: LocalRing, around: Surroundings) -> None:
    """The first cycle: every policy starts from its release.

    Raises
    ------
    ReplayError: it did not go live.
    """
    start = around.times[0]
    around.reach(start)
    ring.manual(Role.REQUIREMENTS, as_of=start, reason="the first model")
    if ring.live() is None:
        fates = "; ".join(f"{one.cycle_id} {one.state}: {one.note or one.reason}" for one in ring.cycles())
        raise ReplayError(
            f"the first cycle did not go live: {fates}; the last loop says: {_last_words(ring)}",
            where=f"{ring.use_case}, {start:%Y-%m-%d}", allowed="a later --from, when there is more to learn from",
            next_step="correct what the loop says, or begin later",
        )  # fmt: skip


def _last_words(ring: LocalRing) -> str:
    loops = [row.loop for row in ring.loops()]
    return f"{loops[-1].edge}: {loops[-1].text}" if loops else "nothing: there was none"


def live_through(ring: LocalRing, around: Surroundings, plan: Plan, say: Say) -> None:
    """After :func:`begin`: per step the outcomes, the check with all that follows from it, and new requests.

    A check passes through the same receipt, governor and ledger whatever the policy: it only turns down what monitoring
    raises by itself, or has a loop raised as a person would.
    """
    ring.turned_down = plan.turned_down
    times = around.times
    steps = len(times) - 1
    around.asks(ring, times[0])
    for number, (before, now) in enumerate(pairwise(times), start=1):
        around.reach(now)
        around.happened(ring, now)
        log_as_of(ring.store, now)
        _check(ring, plan, number, before, now, say)
        around.asks(ring, now)
        if number * _TOLD // steps > (number - 1) * _TOLD // steps:
            say(f"{now:%Y-%m-%d}  step {number} of {steps}")


def _check(ring: LocalRing, plan: Plan, number: int, before: datetime, now: datetime, say: Say) -> None:
    """The check of one step; a discipline that fails costs its cycle, and no other."""
    form: dict[str, Any] = {}
    if why := plan.due(number, before, now):
        form = {"loop": EDGE, "by": f"the policy {plan.policy}", "reason": why, "override": True}
    elif not plan.looks(number):
        return
    try:
        for message in ring.check(now, **form):
            say(f"{now:%Y-%m-%d}  {told(message)}{_refusal(ring, message)}")
    except KreislaufError as error:
        say(f"{now:%Y-%m-%d}  failed: {error.text}")


def _refusal(ring: LocalRing, message: Message) -> str:
    """Why a loop was not taken up; empty where it was."""
    refused = (
        {row.loop.id: row.decision for row in ring.loops("refused")} if isinstance(message, Loop) else {}
    )
    return f" (refused: {refused[message.id]})" if message.id in refused else ""


def told(message: Message) -> str:
    """An event in a line."""
    if isinstance(message, Loop):
        return f"{message.cycle_id}  loop/{message.edge}: {message.text}"
    return f"{message.cycle_id}  {message.stage:<12} {message.output.rpartition('/')[2][:40]}"
