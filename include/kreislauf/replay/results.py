"""What a policy came to: business metrics, retrainings, their cost, and whether its loops helped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.kreislauf.handovers import Stage
from include.kreislauf.monitoring.history import PeriodLine, history_of
from include.kreislauf.replay.ring import LocalRing
from include.kreislauf.requirements.contract import BusinessMetric
from include.kreislauf.store.messages import LoopRow


@dataclass(frozen=True)
class MetricResult:
    """One business metric over the history.

    Parameters
    ----------
    mean: over all observations; ``None`` where nothing has matured, or another system knows it.
    bad: share of the periods on the wrong side of the threshold.
    """

    name: str
    unit: str
    threshold: float
    direction: str
    mean: float | None
    bad: float | None
    periods: list[PeriodLine]


@dataclass(frozen=True)
class LoopResult:
    """A loop that monitoring or the policy raised, and what became of it; the metric before and after in its unit."""

    as_of: str
    edge: str
    text: str
    state: str
    decision: str
    before: float | None
    after: float | None
    helped: bool | None


@dataclass(frozen=True)
class PolicyResult:
    """One policy.

    Parameters
    ----------
    retrained: times of the trainings after the first cycle's.
    releases: how many were made.
    seconds: machine time of all disciplines after the first cycle.
    loops: those that were taken up; ``refused``: those that were not, by the policy or by the
        governor, with the reason as their decision.
    """

    policy: str
    metrics: list[MetricResult]
    retrained: list[str]
    releases: int
    seconds: float
    loops: list[LoopResult]
    refused: list[LoopResult]

    @property
    def helped(self) -> tuple[int, int]:
        """Of so many loops that were judged, so many helped: (helped, judged)."""
        judged = [one for one in self.loops if one.helped is not None]
        return sum(one.helped is True for one in judged), len(judged)


def result_of(ring: LocalRing, policy: str, until: datetime) -> PolicyResult:
    """Read what a ring came to out of its store."""
    contract = ring.contract
    with ring.store.read() as db:
        metrics = [
            _metric(one, history_of(db, contract, one, until, ring.settings.use_cases / contract.name))
            for one in contract.business_metrics
        ]
    made = [one for cycle in ring.cycles()[1:] for one in ring.handovers(cycle.cycle_id)]
    opened = [row for row in ring.loops() if row.loop.edge.opens_cycle]
    taken = [row for row in opened if row.state in ("accepted", "closed")]
    return PolicyResult(
        policy=policy, metrics=metrics, retrained=[f"{one.as_of:%Y-%m-%d}" for one in made if one.stage is Stage.TRAINING],
        releases=sum(one.stage is Stage.DEPLOYMENT for one in made), seconds=round(ring.seconds, 2),
        loops=[_loop(row) for row in taken], refused=[_loop(row) for row in opened if row not in taken],
    )  # fmt: skip


def _metric(metric: BusinessMetric, periods: list[PeriodLine]) -> MetricResult:
    count = sum(one.observations for one in periods)
    better = 1 if metric.direction == "higher" else -1
    bad = sum(better * one.value < better * metric.threshold for one in periods)
    return MetricResult(
        metric.name, metric.unit, metric.threshold, metric.direction,
        mean=sum(one.value * one.observations for one in periods) / count if count else None,
        bad=bad / len(periods) if periods else None, periods=periods,
    )  # fmt: skip


def _loop(row: LoopRow) -> LoopResult:
    return LoopResult(
        f"{row.loop.as_of:%Y-%m-%d}", row.loop.edge, row.loop.text, row.state, row.decision or "", row.value_before,
        row.value_after, row.helped,
    )  # fmt: skip
