"""The loop ledger's last columns: the business metric before and after a loop, and whether it helped.

Both levels are those that monitoring has judged, so that the ledger and the verdicts cannot contradict each other. The
interval of the gain goes from the worst after the best to the best after the worst: it holds whenever both do, however
the two depend on each other, and is wider than it would have to be if they were independent.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.handovers import OPENING
from include.kreislauf.monitoring.verdicts import judge_reported, uplift_by_period
from include.kreislauf.requirements.contract import BusinessMetric, Contract, PortfolioUplift, Reported
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store import live, messages, observations
from include.kreislauf.store.levels import Level, first_level, level_at, level_of
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.messages import Measured


def close_ripe_loops(db: Connection, contract: Contract, default_metric: str, as_of: datetime) -> None:
    """Close every accepted loop whose cycle went live and whose release has matured for long enough.

    A loop helped when the metric is better after it than it was when the loop was raised. For a metric that is judged
    by periods, *after* is the mean over the first ``help_periods`` matured periods of the new release; for one with a
    sequential test, its level at the first verdict over ``learn`` observations, or at an earlier breach.
    """
    metrics = {metric.name: metric for metric in contract.business_metrics}
    went_live = _went_live(db, contract.name)
    for row in messages.loops_of(db, contract.name, states=("accepted",), edges=OPENING):
        made = went_live.get(row.loop.cycle_id)
        metric = metrics.get(row.loop.metric or default_metric)
        if made is None or metric is None or row.value_before is None:
            continue
        if after := level_after(db, metric, made, as_of, contract.governor.help_periods):
            before = level_at(db, contract.name, metric.name, row.loop.as_of, row.value_before)
            messages.close_loop(db, row.loop.id, measure(before, after, metric.direction))


def measure(before: Level, after: Level, direction: str) -> Measured:
    """The gain from one level to another, in the direction that is better.

    Parameters
    ----------
    direction: ``higher`` or ``lower``.
    """
    if direction == "higher":
        gain = after.value - before.value
        low, high = _difference(after.low, before.high), _difference(after.high, before.low)
    else:
        gain = before.value - after.value
        low, high = _difference(before.low, after.high), _difference(before.high, after.low)
    return Measured(
        before_low=before.low, before_high=before.high, value_after=after.value, after_low=after.low,
        after_high=after.high, gain_low=low, gain_high=high, helped=gain > 0,
    )  # fmt: skip


def level_after(
    db: Connection, metric: BusinessMetric, release: ReleaseRow, as_of: datetime, periods: int
) -> Level | None:
    """The level of a release over its first periods or observations; ``None`` while there are too few."""
    if metric.test is not None:
        learn = metric.test.learn
        return first_level(db, release.use_case, metric.name, release.version, as_of, observations=learn)
    values = _first_periods(db, metric, release, as_of)[:periods]
    if len(values) < periods:
        return None
    after = mean_interval(values, metric.level)
    return level_of(after.mean, after.low, after.high)


def _first_periods(
    db: Connection, metric: PortfolioUplift | Reported, release: ReleaseRow, as_of: datetime
) -> list[float]:
    if isinstance(metric, PortfolioUplift):
        rows = observations.observed(db, release.use_case, as_of, release=release.version)
        return list(uplift_by_period(rows, metric.top).values())
    reports = observations.reported(db, release.use_case, metric.name, as_of)
    own = [row for row in reports if row.release == release.version]
    return list(judge_reported(metric, own).by_period.values())


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _went_live(db: Connection, use_case: str) -> dict[str, ReleaseRow]:
    """Per cycle the newest of its releases that went live; one that failed its checks never did."""
    promoted = {change.version for change in live.promotions_of(db, use_case)}
    return {row.cycle_id: row for row in live.releases_of(db, use_case) if row.version in promoted}
