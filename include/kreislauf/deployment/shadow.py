"""The shadow: what a release would have answered, beside what the champion did answer."""

from __future__ import annotations

from datetime import datetime
from math import isfinite, nan
from typing import Any

import numpy as np
from sqlalchemy import Connection

from include.kreislauf.deployment.found import Found, number
from include.kreislauf.handovers import Evidence
from include.kreislauf.requirements.delivery import Shadow
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.store import comparisons, rollouts
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout


def judge_shadow(db: Connection, rollout: Rollout, problem: Problem, asked: Shadow, now: datetime) -> Found:
    """Whether a release has computed enough predictions, all of them finite, none too far from the champion's."""
    counted = rollouts.counts_of(db, rollout.use_case, rollout.version).get(Arm.SHADOW, ArmCounts(Arm.SHADOW))
    if counted.errors:
        text = f"{counted.errors} of {counted.requests} requests failed in the release"
        numbers = (number("shadow_errors", float(counted.errors), "requests"),)
        return Found(Verdict.FAIL, text, numbers)
    seconds = (now - rollout.state_at).total_seconds()
    over = seconds >= asked.max_hours * 3600
    if not over and comparisons.count_shadow(db, rollout.use_case, rollout.version) < asked.min_rows:
        return Found(Verdict.INCONCLUSIVE, "too few predictions yet", final=False)
    found = _compare(comparisons.shadow_rows(db, rollout.use_case, rollout.version), problem, asked)
    return found.after(seconds) if over and not found.final else found


def _compare(rows: list[Any], problem: Problem, asked: Shadow) -> Found:
    bad = [row for row in rows if not _computed(row)]
    if bad:
        text = f"{len(bad)} of {len(rows)} predictions are no finite numbers"
        return Found(Verdict.FAIL, text, (number("not_finite", float(len(bad)), "predictions"),))
    # an entity that the champion does not know was answered without a value
    pairs = np.array(
        [(row.answered, row.shadow) for row in rows if row.answered is not None and row.shadow is not None]
    )
    pairs = pairs.reshape(-1, 2)
    distances = np.abs(pairs[:, 1] - pairs[:, 0])
    if problem.kind == "multiclass":  # positions have no distance
        distances = (distances != 0).astype(float)
    numbers = (*_distances(problem, pairs, distances), _novelty(problem, rows))
    numbers = (number("shadow_rows", float(len(rows)), "predictions"), *numbers)
    text = f"{len(rows)} predictions computed, {len(pairs)} of them compared"
    if len(rows) < asked.min_rows:
        return Found(Verdict.INCONCLUSIVE, f"{text}, {asked.min_rows} needed", numbers, final=False)
    if asked.max_difference is None:
        return Found(Verdict.PASS, f"{text}, none failed", numbers)
    if not len(pairs):
        return Found(Verdict.INCONCLUSIVE, f"{text}: the champion knew none of them", numbers, final=False)
    if problem.kind == "multiclass":
        far = float(distances.mean())
        said = f"{text}: a share of {far:.4g} is of another class, {asked.max_difference:.4g} allowed"
    else:
        far = float(np.quantile(distances, 0.99))
        said = f"{text}: 99 of 100 differ by up to {far:.4g}, {asked.max_difference:.4g} allowed"
    passed = far <= asked.max_difference
    return Found(Verdict.PASS if passed else Verdict.FAIL, said, numbers)


def _computed(row: Any) -> bool:
    """Whether the release came to a number where the champion did, or to none where it need not."""
    if row.shadow is None:
        return row.answered is None
    return isfinite(row.shadow)


def _distances(problem: Problem, pairs: Any, distances: Any) -> tuple[Evidence, ...]:
    some = len(pairs) > 0
    mean = float(distances.mean()) if some else nan
    if problem.kind == "multiclass":
        return (number("other_class", mean, "share of predictions"),)
    unit = "of the probability" if problem.kind == "binary" else "of the target"
    return (
        number("mean_difference", mean, unit),
        number("p99_difference", float(np.quantile(distances, 0.99)) if some else nan, unit),
        number("rank_correlation", _rank_correlation(pairs), "", "Spearman, 1: the same order"),
    )


def _novelty(problem: Problem, rows: list[Any]) -> Evidence:
    unknown = sum(not row.known for row in rows)
    unit = (
        "share of requested entities" if problem.requests == "entity" else "share of rows with new categories"
    )
    return number("novelty", unknown / len(rows) if rows else nan, unit)


def _rank_correlation(pairs: Any) -> float:
    """Spearman's coefficient; equal values share their mean rank. NaN where one side is constant."""
    if len(pairs) < 2 or (np.ptp(pairs, axis=0) == 0).any():
        return nan
    ranks = np.column_stack([_ranks(pairs[:, side]) for side in (0, 1)])
    return float(np.corrcoef(ranks, rowvar=False)[0, 1])


def _ranks(values: Any) -> Any:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places.reshape(-1)]
