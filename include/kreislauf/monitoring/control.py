"""Did the model get worse, or the world? The live release beside its control, over the same days.

The control is the release before, which answers a share of the requests. Where both fall alike, the world got worse.
"""

from __future__ import annotations

from datetime import timedelta
from math import sqrt

from scipy.stats import norm

from include.kreislauf.monitoring.memory import Memory, Sums
from include.kreislauf.monitoring.tested import Tested, sequential_test, watch_of
from include.kreislauf.monitoring.watching import Scale
from include.kreislauf.statistics.intervals import Interval


def live_minus_control(metric: Tested, live: Memory, control: Memory) -> Interval | None:
    """How much better the live release does than its control, in the metric's unit; ``None``: too little is known.

    Over the days since the fall is likely to have set in; without an alarm, since the detection began, of the days that
    are kept. An interval for one look: it is asked for when a verdict is diagnosed, and gives none itself. To each side
    one observation at either bound is added, which keeps the interval honest where there are few, or all are alike.

    Source: Agresti and Caffo, Simple and effective confidence intervals for proportions and differences of proportions,
    The American Statistician 54 (2000).
    """
    _, scale = watch_of(metric)
    begins = live.watch.began if live.watch.alarm is None else live.watch.set_in
    since = f"{live.began + timedelta(days=begins):%Y-%m-%d}"
    one, other = (_scaled(memory.since(since), scale) for memory in (live, control))
    if min(one[0], other[0]) < FEWEST:
        return None
    (a, var_a), (b, var_b) = _moments(one), _moments(other)
    level = sequential_test(metric).confidence
    reach = float(norm.ppf((1 + level) / 2)) * sqrt(var_a + var_b)
    mean, width = one[1] / one[0] - other[1] / other[0], scale.greatest - scale.least
    low, high = min(a - b - reach, mean), max(a - b + reach, mean)
    return Interval(max(low, -1.0) * width, mean * width, min(high, 1.0) * width, level)


FEWEST = 5
"""With fewer observations on either side nothing is said."""


def _scaled(sums: Sums, scale: Scale) -> Sums:
    """Sums of the values scaled to [0, 1], higher is better."""
    number, total, squares = sums
    width = scale.greatest - scale.least
    share = (total - number * scale.least) / width
    square = (squares - 2 * scale.least * total + number * scale.least**2) / width**2
    if scale.direction == "lower":
        return number, number - share, number - 2 * share + square
    return number, share, square


def _moments(sums: Sums) -> tuple[float, float]:
    """Mean, and the variance of the mean, with one observation more at either bound."""
    number, total, squares = sums[0] + 2, sums[1] + 1, sums[2] + 1
    mean = total / number
    return mean, max(squares / number - mean**2, 0.0) / number
