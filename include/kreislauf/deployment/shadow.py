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
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.store import comparisons, rollouts
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout


def judge_shadow(db: Connection, rollout: Rollout, asked: Shadow, now: datetime) -> Found:
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
    found = _compare(comparisons.shadow_rows(db, rollout.use_case, rollout.version), asked)
    return found.after(seconds) if over and not found.final else found


def _compare(rows: list[Any], asked: Shadow) -> Found:
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
    numbers = _numbers(rows, pairs, distances)
    text = f"{len(rows)} predictions computed, {len(pairs)} of them compared"
    if len(rows) < asked.min_rows:
        return Found(Verdict.INCONCLUSIVE, f"{text}, {asked.min_rows} needed", numbers, final=False)
    if asked.max_difference is None:
        return Found(Verdict.PASS, f"{text}, none failed", numbers)
    if not len(pairs):
        return Found(Verdict.INCONCLUSIVE, f"{text}: the champion knew none of them", numbers, final=False)
    top = float(np.quantile(distances, 0.99))
    passed = top <= asked.max_difference
    said = f"{text}: 99 of 100 differ by up to {top:.4g}, {asked.max_difference:.4g} allowed"
    return Found(Verdict.PASS if passed else Verdict.FAIL, said, numbers)


def _computed(row: Any) -> bool:
    """Whether the release came to a number where the champion did, or to none where it need not."""
    if row.shadow is None:
        return row.answered is None
    return isfinite(row.shadow)


def _numbers(rows: list[Any], pairs: Any, distances: Any) -> tuple[Evidence, ...]:
    unknown = sum(not row.known for row in rows)
    some = len(pairs) > 0
    return (
        number("shadow_rows", float(len(rows)), "predictions"),
        number("mean_difference", float(distances.mean()) if some else nan, "of the target"),
        number("p99_difference", float(np.quantile(distances, 0.99)) if some else nan, "of the target"),
        number("rank_correlation", _rank_correlation(pairs), "", "Spearman, 1: the same order"),
        number("novelty", unknown / len(rows) if rows else nan, "share of requested entities"),
    )


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
