"""``make bench-monitoring``: whether monitoring can be believed, and whether its loops pay.

``detector`` simulates stable histories and falls, beside an oracle that knows both levels and a fixed-sample test that is
repeated; ``passes`` times a monitoring pass over a large log; ``diagnosis`` counts how often the right way back is chosen;
``flapping`` lets verdicts alternate for a month; ``replays`` lives through simulated worlds under four policies;
``reaction`` measures a real embedded stack from the outcome that tips a verdict to the data engineer's first task.

Writes ``benchmarks/results/monitoring.json``. Takes about half an hour on two CPUs that nothing else uses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks import (
    monitoring_detector,
    monitoring_diagnosis,
    monitoring_flapping,
    monitoring_pass,
    monitoring_reaction,
    monitoring_replay,
)
from benchmarks.parts import Benchmark

TARGETS = {
    "false_breach_share": "<= 0.01", "detected_share": ">= 0.95", "delay_vs_oracle": "<= 1.25",
    "recovered_share": ">= 0.85", "retrainings_ratio": "<= 1/3", "no_change_retrainings_per_year": "<= 1",
    "pass_seconds_10m": "<= 2", "diagnosis": ">= 0.95 each", "reaction_seconds": "<= 15",
    "flapping": "<= 1 active cycle, <= 3 a week, a person is asked",
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Parameters
    ----------
    histories: simulated ones, per rate of outcomes.
    calibration: those from which the oracle's threshold is taken.
    predictions: in the log of a pass; one outcome for each ten.
    scenarios: per cause.
    seeds: per world and policy.
    reactions: verdicts that are tipped in the embedded stack.
    """

    histories: int
    calibration: int
    predictions: int
    scenarios: int
    seeds: int
    reactions: int


QUICK = Size(200, 2_000, 200_000, 10, 2, 1)
WHOLE = Size(1_000, 20_000, 10_000_000, 100, 20, 3)

PARTS = {
    "detector": monitoring_detector.detector, "passes": monitoring_pass.passes,
    "diagnosis": monitoring_diagnosis.diagnosis, "flapping": monitoring_flapping.flapping,
    "replays": monitoring_replay.replays, "reaction": monitoring_reaction.reaction,
}  # fmt: skip
BENCHMARK = Benchmark(
    "monitoring", PARTS, TARGETS, QUICK, WHOLE, ("numpy", "scipy", "sqlalchemy", "apache-airflow")
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
