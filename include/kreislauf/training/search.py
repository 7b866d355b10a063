"""The search of a family's best configuration: successive halving over the folds.

All configurations predict a few folds; the better third goes on to more folds (and, where the family has a size, to more
of it), until few are left that have predicted all. What a grid spends on configurations that are clearly worse is saved.
All configurations of a round are compared on the same rows.

A wider search is a wave of new configurations against what the search before it has kept: a place is theirs only if they
take it, on one fold first.

Sources: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016; for
folds as the resource, Krueger, Panknin and Braun, Fast cross-validation via sequential testing, JMLR 16 (2015).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise
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
MARGIN = 0.005
"""By this share of the mean loss a configuration has to beat the best of the waves before: less is chance, and costs its
held-out predictions and its fit on all rows."""


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
    seed: int, n_jobs: int = 1, limits: Limits | None = None, run_jobs: RunJobs | None = None, breadth: int | None = None,
) -> dict[str, Searched]:  # fmt: skip
    """The best configuration of each family, all families at once.

    Parameters
    ----------
    tried: configurations by family, the default first; equal inputs give equal results, unless time runs out.
    folds: of the search, oldest first; none: the default is taken untried.
    run_jobs: what makes the trials, or knows them; ``None``: all are made.
    breadth: so many configurations of each family are the first wave; each further wave doubles them. ``None``: one wave.
    """
    limits = limits or Limits()
    races = {name: _Race(len(candidates)) for name, candidates in tried.items()}
    order, until = spread(folds), time.time() + limits.budget
    for number, wave in enumerate(_waves(tried, breadth)):
        running = [race for name, race in races.items() if race.enter(wave[name])]
        for place, (part, size) in _rounds(order, first=number == 0) if running else ():
            jobs = [
                Job(candidate, fold, size, limits.candidate, until)
                for race in running for candidate in race.left for fold in race.unknown(candidate, part)
            ]  # fmt: skip
            trials = (run_jobs or run_all)(rows, jobs, seed, n_jobs)
            for race in running:
                race.take(trials, rows, metric)
                if place < len(ROUNDS) - 1:
                    race.keep_best(place)
    return {name: race.result(name, len(order), metric) for name, race in races.items()}


def _waves(tried: Mapping[str, Sequence[Candidate]], breadth: int | None) -> list[dict[str, list[Candidate]]]:
    """By wave the configurations that it brings in."""
    longest = max(map(len, tried.values()), default=0)
    ends = [0, breadth or longest]
    while ends[-1] < longest:
        ends.append(2 * ends[-1])
    return [
        {name: list(candidates[begin:end]) for name, candidates in tried.items()}
        for begin, end in pairwise(ends)
    ]


def _rounds(order: Sequence[Fold], *, first: bool) -> list[tuple[int, tuple[list[Fold], float]]]:
    """By round its place in :data:`ROUNDS`, its folds, and the size of a configuration.

    A wave after the first has a round more: who is worse on the first fold does not predict the others of its round.
    """
    if not order:
        return []
    ends = [0, *(ceil(len(order) * share) for share, _ in ROUNDS)]
    rounds = [
        (place, (list(order[begin:end]), ROUNDS[place][1]))
        for place, (begin, end) in enumerate(pairwise(ends))
    ]
    return rounds if first else [(0, (list(order[:1]), ROUNDS[0][1])), *rounds]


def spread(folds: Sequence[Fold]) -> list[Fold]:
    """The folds in an order whose every beginning is spread over the whole time, the latest first."""
    left, chosen = list(range(len(folds))), list[int]()
    while left:
        far = max(left, key=lambda one: (min((abs(one - other) for other in chosen), default=inf), one))
        chosen.append(far)
        left.remove(far)
    return [folds[one] for one in chosen]


class _Race:
    """The configurations of one family that are still in it.

    Parameters
    ----------
    entered: how many take part in all waves.
    """

    def __init__(self, entered: int) -> None:
        self.entered = entered
        self.left: list[Candidate] = []
        self.holder: Candidate | None = None
        self.kept: dict[int, list[Candidate]] = {}
        self.sums: dict[str, dict[str, tuple[float, int]]] = {}
        self.predictions: dict[str, dict[str, Floats]] = {}
        self.failed: dict[str, str] = {}
        self.seconds, self.fits = 0.0, 0

    def enter(self, new: Sequence[Candidate]) -> bool:
        """Put a wave of configurations beside the best so far and those it met in the first round; whether there are any."""
        if not new:
            return False
        self.holder = self.left[0] if self.left else None
        known = [one for one in self.kept.get(0, []) if one.name not in self.failed and one != self.holder]
        self.left = [*([self.holder] if self.holder else []), *known, *new]
        self.sums |= {one.name: {} for one in new}
        self.predictions |= {one.name: {} for one in new}
        return True

    def unknown(self, candidate: Candidate, folds: Sequence[Fold]) -> list[Fold]:
        """The folds that a configuration has not predicted yet."""
        return [fold for fold in folds if fold.label not in self.sums[candidate.name]]

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
        self.left.sort(key=lambda one: self._loss(one, shared))

    def _loss(self, candidate: Candidate, labels: AbstractSet[str]) -> float:
        """Over some folds; that of the best of the waves before counts a little less."""
        loss = sum(self.sums[candidate.name][label][0] for label in sorted(labels))
        return loss * (1 - MARGIN) if candidate == self.holder else loss

    def keep_best(self, place: int) -> None:
        """The better third of the first wave goes on, of later ones as many; of equally good ones those declared first.

        The best of the waves before always does: it has predicted all folds.
        """
        count = len(self.kept.get(place, ())) or ceil(len(self.left) / KEEP)
        best = self.left[:count]
        self.kept[place] = best
        self.left = [*best, *(one for one in self.left[count:] if one == self.holder)]

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
    races = {name: _Race(len(candidates)) for name, candidates in tried.items()}
    for name, candidates in tried.items():
        races[name].enter(candidates)
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
