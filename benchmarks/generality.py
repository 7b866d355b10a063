"""``make bench-generality``: any table, many use cases, and what need not be done again.

``tables`` takes three tables of scikit-learn from ``new-use-case`` to a live, monitored release, in a real embedded
stack; ``many`` registers a hundred use cases, parses the five DAGs and checks all of them; ``reuse`` measures what a loop
that only trains again costs beside a full cycle.

Writes ``benchmarks/results/generality.json``. Takes about ten minutes on two CPUs that nothing else uses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks import generality_many, generality_reuse, generality_tables
from benchmarks.parts import Benchmark


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Parameters
    ----------
    use_cases: that are registered, each with a live release.
    reuse_cases: shipped use cases that live through their simulated world.
    """

    use_cases: int
    reuse_cases: tuple[str, ...]


QUICK = Size(10, ("machine_failure",))
WHOLE = Size(100, ("technology_radar", "machine_failure"))
TARGETS = {
    "tables": "live and monitored, <= 180 seconds each", "parse_seconds_100": "<= 0.3", "monitor_seconds_100": "<= 20",
    "reuse_ratio": "<= 1/3",
}  # fmt: skip
PARTS = {
    "tables": generality_tables.tables,
    "many": generality_many.many,
    "reuse": generality_reuse.reuse,
}
BENCHMARK = Benchmark(
    "generality",
    PARTS,
    TARGETS,
    QUICK,
    WHOLE,
    ("apache-airflow", "pandas", "scikit-learn", "sqlalchemy"),
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
