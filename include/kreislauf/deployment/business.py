"""Whether a canary serves the business as well as the champion: by what users report, else by the error on outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.deployment.found import number
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
"""Fewer entities with outcomes say nothing about how much they differ."""


def judge_business(db: Connection, rollout: Rollout, contract: Contract, level: float) -> Answer:
    """The first of these that is known: a reported metric, the error on the same rows, the error of the two arms.

    The release must not be worse by more than the contract's ``performance.champion_tolerance`` of the champion's
    error, or of the champion's value of the metric.
    """
    tolerance = contract.performance.champion_tolerance
    for metric in contract.business_metrics:
        if isinstance(metric, Reported) and (found := _reported(db, rollout, metric, tolerance, level)):
            return found
    found = _same_rows(db, rollout, tolerance, level) or _arms(db, rollout, tolerance, level)
    text = "no reports and no outcomes yet"
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


def _same_rows(db: Connection, rollout: Rollout, tolerance: float, level: float) -> Answer | None:
    """What the release computed in the shadow of the champion, on the same rows: the sharpest comparison."""
    losses: dict[Any, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for row in comparisons.shadow_rows(db, rollout.use_case, rollout.version):
        if None not in (row.outcome, row.answered, row.shadow):
            own, other = losses[row.entity]
            own.append(abs(row.shadow - row.outcome))
            other.append(abs(row.answered - row.outcome))
    if len(losses) < MIN_ENTITIES or not any(sum(other) for _, other in losses.values()):
        return None
    found = block_bootstrap_gain(losses, lambda own, other: own / other if other else 1.0, level)
    return _error(found, tolerance, f"{len(losses)} entities, on the same rows")


def _arms(db: Connection, rollout: Rollout, tolerance: float, level: float) -> Answer | None:
    arms = ((rollout.version, Arm.CANARY), (rollout.champion or 0, Arm.BASELINE))
    errors = [
        _by_entity(comparisons.arm_outcomes(db, rollout.use_case, version, arm, rollout.state_at))
        for version, arm in arms
    ]
    if min(map(len, errors)) < MIN_ENTITIES:
        return None
    mine, theirs = (block_bootstrap_mean(one, level) for one in errors)
    return _error(ratio(mine, theirs), tolerance, f"{len(errors[0])} and {len(errors[1])} entities")


def _by_entity(rows: Sequence[tuple[str, float]]) -> Mapping[str, list[float]]:
    """Errors of one entity share its shocks: they are drawn together."""
    blocks: dict[str, list[float]] = defaultdict(list)
    for name, error in rows:
        blocks[name].append(error)
    return blocks


def _error(found: Interval, tolerance: float, note: str) -> Answer:
    verdict = at_most(found, 1 + tolerance)
    text = f"absolute error × {found.mean:.3g} of the champion's ({1 + tolerance:g} allowed): {verdict}"
    return verdict, text, number("error_ratio", found, "times", note)
