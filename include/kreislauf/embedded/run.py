"""``make run``: start the embedded stack, live through a world period by period, show what the loop did.

A run that was interrupted is taken up where it stood: every request to Airflow and to the service is named after the
time it belongs to, and so is not made twice. A run that has finished is followed by a fresh one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from include.kreislauf.embedded.client import Answer, Client
from include.kreislauf.embedded.ports import LOCK_PATIENCE, LOOPBACK, reserve_port, try_lock
from include.kreislauf.embedded.readiness import answers as is_answering
from include.kreislauf.embedded.ring import Ring, utc
from include.kreislauf.embedded.stack import EmbeddedStack, StackError, stop_on_signals
from include.kreislauf.embedded.timeline import as_text, build_timeline, write_timeline
from include.kreislauf.embedded.worlds import PanelWorld, SimulatedWorld, World
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.periods import shift
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.variants import catalogue_variant, recorded_variant
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.server import NOW_PATH, mirrors
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.statistics.business import recommended
from include.kreislauf.store import cycles, messages, observations
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

STATE = "run.json"
LOCK = "stack.lock"
WORLD_PORT = 8090


@dataclass(frozen=True)
class RunOptions:
    """What a run is about.

    Parameters
    ----------
    data: folder or URL with the real data; empty: a simulated world.
    home: folder of everything the run writes.
    start: day of the first cycle; end: last day, empty: as far as the data go.
    seed: of the simulated world.
    """

    use_case: str
    data: str
    home: str
    start: str
    end: str
    seed: int


def run(options: RunOptions, *, wait: bool, started_at: datetime, say: Callable[[str], None] = print) -> int:
    """Carry out a run; returns the exit code (1 when a cycle failed)."""
    home = Path(options.home).resolve()
    stack_home = home / "run"
    _refuse_running(stack_home)
    contract = write_use_case(options, ROOT / "include" / "use_cases", home / "use_cases")
    port = reserve_port(WORLD_PORT)
    # The world is made first: data that cannot be read must not cost an interrupted run.
    world = make_world(options, contract, home / "use_cases", f"http://{LOOPBACK}:{port.port}")
    _prepare_home(stack_home, options, say)
    environment = _environment(stack_home, home / "use_cases", world)
    stack = EmbeddedStack(stack_home, ROOT, env=environment, say=say)
    store = Store(f"sqlite:///{stack_home / 'kreislauf.db'}")
    store.upgrade()
    with stop_on_signals(stack), stack:
        if isinstance(world, SimulatedWorld):
            _serve(world, stack, port.port)
        say(f"Airflow UI: {stack.airflow_url}  (user {stack.username}, password {stack.password})")
        stack.wait_for_dags([str(role) for role in Role])
        times = live_through(world, stack, store, contract, stack_home, say)
        timeline = build_timeline(store, contract, times[-1], started_at)
        path = write_timeline(timeline, home)
        (stack_home / STATE).write_text(json.dumps({**asdict(options), "finished": True}))
        say(f"\n{as_text(timeline)}\n\nTimeline: {path} and {path.with_suffix('.png')}")
        _stay(stack, wait, say)
    port.release()
    return 1 if any(line.state == State.FAILED for line in timeline.cycles) else 0


def live_through(
    world: World,
    stack: EmbeddedStack,
    store: Store,
    contract: Contract,
    home: Path,
    say: Callable[[str], None],
) -> list[datetime]:
    """The first cycle, then one step per period: outcomes, check, loops, requests. Returns the times lived through."""
    times = world.times()
    with (
        stack.api() as api,
        closing(Client(stack.service_url, contract.name, home / "predictions.jsonl")) as client,
    ):
        ring = Ring(stack, api, store, contract.name, say)
        world.reach(times[0])
        ring.take_up()
        say(f"{times[0]:%Y-%m-%d}  the first cycle begins, in {world.name}")
        ring.begin(times[0], "the first model")
        for number, now in enumerate(times):
            world.reach(now)
            if number:
                _what_happened(world, client, contract, now)
                ring.check(now)
            asked = world.asked(now, collected_technologies(store, contract))
            answers = client.predict(now, shift(now, contract.problem.calendar, -1), asked)
            say(_progress(store, contract, answers, now, f"{number + 1}/{len(times)}"))
    return times


def write_use_case(options: RunOptions, use_cases: Path, folder: Path) -> Contract:
    """The use case over recorded data, or over the catalogue of a simulated world, as this run signs and uses it.

    Parameters
    ----------
    use_cases: folder in which it stands; ``folder``: where it is written to.
    """
    use_case = contract_path(use_cases, options.use_case).parent
    if options.data:
        return load_contract(recorded_variant(use_case, folder))
    return load_contract(catalogue_variant(use_case, folder, catalogue(simulate(options.seed))))


def make_world(options: RunOptions, contract: Contract, use_cases: Path, url: str) -> World:
    """The recorded panel where data are given, else a simulated world that is to be served at ``url``."""
    start, end = utc(options.start), utc(options.end) if options.end else None
    if options.data:
        data = options.data if "://" in options.data else str(Path(options.data).resolve())
        return PanelWorld(contract, use_cases, data, start, end)
    return SimulatedWorld(contract, use_cases, "", start, end, seed=options.seed, url=url)


def collected_technologies(store: Store, contract: Contract) -> set[str] | None:
    """The catalogue, and what collections have taken in since; None where the contract has no catalogue."""
    if not contract.technologies:
        return None
    with store.read() as db:
        last = messages.latest_handover(db, contract.name, Stage.COLLECTION)
    adopted = cast("list[dict[str, str]]", last.summary.get("adopted", []) if last else [])
    return {one.name for one in contract.technologies} | {one["name"] for one in adopted}


def _serve(world: SimulatedWorld, stack: EmbeddedStack, port: int) -> None:
    """Start the server of the world's sources beside the stack."""
    argv = [sys.executable, "-m", "include.kreislauf.simulation.server", "--port", str(port)]
    argv += ["--seed", str(world.seed), "--now", world.start.isoformat()]
    stack.start("world", argv, lambda: is_answering(f"{world.url}{NOW_PATH}"))


def _what_happened(world: World, client: Client, contract: Contract, now: datetime) -> None:
    """Outcomes of the predictions made a period ago, and what users report of the time since."""
    period = contract.problem.calendar
    client.send_outcomes(now, world.outcomes(now), shift(now, period, -2))
    asked = [one for one in client.answers if one.period == shift(now, period, -2).isoformat()]
    known = [one for one in asked if one.value is not None]
    if not known:
        return
    top = contract.gate_metric.top
    chosen = recommended([float(one.value or 0) for one in known], [one.entity for one in known], top)
    client.send_reports(
        now, world.reports(shift(now, period, -1), [name for name, _ in chosen], known[0].release)
    )


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


def _prepare_home(home: Path, options: RunOptions, say: Callable[[str], None]) -> None:
    """An unfinished run with the same options goes on; anything else begins afresh."""
    _refuse_running(home)
    state = home / STATE
    before = json.loads(state.read_text()) if state.exists() else {}
    if before and before == {**asdict(options), "finished": False}:
        say(f"The run in {home} was interrupted: it goes on where it stood")
        return
    if home.exists():
        EmbeddedStack(home, ROOT).stop()  # nothing of an earlier run may still write there
        shutil.rmtree(home)
    home.mkdir(parents=True)
    state.write_text(json.dumps({**asdict(options), "finished": False}))


def _refuse_running(home: Path) -> None:
    """A stack that is still up must not lose its folder.

    Raises
    ------
    StackError: another run uses this home.
    """
    if not (home / LOCK).exists():
        return
    held = try_lock(home / LOCK, LOCK_PATIENCE)
    if held is None:
        raise StackError(
            "a stack is up in this folder", where=str(home),
            next_step="stop it with Ctrl-C, or give this run another folder with --home",
        )  # fmt: skip
    held.close()


def _environment(home: Path, use_cases: Path, world: World) -> dict[str, str]:
    env = {"KREISLAUF_HOME": str(home), "KREISLAUF_USE_CASES": str(use_cases), "KREISLAUF_DATA": world.data,
           "KREISLAUF_CLOCK": "given",
           # two tasks at once on two cores: more threads in each only wait for each other
           "OMP_NUM_THREADS": "1"}  # fmt: skip
    if isinstance(world, SimulatedWorld):
        env["KREISLAUF_MIRRORS"] = json.dumps(mirrors(world.url))
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


def say_now(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True, file=sys.stdout)
