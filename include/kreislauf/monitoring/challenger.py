"""Would a model of the champion's own kind, fitted on what happened since, do better?

It is asked of the newest outcomes only, in windows of different lengths that share the chance of error: after an abrupt
change only a small window has learnt from the new world, after a slow one only a large window has enough of it.
"""

from __future__ import annotations

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

from include.kreislauf.monitoring.model_error import in_blocks
from include.kreislauf.monitoring.told import table_of, told_by_model
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.statistics.intervals import Interval, block_bootstrap_gain
from include.kreislauf.statistics.metrics import METRICS, Metric
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
"""Chance that a challenger is called better although it is not."""
MARGIN = 0.02
"""Share of the champion's error that a challenger must surely undercut: less is not worth a training."""
SECONDS = 60.0
"""Wall clock after which the challenger is given up."""

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


def challenge(
    champion: Pipeline, features: Mapping[str, Sequence[str]], rows: Sequence[Any], problem: Problem, metric: str,
    seconds: float = SECONDS,
) -> Challenge:  # fmt: skip
    """Fit the champion's kind anew on the older part of the newest rows, and compare both on the newest part.

    Parameters
    ----------
    champion: the release's pipeline.
    features: names of the features, ``numeric`` and ``categorical``.
    rows: with attributes features (JSON, or ``None``) and outcome, in the order of time.
    metric: that of the contract; classes are compared by their probabilities.
    seconds: wall clock, in all.

    Source: Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16 (2000), for
    the split by time; Dawid, The prequential approach, Journal of the Royal Statistical Society A 147 (1984), for
    going forward in steps.
    """
    comparison = _Comparison(champion, problem, METRICS[metric])
    try:
        table, outcomes = table_of(problem, features, [row for row in rows if row.features][-LARGEST:])
        if len(table) < SMALLEST:
            return Challenge(
                None, False, f"not known: {len(table)} outcomes with features, {SMALLEST} needed"
            )
        with one_thread(), deadline(seconds):
            found, why_not = comparison.gains(table, outcomes)
    except Exception as error:  # noqa: BLE001 - whatever a pipeline does with rows it never saw, the pass goes on
        return Challenge(None, False, f"not known: {type(error).__name__}: {error}")
    if not found:
        return Challenge(None, False, f"not known: {why_not}")
    size, gain = max(found.items(), key=lambda one: one[1].low)
    text = (
        f"a challenger that learns from the newest {size} outcomes undercuts the champion's {metric} on those that come "
        f"after what it has learnt from by {gain.mean:.1%} ({gain.low:.1%} to {gain.high:.1%}); {MARGIN:.0%} needed"
    )
    return Challenge(gain, gain.low > MARGIN, text)


@dataclass(frozen=True)
class _Comparison:
    """A champion, and challengers of its kind, on the same rows."""

    champion: Pipeline
    problem: Problem
    judge: Metric

    def gains(self, table: pd.DataFrame, outcomes: Floats) -> tuple[dict[int, Interval], str]:
        """By window, the share of the champion's error that a challenger undercuts; the first that is sure is the last.

        Also why a window says nothing: too few of a class to learn from, above all.
        """
        sizes = windows(len(table), SMALLEST, LARGEST, GROWTH)
        level, found, why_not = two_sided(1 - ERROR / len(sizes)), {}, ""
        for size in sizes:
            happened = outcomes[-size:]
            if self.problem.classes and len(np.unique(happened[: _cuts(size)[0]])) < 2:
                why_not = "all that happened is of one class"
                continue
            try:
                found[size] = self._gain(table.iloc[-size:], happened, level)
            except ValueError as error:
                why_not = f"{type(error).__name__}: {error}"
                continue
            if found[size].low > MARGIN:
                break
        return found, why_not

    def _gain(self, table: pd.DataFrame, outcomes: Floats, level: float) -> Interval:
        cuts = _cuts(len(table))
        parts = []
        for learnt, end in pairwise(cuts):
            challenger = self._fitted(table.iloc[:learnt], outcomes[:learnt])
            parts.append(self._losses(challenger, table.iloc[learnt:end], outcomes[learnt:end]))
        own = in_blocks(np.concatenate(parts))
        other = in_blocks(self._losses(self.champion, table.iloc[cuts[0] :], outcomes[cuts[0] :]))
        return block_bootstrap_gain({name: (own[name], other[name]) for name in own}, self.judge.gain, level)

    def _fitted(self, table: pd.DataFrame, outcomes: Floats) -> Pipeline:
        if not self.problem.classes:  # as in training
            outcomes = np.clip(outcomes, *np.quantile(outcomes, [WINSOR, 1 - WINSOR]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the comparison says what it is worth
            return _unfitted(self.champion).fit(table, outcomes)

    def _losses(self, model: Pipeline, table: pd.DataFrame, outcomes: Floats) -> Floats:
        return self.judge.losses(outcomes, told_by_model(self.problem, model, table))


def _cuts(size: int) -> list[int]:
    """How many rows are learnt from, step by step; each step is compared on those up to the next."""
    if size > FORWARD_ROWS:
        return [int(size * LEARNT), size]
    return [size * step // (STEPS + 1) for step in range(1, STEPS + 2)]


def _unfitted(model: BaseEstimator) -> Any:
    """A copy to be fitted anew; also of the members of an ensemble, which are frozen so that its making keeps them."""
    copy = clone(model)
    parts = copy.get_params(deep=True)
    frozen = {name: clone(one.estimator) for name, one in parts.items() if isinstance(one, FrozenEstimator)}
    return copy.set_params(**frozen)
