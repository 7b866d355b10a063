"""What a loop that only trains again costs, beside a full cycle: CPU seconds of the disciplines, imports left out.

A use case lives through two cycles of its simulated world: the first collects the whole past, the second is the main
loop: two periods after the world has changed, it collects what is new since. The second is what loops are compared with.
Two loops follow. *wider* stays in the cycle and searches twice as many configurations; *again* opens a cycle of its own
on the same data, as monitoring does when features have shifted. Both end with an evaluation against today's rows, and a release where a
candidate passes. Fits are made one at a time in this process, so that all of their CPU time is counted here; that of the
servers of the simulated world is not.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import httpx

from benchmarks.parts import WORK
from include.kreislauf.embedded.making import Place, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.ports import reserve_port
from include.kreislauf.embedded.worlds import World
from include.kreislauf.handovers import Edge, Handover, PersonNeeded, Stage, WorkOrder
from include.kreislauf.replay.ring import STEPS
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store import contracts, cycles, messages
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

FULL = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION, Stage.DEPLOYMENT)
RETRAIN = FULL[1:]
MAIN_LOOP = f"loop/{Edge.MONITORING_TO_DATA_ENGINEERING}"
AFTER = 2
"""So many periods after its world has changed a use case goes back to its sources."""


class Size(Protocol):
    """How much is measured."""

    @property
    def reuse_cases(self) -> Sequence[str]:
        """Use cases that have a simulated world."""


def reuse(size: Size) -> dict[str, Any]:
    """The cost of loops that only train, over that of a full cycle; the worst of all use cases."""
    found = {name: measured(name) for name in size.reuse_cases}
    return {"reuse": found, "reuse_ratio": max(max(one["ratios"].values()) for one in found.values())}


def measured(use_case: str) -> dict[str, Any]:
    """CPU seconds by discipline of each cycle and loop of one use case, and the ratios."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=WORK, prefix="reuse-") as folder,
        installed_around(use_case, Path(folder)) as installed,
    ):
        times, changes = installed.world.times(), installed.world.changes() or []
        later = [one for one in times[1:] if one >= changes[0]][AFTER]
        costs = {"first": installed.cycle(times[0], FULL), "full": installed.cycle(later, FULL, MAIN_LOOP)}
        costs["wider"] = installed.loop_inside()
        costs["again"] = installed.cycle(later + timedelta(days=1), RETRAIN)
        told = installed.reused
    sums = {name: sum(parts.values()) for name, parts in costs.items()}
    ratios = {name: round(sums[name] / sums["full"], 3) for name in ("wider", "again")}
    rounded = {name: {stage: round(cpu, 2) for stage, cpu in parts.items()} for name, parts in costs.items()}
    return {"cpu_seconds": rounded, "sums": {name: round(cpu, 2) for name, cpu in sums.items()}, "ratios": ratios,
            "reused": told}  # fmt: skip


@dataclass
class Installed:
    """One use case in its world, with a store of its own.

    Parameters
    ----------
    reused: by loop and discipline, where its result came from; of a training how many trials were known.
    """

    world: World
    settings: Settings
    store: Store
    reused: dict[str, dict[str, Any]]
    last: WorkOrder | None = None

    def cycle(
        self, as_of: datetime, stages: Sequence[Stage], started_by: str = "benchmark"
    ) -> dict[str, float]:
        """The cost of a new cycle's disciplines."""
        self.world.reach(as_of)
        contract, now = self.world.contract, self.settings.now()
        with self.store.write() as db:
            for other in cycles.in_state(db, contract.name, State.ACTIVE):
                cycles.set_state(db, other, State.CLOSED, now)
            opened = cycles.open_cycle(
                db, contract.name, origin=f"benchmark/{as_of}", started_by="benchmark", reason="measured", as_of=as_of, now=now
            )  # fmt: skip
            cycles.set_state(db, opened, State.ACTIVE, now)
        self.last = WorkOrder(
            use_case=contract.name, cycle_id=opened.cycle_id, contract_hash=contract.hash, as_of=as_of,
            run_id=f"run-{as_of:%Y-%m-%d}", started_by=started_by,
        )  # fmt: skip
        return self._done(self.last, stages)

    def loop_inside(self) -> dict[str, float]:
        """The cost of a loop to training in the last cycle: the next attempt."""
        assert self.last is not None
        return self._done(self.last.model_copy(update={"attempt": 2, "step": Stage.TRAINING}), RETRAIN)

    def _done(self, order: WorkOrder, stages: Sequence[Stage]) -> dict[str, float]:
        costs: dict[str, float] = {}
        for stage in stages:
            began = time.process_time()
            message = self._message(stage, order)
            costs[stage] = time.process_time() - began
            if not isinstance(message, Handover):
                break
            told = self.reused.setdefault(f"{order.cycle_id}, attempt {order.attempt}", {})
            told[stage] = message.reused_from or message.summary.get("trials", "")
            order = order.after(message)
        return costs

    def _message(self, stage: Stage, order: WorkOrder) -> Any:
        """A discipline's message; ``None`` where a person would be asked. A release is made, and not brought live."""
        if stage is Stage.DEPLOYMENT:
            from include.kreislauf.deployment.release import release_alone

            release_alone(order, self.world.contract, self.settings, order.inputs[Stage.EVALUATION])
            return None
        try:
            result = STEPS[stage](order, self.world.contract, self.settings)
        except PersonNeeded:
            return None
        with self.store.write() as db:
            if isinstance(result.message, Handover):
                messages.save_handover(db, result.message, result.document, self.settings.now())
        return result.message


@contextmanager
def installed_around(use_case: str, home: Path, tracking_url: str = "none") -> Iterator[Installed]:
    """An installation of its own around one use case, which has signed its contract."""
    port = reserve_port(8190)
    options = WorldOptions(use_case)
    contract = write_use_case(options, ROOT / "include" / "use_cases", home / "use_cases")
    url = f"http://127.0.0.1:{port.port}"
    (home / "world").mkdir()
    world = make_world(options, contract, Place(home / "use_cases", url, home / "world"))
    settings = Settings(
        home=home, use_cases=home / "use_cases", clock="given", store_url="", tables_url="", data="",
        tracking_url=tracking_url, training_jobs=1, mirrors=world.environment().get("KREISLAUF_MIRRORS", ""),
    )  # fmt: skip
    store = Store(settings.store)
    store.upgrade()
    with store.write() as db:
        contracts.record_contract(db, contract, settings.now())
        sign_off = SignOff("signed", "benchmark", "person")
        contracts.record_sign_off(db, contract.name, contract.hash, sign_off, settings.now())
    with _served(world), _connected(world):
        yield Installed(world, settings, store, {})
    store.engine.dispose()
    port.release()


@contextmanager
def _served(world: World) -> Iterator[None]:
    """The world's server, where it needs one."""
    server = world.server()
    if server is None:
        yield
        return
    with subprocess.Popen(server.argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        try:
            _wait_for(server.ready)
            yield
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{url} does not answer")


@contextmanager
def _connected(world: World) -> Iterator[None]:
    """The world's databases, as connections of this process."""
    urls: Mapping[str, str] = getattr(world, "connections", dict)()
    names = {f"KREISLAUF_CONNECTION_{name.upper()}": url for name, url in urls.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


if __name__ == "__main__":
    import json
    import sys
    from types import SimpleNamespace

    asked: Any = SimpleNamespace(reuse_cases=sys.argv[1:] or ["technology_radar", "machine_failure"])
    print(json.dumps(reuse(asked), indent=1))
