"""The loop ledger's last column: did it help?"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.handovers import OPENING
from include.kreislauf.monitoring.verdicts import judge_reported, uplift_by_period
from include.kreislauf.requirements.contract import BusinessMetric, Contract, PortfolioUplift
from include.kreislauf.statistics.intervals import mean_interval
from include.kreislauf.store import live, messages, observations
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.messages import LoopRow


def close_ripe_loops(db: Connection, contract: Contract, default_metric: str, as_of: datetime) -> None:
    """Close every accepted loop whose cycle went live and whose release has matured for long enough.

    A loop helped when the metric's mean over the first ``help_periods`` matured periods of the new release lies above
    the value that raised the loop; the interval says how sure that is.
    """
    metrics = {metric.name: metric for metric in contract.business_metrics}
    went_live = _went_live(db, contract.name)
    for row in messages.loops_of(db, contract.name, states=("accepted",), edges=OPENING):
        made = went_live.get(row.loop.cycle_id)
        metric = metrics.get(row.loop.metric or default_metric)
        if made and metric:
            _close(db, row, metric, made, contract.governor.help_periods, as_of)


def metric_after(
    db: Connection, metric: BusinessMetric, release: ReleaseRow, as_of: datetime, periods: int
) -> list[float]:
    """The metric in each of the first matured periods of a release, at most ``periods`` of them."""
    if isinstance(metric, PortfolioUplift):
        rows = observations.observed(db, release.use_case, as_of, release=release.version)
        return list(uplift_by_period(rows, metric.top).values())[:periods]
    reports = observations.reported(db, release.use_case, metric.name, as_of)
    own = [row for row in reports if row.release == release.version]
    return list(judge_reported(metric, own).by_period.values())[:periods]


def _went_live(db: Connection, use_case: str) -> dict[str, ReleaseRow]:
    """Per cycle the newest of its releases that went live; one that failed its checks never did."""
    promoted = {change.version for change in live.promotions_of(db, use_case)}
    return {row.cycle_id: row for row in live.releases_of(db, use_case) if row.version in promoted}


def _close(
    db: Connection, row: LoopRow, metric: BusinessMetric, release: ReleaseRow, periods: int, as_of: datetime
) -> None:
    values = metric_after(db, metric, release, as_of, periods)
    if len(values) < periods or row.value_before is None:
        return
    after = mean_interval(values, metric.level)
    messages.close_loop(
        db,
        row.loop.id,
        after=after.mean,
        low=after.low,
        high=after.high,
        helped=after.mean > row.value_before,
    )
