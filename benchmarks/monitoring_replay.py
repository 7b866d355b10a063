"""Do the loops pay? Simulated worlds and the recorded panel, lived through under each policy.

Recovered is ``(triggered - never) / (oracle - never)`` in the business metric over the whole history, per seed; what is
promised is about the median over the seeds. The oracle has the same data made into a model on the day of the change.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from benchmarks.drift_use_case import METRIC, NAME, Days, Disciplines, write_use_case
from include.kreislauf.replay.command import ReplayOptions, replay
from include.kreislauf.replay.living import begin, live_through
from include.kreislauf.replay.policies import Plan, Policy
from include.kreislauf.replay.results import PolicyResult, result_of
from include.kreislauf.replay.ring import LocalRing, Person
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.simulation.drift import Drift, DriftWorld
from include.kreislauf.store.database import Store

DATA = ROOT.parent / "shared" / "data"
PROCESSES = 2
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
STEP, MONTH = 5, 30
"""Days from one check to the next, and from one scheduled retraining to the next. More checks find a fall sooner; these
keep the benchmark short."""
YEARS = 2.0
MEMORY = Path("/dev/shm")


class Size(Protocol):
    """What this part needs to know of the benchmark's size."""

    seeds: int


@dataclass(frozen=True)
class Outcome:
    """One world under one policy."""

    drift: str
    seed: int
    policy: str
    level: float
    retrainings: int
    helped: int
    judged: int
    seconds: float


def replays(size: Size) -> dict[str, Any]:
    """Every world under every policy, and the recorded panel where it is."""
    return {**summary(worlds(size.seeds)), "panel": panel()}


def worlds(seeds: int) -> list[Outcome]:
    """So many seeds of every world, under every policy."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # two processes on two cores: more threads only wait
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [one for found in pool.map(_lived, product(range(seeds), Drift)) for one in found]


def summary(found: list[Outcome]) -> dict[str, Any]:
    """The figures that are promised, and the table behind them."""
    recovered = {drift: statistics.median(_recovered(found, drift)) for drift in _changing(found)}
    counts = _medians(found, "retrainings")
    stable = [one.retrainings / YEARS for one in _of(found, Drift.STABLE, Policy.TRIGGERED)]
    return {
        "recovered_share": min(recovered.values()),
        "recovered": recovered,
        "retrainings_ratio": max(
            counts[f"{drift}/{Policy.TRIGGERED}"] / counts[f"{drift}/{Policy.SCHEDULED}"] for drift in Drift
        ),
        "no_change_retrainings_per_year": statistics.median(stable),
        "no_change_retrainings_per_year_worst": max(stable),
        "retrainings": counts, "level": _medians(found, "level"), "seconds": _medians(found, "seconds"),
        "helped": {
            f"{drift}/{policy}": f"{sum(one.helped for one in own)} of {sum(one.judged for one in own)}"
            for (drift, policy), own in _groups(found).items()
        },
    }  # fmt: skip


def panel() -> dict[str, Any] | str:
    """The practice example over the recorded years; nobody knows there when the world changed."""
    if not DATA.exists():
        print(f"  no recorded panel in {DATA}: left out", flush=True)
        return "not there"
    policies = (Policy.NEVER, Policy.SCHEDULED, Policy.TRIGGERED)
    with tempfile.TemporaryDirectory() as folder:
        options = ReplayOptions(
            "technology_radar", str(DATA), 0, "2016-01-01", "", policies, 3, False, Path(folder)
        )
        found = replay(options, lambda line: print(f"  {line[:110]}", flush=True))
    return {one.policy: _panel_line(one) for one in found.policies}


def live(world: DriftWorld, policy: Policy, first: Path, home: Path) -> PolicyResult:
    """One world under one policy, in a copy of the home after the first cycle."""
    around = Days(world, STEP)
    shutil.copytree(first, home)
    with _ring(world, home) as ring:
        # where a check can change nothing, there is none but those with which the policy sends the work back
        plan = Plan(policy, MONTH // STEP, around.changes, checks=len(around.times))
        live_through(ring, around, plan, _silent)
        return result_of(ring, policy, around.times[-1])


def first_cycle(world: DriftWorld, home: Path) -> None:
    """What all policies start from."""
    write_use_case(home / "use_cases")
    with _ring(world, home) as ring:
        ring.store.upgrade()
        begin(ring, Days(world, STEP))


@contextmanager
def _ring(world: DriftWorld, home: Path) -> Iterator[LocalRing]:
    settings = Settings(
        home=home,
        use_cases=home / "use_cases",
        clock="given",
        store_url="",
        tables_url="",
        tracking_url="none",
    )
    store = Store(settings.store)
    try:
        yield LocalRing(settings, store, NAME, Disciplines(world).steps(), Person())
    finally:
        store.engine.dispose()


def _lived(task: tuple[int, Drift]) -> list[Outcome]:
    """All policies of one world; without a change there is nothing that an oracle would do."""
    seed, drift = task
    world = DriftWorld(drift, seed)
    policies = [one for one in Policy if world.changes or one is not Policy.ORACLE]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        first = Path(folder) / "first"
        first_cycle(world, first)
        found = [_outcome(drift, seed, live(world, one, first, Path(folder) / one)) for one in policies]
    shown = ", ".join(f"{one.policy} {one.level:.3f} ({one.retrainings})" for one in found)
    print(f"  {drift} {seed}: {shown}", flush=True)
    return found


def _outcome(drift: Drift, seed: int, result: PolicyResult) -> Outcome:
    level = next(one.mean for one in result.metrics if one.name == METRIC)
    assert level is not None
    return Outcome(
        drift, seed, result.policy, level, len(result.retrained), *result.helped, seconds=result.seconds
    )  # fmt: skip


def _recovered(found: list[Outcome], drift: str) -> list[float]:
    levels = {(one.seed, one.policy): one.level for one in found if one.drift == drift}
    seeds = sorted({seed for seed, _ in levels})
    return [
        (levels[seed, Policy.TRIGGERED] - levels[seed, Policy.NEVER])
        / (levels[seed, Policy.ORACLE] - levels[seed, Policy.NEVER])
        for seed in seeds
    ]


def _changing(found: list[Outcome]) -> list[str]:
    return [drift for drift in Drift if _of(found, drift, Policy.ORACLE)]


def _of(found: list[Outcome], drift: str, policy: str) -> list[Outcome]:
    return [one for one in found if (one.drift, one.policy) == (drift, policy)]


def _groups(found: list[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in found:
        groups[one.drift, one.policy].append(one)
    return groups


def _medians(found: list[Outcome], field: str) -> dict[str, float]:
    return {
        f"{drift}/{policy}": round(statistics.median(getattr(one, field) for one in own), 4)
        for (drift, policy), own in _groups(found).items()
    }


def _panel_line(result: PolicyResult) -> dict[str, Any]:
    uplift = result.metrics[0]
    return {
        "uplift": uplift.mean, "bad_periods": uplift.bad, "retrainings": len(result.retrained),
        "helped": "{} of {}".format(*result.helped), "machine_seconds": result.seconds,
    }  # fmt: skip


def _silent(_line: str) -> None:
    """Says nothing."""
