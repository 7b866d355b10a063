"""Would a model of the champion's own kind, fitted on what happened since, do better? And does the champion err more?

Both are asked of the newest outcomes only, in windows of different lengths that share the chance of error: after an abrupt
change only a small window has learnt from the new world, after a slow one only a large window has enough of it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from include.kreislauf.statistics.intervals import Interval, block_bootstrap_gain, block_bootstrap_mean
from include.kreislauf.statistics.metrics import METRICS, Metric, Task
from include.kreislauf.statistics.stability import windows
from include.kreislauf.statistics.verdicts import two_sided
from include.kreislauf.training.parallel import deadline, one_thread
from include.kreislauf.training.trials import WINSOR

SMALLEST, LARGEST = 20, 1_280
"""Rows of the smallest and of the largest window a challenger is fitted and compared in."""
GROWTH = 1.5
"""From one window to the next: a change then lies within one that is little longer than itself."""
LEARNT = 2 / 3
"""Share of a window's rows, the older ones, that the challenger is fitted on."""
FORWARD_ROWS, STEPS = 200, 4
"""Windows of up to so many rows are used to the full: fitted on a fifth, compared on the next, fitted on both, and so on."""
ERROR = 0.05
"""Chance that a challenger is called better, or an error higher, although it is not."""
MARGIN = 0.02
"""Share of the champion's error that a challenger must surely undercut: less is not worth a training."""
RISEN = 0.2
"""Share by which the error must surely exceed the one shown at promotion to count as risen."""
SECONDS = 60.0
"""Wall clock after which the challenger is given up."""
ERROR_ROWS = 100
"""Rows of the smallest window in which the champion's error is measured."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Challenge:
    """How a fresh challenger compares with the champion.

    Parameters
    ----------
    gain: share of the champion's error that it undercuts; ``None``: not known.
    better: whether it surely does by more than :data:`MARGIN`.
    """

    gain: Interval | None
    better: bool
    text: str


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


def challenge(
    champion: Pipeline, features: Mapping[str, Sequence[str]], rows: Sequence[Any], task: Task, metric: str,
    seconds: float = SECONDS,
) -> Challenge:  # fmt: skip
    """Fit the champion's kind anew on the older part of the newest rows, and compare both on the newest part.

    Parameters
    ----------
    champion: the release's pipeline.
    features: names of the features, ``numeric`` and ``categorical``.
    rows: with attributes features (JSON, or ``None``) and outcome, in the order of time.
    metric: that of the contract; classes are compared by their share of wrong answers.
    seconds: wall clock, in all.

    Source: Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16 (2000), for
    the split by time; Dawid, The prequential approach, Journal of the Royal Statistical Society A 147 (1984), for
    going forward in steps.
    """
    judge = _judge(task, metric)
    try:
        table, outcomes = _table(features, rows)
        if len(table) < SMALLEST:
            return Challenge(
                None, False, f"not known: {len(table)} outcomes with features, {SMALLEST} needed"
            )
        with one_thread(), deadline(seconds):
            found = _gains(champion, table, outcomes, judge)
    except Exception as error:  # noqa: BLE001 - whatever a pipeline does with rows it never saw, the pass goes on
        return Challenge(None, False, f"not known: {type(error).__name__}: {error}")
    if not found:
        return Challenge(None, False, "not known: all that happened is of one class")
    size, gain = max(found.items(), key=lambda one: one[1].low)
    text = (
        f"a challenger that learns from the newest {size} outcomes undercuts the champion's {judge.name} on those that come "
        f"after what it has learnt from by {gain.mean:.1%} ({gain.low:.1%} to {gain.high:.1%}); {MARGIN:.0%} needed"
    )
    return Challenge(gain, gain.low > MARGIN, text)


def error_change(shown: float | None, rows: Sequence[Any], task: Task, metric: str) -> ErrorChange | None:
    """The champion's error on its newest outcomes against the one shown at promotion; ``None``: not known.

    The smallest window that is sure decides: a larger one may still be full of what was before a change. So it has not
    risen only where no smaller window looks as if it had.

    Parameters
    ----------
    shown: ``None``: nothing was shown. Of classes the log has no probabilities to measure it by: not known.
    rows: with attributes value and outcome, in the order of time.
    """
    sizes = windows(len(rows), ERROR_ROWS, LARGEST)
    if shown is None or shown <= 0 or task == "classification" or not sizes:
        return None
    judge = _judge(task, metric)
    values, outcomes = (
        np.array([getattr(row, name) for row in rows], dtype=np.float64) for name in ("value", "outcome")
    )
    losses = judge.losses(outcomes, values)
    level, limit = two_sided(1 - ERROR / len(sizes)), shown * (1 + RISEN)
    suspected = False
    for size in sizes:
        found = block_bootstrap_mean(_blocks(losses[-size:]), level)
        low, mean, high = (judge.total(one) for one in (found.low, found.mean, found.high))
        suspected = suspected or mean > limit
        risen = True if low > limit else False if high < limit and not suspected else None
        if risen is not None:
            break
    now = Interval(low, mean, high, level)
    said = {True: "has risen", False: "has not risen", None: "may have risen"}[risen]
    text = f"the model's {metric} over the newest {size} outcomes is {now.mean:.4g} ({now.low:.4g} to {now.high:.4g}), "
    return ErrorChange(shown, now, risen, f"{text}{shown:.4g} was shown at promotion: it {said}")


def _judge(task: Task, metric: str) -> Metric:
    if task == "classification":
        return Metric("share of wrong answers", task, _wrong)
    return METRICS[metric]


def _wrong(outcome: Floats, predicted: Floats) -> Floats:
    wrong: Floats = (outcome != predicted).astype(np.float64)
    return wrong


def _table(features: Mapping[str, Sequence[str]], rows: Sequence[Any]) -> tuple[pd.DataFrame, Floats]:
    """The rows that carry every feature, as a pipeline takes them, and their outcomes."""
    numeric, names = list(features["numeric"]), [*features["numeric"], *features["categorical"]]
    newest = [row for row in rows if row.features][-LARGEST:]
    sent = [(json.loads(row.features), row.outcome) for row in newest]
    whole = [(one, outcome) for one, outcome in sent if all(name in one for name in names)]
    table = pd.DataFrame([[one[name] for name in names] for one, _ in whole], columns=names)
    table[numeric] = table[numeric].astype(float)
    return table, np.array([outcome for _, outcome in whole], dtype=np.float64)


def _gains(champion: Pipeline, table: pd.DataFrame, outcomes: Floats, judge: Metric) -> dict[int, Interval]:
    """By window, the share of the champion's error that a challenger undercuts; the first that is sure is the last."""
    sizes = windows(len(table), SMALLEST, LARGEST, GROWTH)
    level, found = two_sided(1 - ERROR / len(sizes)), {}
    for size in sizes:
        happened = outcomes[-size:]
        if judge.task == "classification" and len(np.unique(happened[: _cuts(size)[0]])) < 2:
            continue
        found[size] = _compared(champion, table.iloc[-size:], happened, judge, level)
        if found[size].low > MARGIN:
            break
    return found


def _compared(
    champion: Pipeline, table: pd.DataFrame, outcomes: Floats, judge: Metric, level: float
) -> Interval:
    cuts = _cuts(len(table))
    parts = []
    for learnt, end in pairwise(cuts):
        challenger = _fitted(champion, table.iloc[:learnt], outcomes[:learnt], judge)
        parts.append(_losses(challenger, table.iloc[learnt:end], outcomes[learnt:end], judge))
    own = _blocks(np.concatenate(parts))
    other = _blocks(_losses(champion, table.iloc[cuts[0] :], outcomes[cuts[0] :], judge))
    return block_bootstrap_gain({name: (own[name], other[name]) for name in own}, judge.gain, level)


def _cuts(size: int) -> list[int]:
    """How many rows are learnt from, step by step; each step is compared on those up to the next."""
    if size > FORWARD_ROWS:
        return [int(size * LEARNT), size]
    return [size * step // (STEPS + 1) for step in range(1, STEPS + 2)]


def _fitted(champion: Pipeline, table: pd.DataFrame, outcomes: Floats, judge: Metric) -> Pipeline:
    if judge.task == "regression":  # as in training
        outcomes = np.clip(outcomes, *np.quantile(outcomes, [WINSOR, 1 - WINSOR]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the comparison says what it is worth
        return _unfitted(champion).fit(table, outcomes)


def _losses(model: Pipeline, table: pd.DataFrame, outcomes: Floats, judge: Metric) -> Floats:
    return judge.losses(outcomes, np.asarray(model.predict(table), dtype=np.float64))


def _unfitted(model: BaseEstimator) -> Any:
    """A copy to be fitted anew; also of the members of an ensemble, which are frozen so that its making keeps them."""
    copy = clone(model)
    parts = copy.get_params(deep=True)
    frozen = {name: clone(one.estimator) for name, one in parts.items() if isinstance(one, FrozenEstimator)}
    return copy.set_params(**frozen)


def _blocks(losses: Floats) -> dict[int, Sequence[float]]:
    """Losses in the order of time in 10 to 30 blocks: neighbours may share what made them hard."""
    parts = np.array_split(losses, min(30, max(10, len(losses) // 5)))
    return {number: part.tolist() for number, part in enumerate(parts)}
