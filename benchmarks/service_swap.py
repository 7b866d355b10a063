"""Fifty hot swaps under load, ten of them to releases that must never answer."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import service_model
from benchmarks.service_client import Checked, Crowd
from benchmarks.service_load import CONNECTIONS
from benchmarks.service_servers import Running, request, running
from benchmarks.service_world import USE_CASE, World
from include.kreislauf.settings import Settings
from include.kreislauf.store import workers
from include.kreislauf.store.database import Store

SWAPS, BAD, REQUESTS = 50, 10, 100_000
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What is promoted, in order: versions, and which of them are bad."""

    versions: list[int]
    bad: set[int]


def prepare(world: World, swaps: int, bad: int) -> Plan:
    """Make the releases: the first is live; then as many as there are swaps, bad ones evenly among them."""
    every = swaps // bad
    world.promote(_good(world))
    narrow = service_model.narrow()
    plan = Plan([], set())
    for number in range(1, swaps + 1):
        if number % every or len(plan.bad) == bad:
            plan.versions.append(_good(world))
            continue
        version = _BAD[len(plan.bad) % len(_BAD)](world, narrow)
        plan.versions.append(version)
        plan.bad.add(version)
    return plan


def _good(world: World) -> int:
    with world.store.read() as db:
        number = len(_releases(db)) + 1
    row = world.release(service_model.version(number))
    assert row.version == number
    return number


def _releases(db: Any) -> list[Any]:
    from include.kreislauf.store import live

    return live.releases_of(db, USE_CASE)


def _corrupt(world: World, _narrow: Any) -> int:
    version = _good(world)
    world.corrupt(version)
    return version


def _unsigned(world: World, _narrow: Any) -> int:
    version = _good(world)
    world.unsign(version)
    return version


def _misshapen(world: World, narrow: Any) -> int:
    return world.misshape(narrow)


_BAD: list[Callable[[World, Any], int]] = [_corrupt, _unsigned, _misshapen]


def swap(home: Path, logs: Path, *, swaps: int = SWAPS, bad: int = BAD, requests: int = REQUESTS, steady: float = 10.0) -> dict[str, Any]:  # fmt: skip
    """Promote one release after the other while clients ask; every answer is checked."""
    world = World.new(home)
    plan = prepare(world, swaps, bad)
    with running(world.server(), logs) as server, _promoter(world) as promoter:
        return asyncio.run(_swap(promoter, server, plan, requests, steady))


@contextmanager
def _promoter(world: World) -> Iterator[ProcessPoolExecutor]:
    """Another process, as a promotion has: in the client's own it would delay the clock that is read."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_enter, initargs=(world.settings, world.key)) as pool:
        pool.submit(_refused, 0).result()  # with everything imported before the clock runs
        yield pool


def _enter(settings: Settings, key: str) -> None:
    global _world
    os.nice(19)  # it stands for another machine
    _world = World(settings, Store(settings.store), key)


_world: World


def _promote(version: int) -> None:
    _world.promote(version)


async def _swap(promoter: ProcessPoolExecutor, server: Running, plan: Plan, requests: int, steady: float) -> dict[str, Any]:  # fmt: skip
    ask = partial(asyncio.get_running_loop().run_in_executor, promoter)
    rows = service_model.asked()
    checked = Checked(service_model.expected(), service_model.STEP)
    bodies = [server.server.body([row]) for row in rows]
    crowd = Crowd(server.port, server.server.path, server.server.headers, bodies, checked, CONNECTIONS)
    await crowd.start()
    await asyncio.sleep(2)
    begin = time.perf_counter()
    await asyncio.sleep(steady)
    middle = time.perf_counter()
    took = []
    for version in plan.versions:
        since = time.perf_counter()
        await ask(_promote, version)
        await _followed(ask, checked, version, version in plan.bad)
        took.append(time.perf_counter() - since)
        await asyncio.sleep(0.2)
    while checked.requests < requests and checked.failed < requests:
        await asyncio.sleep(0.1)
    end = time.perf_counter()
    await crowd.stop()
    if request(server.port, "GET", "/live")[0] != 200:
        raise RuntimeError("the service does not live any more")
    calm, busy = checked.between(begin, middle), checked.between(middle, end)
    return {
        "requests": checked.requests, "failed": checked.failed, "mismatched": checked.mismatched,
        "p99_ratio": round(_percentile(busy, 0.99) / _percentile(calm, 0.99), 3), "swaps": len(plan.versions),
        "bad": len(plan.bad), "bad_served": sum(checked.seen[version] for version in plan.bad),
        "versions_seen": len(checked.seen), "seconds_to_swap": round(median(took), 3),
        "p99_steady_ms": round(_percentile(calm, 0.99) * 1000, 3), "faults": checked.faults,
    }  # fmt: skip


async def _followed(ask: Callable[..., Any], checked: Checked, version: int, bad: bool) -> None:
    """Wait until a version answers, or the service has said that it cannot."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (await ask(_refused, version) if bad else checked.seen[version]):
        if time.monotonic() > end:
            raise RuntimeError(
                f"release {version} was {'not refused' if bad else 'never served'}: {checked.faults}"
            )
        await asyncio.sleep(0.05)


def _refused(version: int) -> bool:
    with _world.store.read() as db:
        alive = workers.alive(db, _world.settings.now())
    return any(f"release {version} " in one.problems.get(USE_CASE, "") for one in alive)


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
