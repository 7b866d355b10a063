"""``python -m include.kreislauf replay``: one use case under several policies, each in a home of its own."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from include.kreislauf.collection.step import collect
from include.kreislauf.embedded.making import Place, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.worlds import SimulatedWorld, World
from include.kreislauf.feedback.work import Step
from include.kreislauf.handovers import Stage
from include.kreislauf.replay.living import Say, begin, live_through
from include.kreislauf.replay.policies import Plan, Policy, ReplayError, plan_of
from include.kreislauf.replay.recommending import Recommendations
from include.kreislauf.replay.report import Replay, as_text, make_folder, write_replay
from include.kreislauf.replay.results import PolicyResult, result_of
from include.kreislauf.replay.ring import STEPS, LocalRing, Person
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings, get_settings
from include.kreislauf.simulation.server import WorldServer
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store.database import Store


@dataclass(frozen=True)
class ReplayOptions:
    """What is replayed.

    Parameters
    ----------
    data: folder or URL with recorded data; empty: the simulated world of ``seed``.
    start, end: days as YYYY-MM-DD; an empty end: as far as the data go.
    every: periods from one loop of the schedule to the next.
    approve: whether questions to a person are answered with yes, and not with no.
    out: folder of the report.
    """

    use_case: str
    data: str
    seed: int
    start: str
    end: str
    policies: tuple[Policy, ...]
    every: int
    approve: bool
    out: Path


def replay(options: ReplayOptions, say: Say) -> Replay:
    """Carry out a replay, write its report, and tell what it came to.

    Raises
    ------
    ReplayError: a policy or a day is not possible here, the report cannot be written, the contract needs live traffic, or
        the first cycle failed.
    """
    make_folder(options.out)
    with tempfile.TemporaryDirectory(prefix="kreislauf-replay-") as folder:
        found = _Replayed(options, Path(folder), say).result()
    path = write_replay(found, options.out)
    say(f"\n{as_text(found)}\n\nReport: {path} and {path.with_suffix('.png')}")
    return found


class _Replayed:
    """One replay in a temporary folder: a use case, the home after the first cycle, and a copy of it per policy."""

    def __init__(self, options: ReplayOptions, folder: Path, say: Say) -> None:
        self.options, self.folder, self.say = options, folder, say
        self._asked = WorldOptions(options.use_case, options.data, options.start, options.end, options.seed)
        written = get_settings().use_cases
        self.path = contract_path(written, options.use_case)
        self.hash = load_contract(self.path).hash
        self.use_cases = folder / "use_cases"
        self.contract = write_use_case(self._asked, written, self.use_cases)
        require_time(self.contract)
        _require_no_traffic(self.contract)

    def result(self) -> Replay:
        self.say(f"{self.path}, hash {self.hash}")
        around = self._around(self.folder)
        _require_steps(around)
        plans = [plan_of(policy, around, self.options.every) for policy in self.options.policies]
        self.say(f"{around.times[0]:%Y-%m-%d}  the first cycle, in {around.name}")
        with self._ring(self.folder / "first") as (ring, first_around):
            ring.store.upgrade()
            begin(ring, first_around)
        policies = [self._lived(plan) for plan in plans]
        return Replay(
            self.options.use_case, str(self.path), self.hash, around.name, f"{around.times[0]:%Y-%m-%d}", f"{around.times[-1]:%Y-%m-%d}",
            self.options.every, [f"{change:%Y-%m-%d}" for change in around.changes or ()], policies,
        )  # fmt: skip

    def _lived(self, plan: Plan) -> PolicyResult:
        self.say(f"\n{plan.policy}")
        began = time.perf_counter()
        home = self.folder / plan.policy
        shutil.copytree(self.folder / "first", home)
        with self._ring(home) as (ring, around):
            live_through(ring, around, plan, self.say)
            self.say(f"{plan.policy}: {time.perf_counter() - began:.0f} s")
            return result_of(ring, plan.policy, around.times[-1])

    @contextmanager
    def _ring(self, home: Path) -> Iterator[tuple[LocalRing, Recommendations]]:
        """The ring of one home, with its own world around it."""
        around = self._around(home)
        with _served(around.world):
            env, connections = around.world.environment(), around.world.connections()
            settings = Settings(
                home=home, use_cases=self.use_cases, clock="given", store_url="", tables_url="", tracking_url="none",
                data=env.get("KREISLAUF_DATA", ""), mirrors=env.get("KREISLAUF_MIRRORS", ""),
            )  # fmt: skip
            steps: dict[Stage, Step] = {
                **STEPS,
                Stage.COLLECTION: partial(collect, connections=connections.get),
            }
            person, store = Person(self.options.approve), Store(settings.store)
            try:
                yield LocalRing(settings, store, self.contract.name, steps, person=person), around
            finally:
                store.engine.dispose()

    def _around(self, home: Path) -> Recommendations:
        place = Place(self.use_cases, "", home / "world")
        return Recommendations(make_world(self._asked, self.contract, place), self.contract)


@contextmanager
def _served(world: World) -> Iterator[None]:
    """A world whose sources are asked over HTTP answers while it is entered."""
    if not isinstance(world, SimulatedWorld):
        yield
        return
    with WorldServer(SimulatedSources(simulate(world.seed), world.start)) as server:
        world.url = server.url
        yield


def _require_steps(around: Recommendations) -> None:
    """There must be data to begin with, and one period to live through."""
    world, (first, last) = around.world, around.world.span()
    if first < world.start < last and len(around.times) > 1:
        return
    what = f"no whole {around.contract.problem.period} lies between --from and --to"
    if not first < world.start < last:
        early = world.start <= first
        what = f"the data begin at {first:%Y-%m-%d}" if early else f"the data end at {last:%Y-%m-%d}"
    raise ReplayError(
        what, where=f"--from {world.start:%Y-%m-%d}",
        allowed=f"later than {first:%Y-%m-%d}, and earlier than {last:%Y-%m-%d} and than --to by a period",
    )  # fmt: skip


def require_time(contract: Contract) -> None:
    """A replay goes from period to period.

    Raises
    ------
    ReplayError: the rows of the use case have no time.
    """
    if contract.problem.period is None:
        raise ReplayError(
            "its rows have no time: there is nothing to live through", where=contract.name,
            allowed="use cases whose problem has time and period",
            next_step="look at its live metrics instead: python -m include.kreislauf monitor",
        )  # fmt: skip


def _require_no_traffic(contract: Contract) -> None:
    """Nobody sends requests in between two steps: a release that waits for them would wait for ever."""
    tried = [name for name in ("shadow", "canary") if getattr(contract.delivery, name)]
    if tried:
        raise ReplayError(
            f"delivery.{tried[0]} needs live traffic, and a replay has none", where=contract.name,
            next_step="replay a copy of the use case without it",
        )  # fmt: skip
