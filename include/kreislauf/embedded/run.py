"""``make run``: start the embedded stack, live through the worlds of use cases, show what the loops did.

A run that was interrupted is taken up where it stood: every request to Airflow and to the service is named after the
time it belongs to, and so is not made twice. A run that has finished is followed by a fresh one.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from include.kreislauf.embedded.client import Client
from include.kreislauf.embedded.living import Life, live_through
from include.kreislauf.embedded.making import Place, WorldError, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.ports import LOOPBACK, reserve_port
from include.kreislauf.embedded.readiness import answers as is_answering
from include.kreislauf.embedded.ring import Ring
from include.kreislauf.embedded.session import installation, log_in_line, refuse_running, say_named
from include.kreislauf.embedded.stack import EmbeddedStack, stop_on_signals
from include.kreislauf.embedded.timeline import as_text, build_timeline, write_timeline
from include.kreislauf.embedded.worlds import World
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

STATE = "run.json"
WORLD_PORT = 8090


@dataclass(frozen=True)
class RunOptions:
    """What a run is about.

    Parameters
    ----------
    use_cases: their names; each with its own world, in one stack.
    data: folder or URL with the real data; empty: simulated worlds.
    home: folder of everything the run writes.
    start: day of the first cycle, empty: the world's own; ``end``: last day, empty: as far as the data go.
    seed: of the simulated worlds.
    """

    use_cases: tuple[str, ...]
    data: str
    home: str
    start: str
    end: str
    seed: int

    def world(self, use_case: str) -> WorldOptions:
        """The world of one of them."""
        return WorldOptions(use_case, self.data, self.start, self.end, self.seed)


def run(options: RunOptions, *, wait: bool, started_at: datetime, say: Callable[[str], None] = print) -> int:
    """Carry out a run; returns the exit code (1 when a cycle failed)."""
    home = Path(options.home).resolve()
    stack_home = home / "run"
    refuse_running(stack_home)
    port = reserve_port(WORLD_PORT)
    # The worlds are made first: data that cannot be read must not cost an interrupted run.
    worlds = _worlds(options, home, f"http://{LOOPBACK}:{port.port}")
    _prepare_home(stack_home, options, say)
    stack = EmbeddedStack(stack_home, ROOT, env=_environment(stack_home, home, worlds), say=say)
    store = Store(f"sqlite:///{stack_home / 'kreislauf.db'}")
    store.upgrade()
    with stop_on_signals(stack), stack:
        for world in worlds:
            if server := world.server():
                stack.start("world", server.argv, partial(is_answering, server.ready))
        say(log_in_line(stack))
        stack.wait_for_dags([str(role) for role in Role])
        with ExitStack() as open_things:
            live_through(_lives(worlds, stack, store, open_things, say))
        failed = _tell(worlds, store, home, started_at, say)
        (stack_home / STATE).write_text(_state(options, finished=True))
        _stay(stack, wait, say)
    port.release()
    return 1 if failed else 0


def _worlds(options: RunOptions, home: Path, url: str) -> list[World]:
    """Those of all use cases; of these, no other is in the run's folder."""
    folder = home / "use_cases"
    shutil.rmtree(folder, ignore_errors=True)
    place = Place(folder, url, home / "run" / "world")
    asked = [options.world(name) for name in options.use_cases]
    contracts = [write_use_case(one, ROOT / "include" / "use_cases", folder) for one in asked]
    worlds = [make_world(one, contract, place) for one, contract in zip(asked, contracts, strict=True)]
    for world in worlds:
        if not world.times():
            raise WorldError(
                f"--end {options.end} lies before the first cycle", where=world.contract.name,
                allowed=f"later than {world.start:%Y-%m-%d}",
            )  # fmt: skip
    return worlds


def _lives(
    worlds: Sequence[World], stack: EmbeddedStack, store: Store, open_things: ExitStack,
    say: Callable[[str], None],
) -> list[Life]:  # fmt: skip
    api = open_things.enter_context(stack.api())
    lives = []
    for world in worlds:
        name = world.contract.name
        told = say if len(worlds) == 1 else partial(say_named, say, name)
        memory = stack.home / f"predictions-{name}.jsonl"
        client = open_things.enter_context(closing(Client(stack.service_url, name, memory)))
        lives.append(Life(world, Ring(stack, api, store, name, told), client, told))
    return lives


def _tell(
    worlds: Sequence[World], store: Store, home: Path, started_at: datetime, say: Callable[[str], None]
) -> bool:
    """Write and print the timeline of every use case; returns whether a cycle failed."""
    failed = False
    for world in worlds:
        name = "timeline" if len(worlds) == 1 else f"timeline_{world.contract.name}"
        own = home / "use_cases" / world.contract.name
        timeline = build_timeline(store, world.contract, world.times()[-1], started_at, own)
        path = write_timeline(timeline, home, name)
        say(f"\n{as_text(timeline)}\n\nTimeline: {path} and {path.with_suffix('.png')}")
        failed |= any(line.state == State.FAILED for line in timeline.cycles)
    return failed


def _prepare_home(home: Path, options: RunOptions, say: Callable[[str], None]) -> None:
    """An unfinished run with the same options goes on; anything else begins afresh."""
    refuse_running(home)
    state = home / STATE
    before = json.loads(state.read_text()) if state.exists() else {}
    if before and before == json.loads(_state(options, finished=False)):
        say(f"The run in {home} was interrupted: it goes on where it stood")
        return
    if home.exists():
        EmbeddedStack(home, ROOT).stop()  # nothing of an earlier run may still write there
        shutil.rmtree(home)
    home.mkdir(parents=True)
    state.write_text(_state(options, finished=False))


def _state(options: RunOptions, *, finished: bool) -> str:
    return json.dumps({**asdict(options), "finished": finished})


def _environment(stack_home: Path, home: Path, worlds: Sequence[World]) -> dict[str, str]:
    connections = {name: url for world in worlds for name, url in world.connections().items()}
    env = installation(stack_home, home / "use_cases", data="", clock="given", connections=connections)
    for world in worlds:
        env |= world.environment()
    return env


def _stay(stack: EmbeddedStack, wait: bool, say: Callable[[str], None]) -> None:
    if wait:
        say(
            f"\nThe stack stays up until Ctrl-C. Airflow UI: {stack.airflow_url}  service: {stack.service_url}/openapi.json"
        )
        stack.watch()


def started_at() -> datetime:
    """When ``make run`` was started, set-up included: ``KREISLAUF_RUN_STARTED`` (seconds since 1970), or now."""
    given = os.environ.get("KREISLAUF_RUN_STARTED")
    return datetime.fromtimestamp(float(given) if given else time.time(), UTC)
