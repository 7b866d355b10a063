"""Does the champion err more than was shown of it at its promotion?

It is asked of the newest outcomes only, in windows of different lengths that share the chance of error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.kreislauf.monitoring.told import Told
from include.kreislauf.statistics.intervals import Interval, block_bootstrap_mean
from include.kreislauf.statistics.metrics import METRICS
from include.kreislauf.statistics.stability import windows
from include.kreislauf.statistics.verdicts import two_sided

SMALLEST, LARGEST = 100, 1_280
"""Rows of the smallest and of the largest window in which the error is measured."""
ERROR = 0.05
"""Chance that an error is called higher, or not higher, although it is not so."""
RISEN = 0.2
"""Share by which the error must surely exceed the one shown at promotion to count as risen."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ErrorChange:
    """The champion's error on the newest outcomes, and the one shown at its promotion.

    Parameters
    ----------
    risen: whether it surely exceeds the shown one by more than :data:`RISEN`; ``None``: not sure either way.
    """

    shown: float
    now: Interval
    risen: bool | None
    text: str
    unit: str = "unit of the target"


def error_change(shown: float | None, told: Told | None, metric: str) -> ErrorChange | None:
    """The champion's error on its newest outcomes against the one shown at promotion; ``None``: not known.

    The smallest window that is sure decides: a larger one may still be full of what was before a change. So it has not
    risen only where no smaller window looks as if it had.

    Parameters
    ----------
    shown: ``None``: nothing was shown.
    told: ``None``: nobody knows what was predicted, in the form that the metric takes.
    """
    sizes = windows(len(told.outcomes), SMALLEST, LARGEST) if told else []
    if shown is None or shown <= 0 or told is None or not sizes:
        return None
    judge = METRICS[metric]
    losses = judge.losses(told.outcomes, told.predicted)
    level, limit = two_sided(1 - ERROR / len(sizes)), shown * (1 + RISEN)
    suspected = False
    for size in sizes:
        found = block_bootstrap_mean(in_blocks(losses[-size:]), level)
        low, mean, high = (judge.total(one) for one in (found.low, found.mean, found.high))
        suspected = suspected or mean > limit
        risen = True if low > limit else False if high < limit and not suspected else None
        if risen is not None:
            break
    now = Interval(low, mean, high, level)
    said = {True: "has risen", False: "has not risen", None: "may have risen"}[risen]
    text = f"the model's {metric} over the newest {size} outcomes is {now.mean:.4g} ({now.low:.4g} to {now.high:.4g}), "
    text += f"{shown:.4g} was shown at promotion: it {said}"
    return ErrorChange(shown, now, risen, text, judge.unit)


def in_blocks(losses: Floats) -> dict[int, Sequence[float]]:
    """Losses in the order of time in 10 to 30 blocks: neighbours may share what made them hard."""
    parts = np.array_split(losses, min(30, max(10, len(losses) // 5)))
    return {number: part.tolist() for number, part in enumerate(parts)}
