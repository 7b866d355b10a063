"""``make bench-sizing``: what grows with rows, with requests, with history, and what Airflow adds to a cycle.

``rows`` takes a regression table of growing length through a whole cycle; ``fits`` weighs a process that only fits;
``log`` fills the prediction log of both databases and archives it; ``history`` lets two shipped use cases live through
cycles and weighs what stays; ``airflow`` lets canaries go through a real embedded stack. CPU seconds and bytes are
measured, not wall-clock times: they hold on a busy machine, too. What grows with the number of use cases is in ``make
bench-generality``, what requests cost that come all at once in ``make bench-service``.

Writes ``benchmarks/results/sizing.json``, which ``docs/how-to/scale.md`` tells. Takes about twenty minutes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks import sizing_airflow, sizing_history, sizing_log, sizing_rows
from benchmarks.parts import Benchmark


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Parameters
    ----------
    rows: of the tables.
    single, batched: rows that the service is asked about one at a time, and a hundred at a time.
    lived: shipped use cases that live through cycles.
    plants: use cases that are checked hourly.
    canaries: that go through the ring of a real stack; ``idle_seconds``: for which that stack does nothing.
    """

    rows: tuple[int, ...]
    single: int
    batched: int
    lived: tuple[str, ...]
    plants: int
    canaries: int
    idle_seconds: int


QUICK = Size((500, 1_000), 500, 2_000, ("machine_failure",), 5, 1, 10)
WHOLE = Size((1_000, 10_000, 100_000), 5_000, 20_000, ("technology_radar", "machine_failure"), 20, 2, 30)
PARTS = {
    "rows": sizing_rows.rows, "fits": sizing_rows.fits, "log": sizing_log.log, "history": sizing_history.history, "airflow": sizing_airflow.airflow,
}  # fmt: skip
BENCHMARK = Benchmark(
    "sizing", PARTS, {}, QUICK, WHOLE, ("apache-airflow", "mlflow", "pandas", "scikit-learn", "sqlalchemy")
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
