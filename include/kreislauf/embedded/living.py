"""Living through worlds in a running stack, step by step, several use cases beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from include.kreislauf.embedded.client import Client
from include.kreislauf.embedded.exchange import Answer
from include.kreislauf.embedded.ring import Ring
from include.kreislauf.embedded.worlds import World
from include.kreislauf.handovers import Stage
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import cycles, messages, observations
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

TOGETHER = timedelta(days=7)
"""Steps of several use cases within it are gone at once, so that their cycles are at work side by side."""


class Life:
    """One use case in a stack: the world around it, its ring, and its users.

    Parameters
    ----------
    say: receives one line per thing that happened.
    """

    def __init__(self, world: World, ring: Ring, client: Client, say: Callable[[str], None]) -> None:
        self.world, self.ring, self.client, self._say = world, ring, client, say
        self.times = world.times()

    def begin(self) -> None:
        """Take up what was interrupted, and have the first cycle begun."""
        self.world.reach(self.times[0])
        self.ring.take_up()
        self._say(f"{self.times[0]:%Y-%m-%d}  the first cycle begins, in {self.world.name}")
        self.ring.begin(self.times[0], "the first model")

    def go_on(self, now: datetime) -> None:
        """What happened since the step before is told, and the live release checked."""
        self.world.reach(now)
        self.client.send_outcomes(self.world.outcomes(now))
        self.client.send_reports(now, self.world.reports(now, self.client.answers))
        self.ring.check(now)

    def ask(self, now: datetime) -> None:
        """What clients ask until the next step, of the release that is live then."""
        requests = self.world.requests(now, collected_technologies(self.ring.store, self.world.contract))
        answers = [answer for one in requests for answer in self.client.predict(one)]
        step = f"{self.times.index(now) + 1}/{len(self.times)}"
        self._say(_progress(self.ring.store, self.world.contract, answers, now, step))


def live_through(lives: Sequence[Life]) -> None:
    """The first cycles, then step by step: outcomes, checks, loops, requests."""
    by_name = {life.ring.use_case: life for life in lives}
    for steps in steps_together({name: life.times for name, life in by_name.items()}):
        for name, now in steps:
            life = by_name[name]
            if now == life.times[0]:
                life.begin()
            else:
                life.go_on(now)
        for name, _ in steps:
            by_name[name].ring.settle()
        for name, now in steps:
            by_name[name].ask(now)


def steps_together(times: Mapping[str, Sequence[datetime]]) -> Iterator[list[tuple[str, datetime]]]:
    """The steps of several use cases in the order of time; of each at most one at once.

    Parameters
    ----------
    times: by use case its steps, oldest first.
    """
    left = {name: list(own) for name, own in times.items() if own}
    while left:
        earliest = min(own[0] for own in left.values())
        steps = [(name, own.pop(0)) for name, own in left.items() if own[0] < earliest + TOGETHER]
        yield sorted(steps, key=lambda step: step[1])
        left = {name: own for name, own in left.items() if own}


def collected_technologies(store: Store, contract: Contract) -> set[str] | None:
    """The catalogue, and what collections have taken in since; None where the contract has no catalogue."""
    if not contract.technologies:
        return None
    with store.read() as db:
        last = messages.latest_handover(db, contract.name, Stage.COLLECTION)
    adopted = cast("list[dict[str, str]]", last.summary.get("adopted", []) if last else [])
    return {one.name for one in contract.technologies} | {one["name"] for one in adopted}


def _progress(store: Store, contract: Contract, answers: list[Answer], now: datetime, step: str) -> str:
    with store.read() as db:
        verdicts = {
            one.metric: one for one in observations.verdicts_of(db, contract.name, 50) if one.as_of == now
        }
        active = cycles.in_state(db, contract.name, State.LIVE)
    shown = "  ".join(
        f"{name} {'-' if one.value is None else f'{one.value:+.4g}'} {one.verdict}"
        for name, one in verdicts.items()
    )
    known = sum(one.known for one in answers)
    release = answers[0].release if answers else "-"
    cycle = active[0].cycle_id if active else "-"
    return (
        f"{now:%Y-%m-%d} [{step}]  release {release} ({cycle})  asked {len(answers)}, known {known}  {shown}"
    )
