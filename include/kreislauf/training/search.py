"""The search of a family's best configuration: successive halving over the folds.

All configurations predict a few folds; the better third goes on to more folds (and, where the family has a size, to more
of it), until few are left that have predicted all. What a grid spends on configurations that are clearly worse is saved.
All configurations of a round are compared on the same rows.

Sources: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016; for
folds as the resource, Krueger, Panknin and Braun, Fast cross-validation via sequential testing, JMLR 16 (2015).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

import numpy as np

from include.kreislauf.preparation.splits import Fold
from include.kreislauf.statistics.metrics import Metric
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.trials import TIME_UP, WEEK, Floats, Job, Trial, run_all

RunJobs = Callable[[Rows, Sequence[Job], int, int], list[Trial]]
KEEP = 3
"""One configuration of so many goes on to the next round."""
ROUNDS: tuple[tuple[float, float], ...] = ((0.25, 0.34), (0.5, 0.67), (1.0, 1.0))
"""Of each round: the share of the folds predicted by its end, and the share of a configuration's size."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a search, in seconds of wall clock.

    Parameters
    ----------
    budget: of the whole search; what is not done by then is left out.
    candidate: of one fit; what takes longer counts as failed.
    """

    budget: float = WEEK
    candidate: float = WEEK


@dataclass(frozen=True)
class Searched:
    """What the search of one family came to.

    Parameters
    ----------
    best: the best configuration; ``None`` if all failed.
    losses: by configuration, the metric over the folds that it has predicted, and their number.
    failed: by configuration, why it failed.
    predictions: of the best configuration, by fold.
    seconds: CPU time.
    fits: how many were made.
    """

    family: str
    best: Candidate | None
    losses: dict[str, tuple[float, int]]
    failed: dict[str, str]
    predictions: dict[str, Floats] = field(repr=False)
    seconds: float
    fits: int
    configurations: int
    folds: int

    @property
    def account(self) -> dict[str, Any]:
        """The search in numbers, for people and for the index of a training."""
        return {
            "family": self.family, "configurations": self.configurations, "folds": self.folds, "fits": self.fits,
            "best": self.best.name if self.best else None,
            "losses": {name: list(found) for name, found in self.losses.items()}, "failed": self.failed,
        }  # fmt: skip


def search(
    rows: Rows, tried: Mapping[str, Sequence[Candidate]], folds: Sequence[Fold], metric: Metric, *,
    seed: int, n_jobs: int = 1, limits: Limits | None = None, run_jobs: RunJobs = run_all,
) -> dict[str, Searched]:  # fmt: skip
    """The best configuration of each family, all families at once.

    Parameters
    ----------
    tried: configurations by family, the default first; equal inputs give equal results, unless time runs out.
    folds: of the search, oldest first; none: the default is taken untried.
    run_jobs: what makes the trials, or knows them.
    """
    limits = limits or Limits()
    races = {name: _Race(list(candidates)) for name, candidates in tried.items()}
    order, until = spread(folds), time.time() + limits.budget
    predicted = 0
    for share, size in ROUNDS if order else ():
        reach = max(predicted, ceil(len(order) * share))
        new, predicted = order[predicted:reach], reach
        jobs = [
            Job(candidate, fold, size, limits.candidate, until)
            for race in races.values() for candidate in race.left for fold in new
        ]  # fmt: skip
        trials = run_jobs(rows, jobs, seed, n_jobs)
        for race in races.values():
            race.take(trials, rows, metric)
            if share < 1:
                race.keep_best()
    return {name: race.result(name, len(order), metric) for name, race in races.items()}


def spread(folds: Sequence[Fold]) -> list[Fold]:
    """The folds in an order whose every beginning is spread over the whole time, the latest first."""
    left, chosen = list(range(len(folds))), list[int]()
    while left:
        far = max(left, key=lambda one: (min((abs(one - other) for other in chosen), default=inf), one))
        chosen.append(far)
        left.remove(far)
    return [folds[one] for one in chosen]


class _Race:
    """The configurations of one family that are still in it."""

    def __init__(self, candidates: list[Candidate]) -> None:
        self.entered, self.left = len(candidates), candidates
        self.sums: dict[str, dict[str, tuple[float, int]]] = {one.name: {} for one in candidates}
        self.predictions: dict[str, dict[str, Floats]] = {one.name: {} for one in candidates}
        self.failed: dict[str, str] = {}
        self.seconds, self.fits = 0.0, 0

    def take(self, trials: Sequence[Trial], rows: Rows, metric: Metric) -> None:
        """Write a round down, the best first; whoever failed is out, whoever ran out of time keeps what it has."""
        for trial in trials:
            if trial.candidate not in self.sums or trial.failed == TIME_UP:
                continue
            self.seconds += trial.seconds
            if trial.failed:
                self.failed[trial.candidate] = trial.failed
                continue
            self.fits += 1
            losses = metric.losses(rows.outcomes[trial.fold.predict], trial.predictions)
            self.sums[trial.candidate][trial.fold.label] = (float(losses.sum()), losses.size)
            self.predictions[trial.candidate][trial.fold.label] = trial.predictions
        self.left = [one for one in self.left if one.name not in self.failed]
        shared = set.intersection(*(set(self.sums[one.name]) for one in self.left)) if self.left else set()
        self.left.sort(key=lambda one: sum(self.sums[one.name][label][0] for label in sorted(shared)))

    def keep_best(self) -> None:
        """The better third goes on; of equally good ones those declared first."""
        self.left = self.left[: ceil(len(self.left) / KEEP)]

    def result(self, name: str, folds: int, metric: Metric) -> Searched:
        """What the race came to."""
        best = self.left[0] if self.left else None
        known = {one: list(sums.values()) for one, sums in self.sums.items() if sums}
        losses = {
            one: (metric.total(sum(part[0] for part in parts) / sum(part[1] for part in parts)), len(parts))
            for one, parts in known.items()
        }
        return Searched(
            family=name, best=best, losses=losses, failed=self.failed,
            predictions=self.predictions[best.name] if best else {}, seconds=self.seconds, fits=self.fits,
            configurations=self.entered, folds=folds,
        )  # fmt: skip


def exhaustive(
    rows: Rows, tried: Mapping[str, Sequence[Candidate]], folds: Sequence[Fold], metric: Metric, *,
    seed: int, n_jobs: int = 1,
) -> dict[str, Searched]:  # fmt: skip
    """Every configuration on every fold: what :func:`search` is measured against."""
    races = {name: _Race(list(candidates)) for name, candidates in tried.items()}
    jobs = [
        Job(candidate, fold) for candidates in tried.values() for candidate in candidates for fold in folds
    ]
    trials = run_all(rows, jobs, seed, n_jobs)
    for race in races.values():
        race.take(trials, rows, metric)
    return {name: race.result(name, len(folds), metric) for name, race in races.items()}


def loss_of(rows: Rows, searched: Searched, folds: Sequence[Fold], metric: Metric) -> float:
    """The metric of a search's best configuration over the folds of the search that it has predicted."""
    parts = [
        metric.losses(rows.outcomes[fold.predict], searched.predictions[fold.label])
        for fold in folds if fold.label in searched.predictions
    ]  # fmt: skip
    return metric.total(float(np.concatenate(parts).mean())) if parts else inf
