"""The verdict on a business metric that is judged by periods, and what every judgement says.

The mean over the last ``window_periods`` matured periods of the live release, against the contract's threshold. Fewer
periods, or too few reports, are inconclusive. The Student interval shown beside the mean says how sure that is; it
takes no part in the verdict. With one number a period this promises no false-alarm rate; a metric with a ``test`` is
judged by :mod:`include.kreislauf.monitoring.watching`, which does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, nan
from typing import Any, Literal

from include.kreislauf.requirements.contract import PortfolioUplift, Reported
from include.kreislauf.statistics.business import portfolio_uplift
from include.kreislauf.statistics.intervals import Interval, mean_interval

MIN_MATURED = 0.5
"""Share of a period's predictions that must have their outcome before the period counts."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with the numbers behind it.

    Parameters
    ----------
    by_period: the newest matured periods of the release, and at least one more than the window where there are; of a
        metric with a test, the newest days with their means.
    evidence: of a fall, or of a level on the wrong side: an alarm from ``1 / false_alarms`` on; ``None``: no test.
    observations: that the test has seen since the detection began; ``None``: no test.
    control: the live release's level minus that of its control, in the direction that is better; ``None``: no control.
    """

    verdict: Literal["healthy", "breach", "inconclusive"]
    value: float | None
    low: float | None
    high: float | None
    by_period: dict[datetime, float]
    text: str
    evidence: float | None = None
    observations: int | None = None
    control: Interval | None = None


def uplift_by_period(rows: Sequence[Any], top: int) -> dict[datetime, float]:
    """Portfolio uplift of each matured period: at least :data:`MIN_MATURED` of its predictions have their outcome.

    Parameters
    ----------
    rows: predictions with attributes entity, known, value, period, outcome (``None`` while unknown).
    top: how many entities are recommended.
    """
    by_period: dict[datetime, list[Any]] = defaultdict(list)
    for row in rows:
        if row.entity is not None:
            by_period[row.period].append(row)
    uplifts = {}
    for period, members in sorted(by_period.items()):
        if sum(row.outcome is not None for row in members) < MIN_MATURED * len(members):
            continue
        value = portfolio_uplift(
            [nan if row.value is None else row.value for row in members],
            [nan if row.outcome is None else row.outcome for row in members],
            top,
            names=[row.entity for row in members],
        )
        if isfinite(value):
            uplifts[period] = value
    return uplifts


def judge_uplift(metric: PortfolioUplift, rows: Sequence[Any]) -> Judgement:
    """The verdict on a portfolio uplift; ``rows`` are the live release's predictions, see :func:`uplift_by_period`."""
    return _judge(metric, uplift_by_period(rows, metric.top))


def judge_reported(metric: Reported, rows: Sequence[Any]) -> Judgement:
    """The verdict on a reported metric; ``rows`` have attributes value and period, all of the live release."""
    by_period: dict[datetime, list[float]] = defaultdict(list)
    for row in rows:
        by_period[row.period].append(row.value)
    means = {period: sum(values) / len(values) for period, values in sorted(by_period.items())}
    window = [by_period[period] for period in list(means)[-metric.window_periods :]]
    if (found := sum(len(values) for values in window)) < metric.min_reports:
        return Judgement(
            "inconclusive", None, None, None, means, f"{many(found, 'report')}, {metric.min_reports} needed"
        )
    return _judge(metric, means)


def novelty(rows: Sequence[Any], periods: int = 1) -> float | None:
    """Share of requested entities that the release does not know, over the newest periods; ``None`` without requests."""
    newest = sorted({row.period for row in rows})[-periods:]
    asked = [row for row in rows if row.period in newest]
    return sum(not row.known for row in asked) / len(asked) if asked else None


def many(number: int, thing: str) -> str:
    """A number of things: ``1 period``, ``2 periods``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _judge(metric: PortfolioUplift | Reported, by_period: Mapping[datetime, float]) -> Judgement:
    found = dict(by_period)
    window = list(found.values())[-metric.window_periods :]
    if len(window) < metric.window_periods:
        text = f"{many(len(window), 'matured period')}, {metric.window_periods} needed"
        return Judgement("inconclusive", window[-1] if window else None, None, None, found, text)
    interval = mean_interval(window, metric.level)
    low, high = (value if isfinite(value) else None for value in (interval.low, interval.high))
    side = "below" if metric.direction == "higher" else "above"
    breach = interval.mean < metric.threshold if side == "below" else interval.mean > metric.threshold
    text = (
        f"mean of {many(len(window), 'period')} {interval.mean:.4g} is {side if breach else f'not {side}'} "
        f"the threshold {metric.threshold:.4g} ({metric.unit})"
    )
    return Judgement("breach" if breach else "healthy", interval.mean, low, high, found, text)
