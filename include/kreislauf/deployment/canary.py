"""The canary: a release that answers a share of the requests, compared with an equally large share of the champion's.

It is looked at when there are few requests, and again whenever they have doubled. Each look has its part of the chance
of error (:func:`~include.kreislauf.statistics.comparisons.confidence_of`), so that looking often condemns nothing and
passes nothing by luck. Before ``min_requests`` a look can only fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.kreislauf.deployment.business import judge_business
from include.kreislauf.deployment.found import Found, number
from include.kreislauf.handovers import Evidence
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.delivery import Canary
from include.kreislauf.statistics.comparisons import (
    confidence_of,
    look_of,
    mean_time,
    quantile_time,
    ratio,
    share_interval,
)
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.statistics.verdicts import Verdict, at_most, together, two_sided
from include.kreislauf.store import rollouts
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout

FIRST_LOOK = 25
"""Requests, or half as many, at which a canary is looked at first: enough to see that everything fails."""
QUESTIONS = 4
"""Errors, mean time, 99th percentile, business: each look's chance of error is shared by them."""
SO_FAR = "canary_so_far"


@dataclass(frozen=True)
class _Answer:
    verdict: Verdict
    text: str
    number: Evidence


def judge_canary(
    db: Connection,
    rollout: Rollout,
    contract: Contract,
    asked: Canary,
    now: datetime,
    folder: Path | None = None,
) -> Found:
    """Whether the service levels, and the business where the contract asks for it, are as good as the champion's.

    Parameters
    ----------
    folder: that of the use case, see :func:`~include.kreislauf.evaluation.business.measure_of`.
    """
    counts = rollouts.counts_of(db, rollout.use_case, rollout.version)
    canary, baseline = (counts.get(arm, ArmCounts(arm)) for arm in (Arm.CANARY, Arm.BASELINE))
    seconds = (now - rollout.state_at).total_seconds()
    over = seconds >= asked.max_hours * 3600
    before = rollout.evidence.get(SO_FAR, {})
    last = int(before.get("look", -1))
    look = look_of(canary.requests, _first_look(asked.min_requests))
    look = max(look, last + 1) if over and not before.get("then") else look
    text = f"{canary.requests} requests to the canary, {baseline.requests} to the baseline"
    if look <= last:
        return Found(Verdict.INCONCLUSIVE, f"{text}, too few for the next look", final=False, look=last)
    level = two_sided(1 - (1 - confidence_of(look, asked.confidence)) / QUESTIONS)
    answers = [*_service_levels(canary, baseline, asked, level)]
    if asked.business:
        answers.append(_Answer(*judge_business(db, rollout, contract, level, now, folder)))
    found = _conclude(answers, text, min(canary.requests, baseline.requests) >= asked.min_requests, look)
    return found.after(seconds) if over and not found.final else found


def _first_look(min_requests: int) -> float:
    """So that one of the looks comes at ``min_requests``."""
    first = float(min_requests)
    while first >= 2 * FIRST_LOOK:
        first /= 2
    return first


def _service_levels(canary: ArmCounts, baseline: ArmCounts, asked: Canary, level: float) -> Iterable[_Answer]:
    errors = share_interval(canary.errors, canary.requests, level)
    other = share_interval(baseline.errors, baseline.requests, level)
    note = f"the champion's: {other.mean:.2%}"
    yield _within("errors", errors, asked.max_errors, "share of requests", f"{errors.mean:.2%} errors", note)
    slow = [
        ("mean_slowdown", "mean time", [mean_time(one.seconds, one.buckets, level) for one in (canary, baseline)]),
        ("p99_slowdown", "99th percentile", [quantile_time(0.99, one.buckets, level) for one in (canary, baseline)]),
    ]  # fmt: skip
    for name, said, (mine, theirs) in slow:
        unknown = not (canary.requests and baseline.requests)
        times = Interval(0.0, float("nan"), float("inf"), level) if unknown else ratio(mine, theirs)
        note = f"{mine.mean * 1000:.3g} ms, the champion's {theirs.mean * 1000:.3g} ms"
        yield _within(name, times, asked.max_slowdown, "times", f"{said} × {times.mean:.3g}", note)


def _within(name: str, found: Interval, limit: float, unit: str, said: str, note: str) -> _Answer:
    verdict = at_most(found, limit)
    return _Answer(verdict, f"{said} ({limit:g} allowed): {verdict}", number(name, found, unit, note))


def _conclude(answers: list[_Answer], text: str, enough: bool, look: int) -> Found:
    verdict = together(one.verdict for one in answers)
    said = "; ".join([text, *(one.text for one in answers)])
    numbers = tuple(one.number for one in answers)
    if verdict is Verdict.FAIL or (verdict is Verdict.PASS and enough):
        return Found(verdict, said, numbers, look=look)
    return Found(Verdict.INCONCLUSIVE, said, numbers, final=False, look=look)
