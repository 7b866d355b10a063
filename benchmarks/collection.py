"""``make bench-collection``: what reading an hour of GitHub events costs, against gzip alone and against other engines.

Every figure comes from processes that are measured whole (user and system time, peak memory, as the kernel accounts
for them), run in turn within each round, so that whatever else the machine does meets all of them. A task reads a
handful of hours, as in production; the time that Python takes to start and import is in the figures.

Writes ``benchmarks/results/collection.json``. Needs ``igzip`` (Debian: ``apt-get install isal``).
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from benchmarks.generate_events import write
from benchmarks.parts import cpu

ROOT = Path(__file__).parents[1]
CACHE, RESULT = ROOT / "var" / "bench", ROOT / "benchmarks" / "results" / "collection.json"
SHARED = ROOT.parent / "shared"
EVENTS = 200_000
HOURS, MADE = 8, 2
"""Hours that a task reads; two of them are made, the others are the same under another name."""
ROUNDS = 5
PEERS = ("polars", "duckdb", "chdb")
TARGETS = {"cpu_ratio_to_igzip": "<= 3.2", "peak_mib": "<= 64", "two_process_speedup": ">= 1.8"}
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Cost(NamedTuple):
    """What one process took: seconds of CPU, seconds of the clock, and MiB at its peak."""

    cpu: float
    wall: float
    peak_mib: float
    output: bytes


def inputs() -> list[Path]:
    """The hours of one task; made once, and kept below ``var/``."""
    files = []
    for number in range(HOURS):
        path = CACHE / f"2021-07-21-{number}.json.gz"
        if number < MADE and not path.exists():
            print(f"making {path.name}: {EVENTS:,} events, about half a minute", flush=True)
            write(path, EVENTS, seed=number)
        elif not path.exists():
            path.symlink_to(files[number % MADE].name)
        files.append(path)
    return files


def reader(engine: str, files: Sequence[Path]) -> list[str]:
    """The command that counts some hours."""
    return [sys.executable, "-m", "benchmarks.readers", engine, *map(str, files)]


class Process:
    """A process that runs beside this one; its output goes to a file, as a full pipe would make it wait."""

    def __init__(self, command: Sequence[str]) -> None:
        self._output, self._since = TemporaryFile(), time.perf_counter()  # noqa: SIM115 - cost() closes it
        quiet = subprocess.DEVNULL if command[0] == "igzip" else self._output
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, env=os.environ | ONE_THREAD)

    def cost(self) -> Cost:
        """Wait for its end, and ask the kernel what it took.

        Raises
        ------
        SystemExit: it failed.
        """
        _, status, usage = os.wait4(self._process.pid, 0)
        wall = time.perf_counter() - self._since
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise SystemExit(f"{self._process.args}: exit code {self._process.returncode}")
        with self._output as output:
            output.seek(0)
            return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, output.read())


def run(command: Sequence[str]) -> Cost:
    """One process alone."""
    return Process(command).cost()


def run_both(command: Sequence[str]) -> list[Cost]:
    """The same process twice, at the same time."""
    return [process.cost() for process in (Process(command), Process(command))]


def measure(files: Sequence[Path]) -> dict[str, Any]:
    """Costs of igzip, of this project and of each peer, round by round."""
    unpack = ["igzip", "-dc", *map(str, files)]
    costs: dict[str, list[Cost]] = {name: [] for name in ("igzip", "own", *PEERS, "igzip one", "own one")}
    answers = set()
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        costs["igzip"].append(run(unpack))
        for engine in ("own", *PEERS):
            costs[engine].append(run(reader(engine, files)))
            answers.add(costs[engine][-1].output)
        costs["igzip one"].append(run(unpack[:3]))
        costs["own one"].append(run(reader("own", files[:1])))
    if len(answers) != 1:
        raise SystemExit("the engines do not agree in their counts")
    ratios = {name: _spread([own.cpu / gzip.cpu for own, gzip in zip(costs[name], costs["igzip"], strict=True)])
              for name in ("own", *PEERS)}  # fmt: skip
    alone = zip(costs["own one"], costs["igzip one"], strict=True)
    return {
        "cpu_ratio_to_igzip": ratios["own"]["median"],
        "peers": {name: ratios[name]["median"] for name in PEERS},
        "peak_mib": round(max(cost.peak_mib for cost in costs["own"]), 1),
        "cpu_ratio_to_igzip_of_a_process_for_one_hour": _spread([own.cpu / gzip.cpu for own, gzip in alone])["median"],
        "spreads": {
            "cpu_ratio_to_igzip": ratios,
            "cpu_seconds_per_hour": {name: _spread([cost.cpu / HOURS for cost in costs[name]])
                                     for name in ("igzip", "own", *PEERS)},
            "peak_mib": {name: _spread([cost.peak_mib for cost in costs[name]]) for name in ("own", *PEERS)},
        },
    }  # fmt: skip


def two_processes(files: Sequence[Path]) -> dict[str, Any]:
    """How much more two processes read than one in the same time; 2 is the most there can be.

    By the clock, whatever else the machine does counts against it; by CPU time only what the two take from each other.
    """
    by_clock, by_cpu = [], []
    for _ in range(ROUNDS):
        alone, both = run(reader("own", files)), run_both(reader("own", files))
        by_clock.append(2 * alone.wall / max(cost.wall for cost in both))
        by_cpu.append(4 * alone.cpu / sum(cost.cpu for cost in both))
    spreads = {"two_process_speedup": _spread(by_clock), "two_process_speedup_by_cpu_time": _spread(by_cpu)}
    return {"spreads": spreads} | {name: spread["median"] for name, spread in spreads.items()}


def job_correlation(shared: Path) -> dict[str, float] | str:
    """Correlation of the counted advertisements with an independent count, by technology."""
    if not (shared / "data").is_dir():
        return "skipped: the recorded data are not there"
    found: dict[str, float] = importlib.import_module("benchmarks.jobs_correlation").job_correlation(shared)
    return found


def machine(files: Sequence[Path]) -> dict[str, Any]:
    """Where, when and with what it was measured."""
    packages = ("isal", "pysimdjson", "msgspec", *PEERS)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {"cpu": cpu(), "cpus": os.cpu_count(),
                    "load_before": round(os.getloadavg()[0], 2)},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "input": {"events_per_hour": EVENTS, "hours_per_task": HOURS,
                  "gzip_mb": round(files[0].stat().st_size / 1e6, 1)},
        "rounds": ROUNDS,
    }  # fmt: skip


def main() -> None:
    """Measure everything, write the result, and say which targets are met."""
    if shutil.which("igzip") is None:
        raise SystemExit("igzip is not installed: apt-get install isal")
    files = inputs()
    about = machine(files)
    found = measure(files)
    both = two_processes(files)
    found["spreads"] |= both.pop("spreads")
    result = found | both | {"job_correlation": job_correlation(SHARED), "targets": TARGETS} | about
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    shown = ("cpu_ratio_to_igzip", "peers", "peak_mib", "two_process_speedup", "two_process_speedup_by_cpu_time",
             "job_correlation")  # fmt: skip
    print("\n".join(f"{name}: {result[name]} {TARGETS.get(name, '')}" for name in shown))
    print(f"written: {RESULT.relative_to(ROOT)}")


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {name: round(of(values), 3) for name, of in (("median", median), ("least", min), ("most", max))}


if __name__ == "__main__":
    main()
