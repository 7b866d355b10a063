"""Whether a canary serves the business as well as the champion: by what users report, else by what really happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.deployment.comparing import Compared, compared_by
from include.kreislauf.deployment.found import number
from include.kreislauf.errors import EvaluationError
from include.kreislauf.handovers import Evidence
from include.kreislauf.requirements.contract import Contract, Reported
from include.kreislauf.statistics.comparisons import difference, ratio
from include.kreislauf.statistics.intervals import (
    Interval,
    block_bootstrap_gain,
    block_bootstrap_mean,
    mean_interval,
)
from include.kreislauf.statistics.verdicts import Verdict, at_least, at_most
from include.kreislauf.store import comparisons
from include.kreislauf.store.rollouts import Arm, Rollout

Answer = tuple[Verdict, str, Evidence]
MIN_ENTITIES = 5
"""Fewer entities (or rows, where they have none) with outcomes say nothing about how much they differ."""


def judge_business(
    db: Connection,
    rollout: Rollout,
    contract: Contract,
    level: float,
    now: datetime,
    folder: Path | None = None,
) -> Answer:
    """The first of these that is known: a reported metric, what happened on the same rows, what happened in the two arms.

    What happened is measured by the contract's first metric of kind ``decision_value``, ``outcomes`` or ``own``, else by
    the error of the kind of problem. The release must not be worse by more than the contract's
    ``performance.champion_tolerance`` of the champion's value. Where the use case's own code fails, nothing is known.

    Parameters
    ----------
    folder: that of the use case, see :func:`~include.kreislauf.evaluation.business.measure_of`.
    """
    tolerance = contract.performance.champion_tolerance
    for metric in contract.business_metrics:
        if isinstance(metric, Reported) and (found := _reported(db, rollout, metric, tolerance, level)):
            return found
    text = "no reports and no outcomes yet"
    try:
        paired, apart = compared_by(contract, folder)
        found = _same_rows(db, rollout, paired, tolerance, level, now)
        found = found or _arms(db, rollout, apart, tolerance, level, now)
    except EvaluationError as error:
        found, text = None, f"the metric cannot be had: {error.text}"
    return found or (Verdict.INCONCLUSIVE, text, Evidence(name="business", value=None, note=text))


def _reported(
    db: Connection, rollout: Rollout, metric: Reported, tolerance: float, level: float
) -> Answer | None:
    values = [
        comparisons.reports_since(db, rollout.use_case, metric.name, version, rollout.state_at)
        for version in (rollout.version, rollout.champion or 0)
    ]
    if min(map(len, values)) < metric.min_reports:
        return None
    mine, theirs = (mean_interval(one, level) for one in values)
    found, least = difference(mine, theirs), -tolerance * abs(theirs.mean)
    verdict = at_least(found, least)
    text = f"{metric.name} {found.mean:+.4g} {metric.unit} against the champion ({least:+.4g} allowed): {verdict}"
    note = f"{len(values[0])} and {len(values[1])} reports"
    return verdict, text, number(f"{metric.name}_difference", found, metric.unit, note)


def _same_rows(
    db: Connection, rollout: Rollout, by: Compared, tolerance: float, level: float, now: datetime
) -> Answer | None:
    """What the release computed in the shadow of the champion, on the same rows: the sharpest comparison."""
    until = now - by.maturity
    rows = [
        row for row in comparisons.shadow_rows(db, rollout.use_case, rollout.version)
        if None not in (row.outcome, row.answered, row.shadow) and row.as_of <= until
    ]  # fmt: skip
    happened = [row.outcome for row in rows]
    mine, theirs = (
        by.values([getattr(row, name) for row in rows], happened) for name in ("shadow", "answered")
    )
    pairs: dict[Any, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for row, own, other in zip(rows, mine.tolist(), theirs.tolist(), strict=True):
        if isfinite(own) and isfinite(other):
            pairs[row.name][0].append(own)
            pairs[row.name][1].append(other)
    others = [value for _, other in pairs.values() for value in other]
    if len(pairs) < MIN_ENTITIES or (by.is_ratio and not any(others)):
        return None
    note = f"{len(pairs)} {_counted(rows)}, on the same rows"
    if by.is_ratio:
        found = block_bootstrap_gain(pairs, lambda own, other: own / other if other else 1.0, level)
        return _times(found, by, tolerance, note)
    found = block_bootstrap_gain(pairs, lambda own, other: own - other, level)
    return _beside(found, sum(others) / len(others), by, tolerance, note)


def _arms(
    db: Connection, rollout: Rollout, by: Compared, tolerance: float, level: float, now: datetime
) -> Answer | None:
    arms = ((rollout.version, Arm.CANARY), (rollout.champion or 0, Arm.BASELINE))
    since, until = rollout.state_at, now - by.maturity
    rows = [
        comparisons.arm_outcomes(db, rollout.use_case, version, arm, since, until) for version, arm in arms
    ]
    blocks = [_by_name(one, by) for one in rows]
    if min(map(len, blocks)) < MIN_ENTITIES:
        return None
    mine, theirs = (block_bootstrap_mean(one, level) for one in blocks)
    note = f"{len(blocks[0])} and {len(blocks[1])} {_counted([*rows[0], *rows[1]])}"
    if by.is_ratio:
        return _times(ratio(mine, theirs), by, tolerance, note)
    return _beside(difference(mine, theirs), theirs.mean, by, tolerance, note)


def _by_name(rows: Sequence[Any], by: Compared) -> Mapping[str, list[float]]:
    """What is measured of one entity shares its shocks: it is drawn together."""
    values = by.values([row.answered for row in rows], [row.outcome for row in rows])
    blocks: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, values.tolist(), strict=True):
        if isfinite(value):
            blocks[row.name].append(value)
    return blocks


def _counted(rows: Iterable[Any]) -> str:
    return "entities" if any(row.entity is not None for row in rows) else "predictions"


def _times(found: Interval, by: Compared, tolerance: float, note: str) -> Answer:
    verdict = at_most(found, 1 + tolerance)
    text = f"{by.said} × {found.mean:.3g} of the champion's ({1 + tolerance:g} allowed): {verdict}"
    return verdict, text, number(f"{by.name}_ratio", found, "times", note)


def _beside(found: Interval, champion: float, by: Compared, tolerance: float, note: str) -> Answer:
    allowed = tolerance * abs(champion)
    verdict = at_least(found, -allowed) if by.higher else at_most(found, allowed)
    limit = -allowed if by.higher else allowed
    text = f"{by.said} {found.mean:+.4g} {by.unit} against the champion ({limit:+.4g} allowed): {verdict}"
    return verdict, text, number(f"{by.name}_difference", found, by.unit, note)
