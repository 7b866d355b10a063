"""What the benchmarks share: parts that are measured one by one, the machine, and the file with the figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

from include.kreislauf.settings import ROOT

RESULTS = ROOT / "benchmarks" / "results"
WORK = ROOT / "var" / "bench"
ENVIRONMENT = {
    "KREISLAUF_CLOCK": "wall", "KREISLAUF_MONITORING_SCHEDULE": "", "KREISLAUF_REQUIREMENTS_SCHEDULE": "",
    "OMP_NUM_THREADS": "1",
}  # fmt: skip
"""Of an embedded stack that nothing but the benchmark starts."""
Size = TypeVar("Size")


@dataclass(frozen=True)
class Benchmark(Generic[Size]):
    """A benchmark of several parts.

    Parameters
    ----------
    name: of the file with its figures, without ending.
    parts: by name what measures; each gives keys of the result.
    targets: by key what is wanted.
    quick, whole: how much is measured.
    libraries: whose versions are told.
    """

    name: str
    parts: Mapping[str, Callable[[Size], dict[str, Any]]]
    targets: Mapping[str, Any]
    quick: Size
    whole: Size
    libraries: Sequence[str]

    @property
    def result(self) -> Path:
        """The file with the figures."""
        return RESULTS / f"{self.name}.json"

    def main(self, arguments: list[str] | None = None, **about: Any) -> int:
        """Measure, write the figures, print them.

        Parameters
        ----------
        about: more that is told of the machine.
        """
        options = self._options(arguments)
        size, found = self.quick if options.quick else self.whole, {}
        for name in options.only or self.parts:
            since = time.perf_counter()
            found |= self.parts[name](size)
            print(f"{name}: {time.perf_counter() - since:.0f} s", flush=True)
        before = json.loads(self.result.read_text()) if self.result.exists() and options.only else {}
        told = machine(self.libraries) | about
        result = {**before, "machine": told, "targets": self.targets, **found}
        if not options.quick:
            self.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(result, indent=1))
        return 0

    def _options(self, arguments: list[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}")
        parser.add_argument("--quick", action="store_true", help="rough figures, nothing is written")
        parser.add_argument(
            "--only",
            choices=self.parts,
            action="append",
            help="some parts only; the others keep their figures",
        )
        return parser.parse_args(arguments)


def machine(libraries: Sequence[str]) -> dict[str, Any]:
    """Where and when this is measured, and with which versions."""
    return {
        "cpu": cpu(), "cpus": os.cpu_count(), "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d"),
    }  # fmt: skip


def cpu() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
