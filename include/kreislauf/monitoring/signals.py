"""Leading signals of the live release: what warns while outcomes mature.

They warn, and inform the diagnosis; a loop follows from them alone only where the contract's
``monitoring.retrain_on_warning`` says so. What the store does not know is said to be not known: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.monitoring.shift import (
    ERROR,
    LARGEST,
    feature_shift,
    novelty,
    prediction_shift,
    profiles_of,
    unknown,
)
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.monitoring import Monitoring
from include.kreislauf.statistics.comparisons import quantile_time, share_interval
from include.kreislauf.statistics.verdicts import two_sided
from include.kreislauf.store import rollouts, workers
from include.kreislauf.store import signals as kept
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import LoadedRelease
from include.kreislauf.store.rollouts import Arm, ArmCounts, RolloutState
from include.kreislauf.store.signals import Signal

__all__ = ["UNITS", "Signal", "Watched", "signals_of"]

FIRST = 400
"""So many of a release's first predictions say how its predictions are spread."""
DAY = 86_400.0
UNITS = {
    "novelty": "share of requests", "feature_shift": "population stability index",
    "prediction_shift": "population stability index", "service_errors": "share of requests",
    "service_latency": "seconds, 99th percentile", "service_workers": "workers", "data_freshness": "days",
    "feedback_starved": "days",
}  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """A live release as signals are taken of it.

    Parameters
    ----------
    since: when it went live, in the time of the workflow.
    files: the release, verified; a text: why it could not be.
    """

    row: ReleaseRow
    since: datetime
    files: LoadedRelease | str


def signals_of(
    db: Connection, watched: Watched, contract: Contract, as_of: datetime, now: datetime
) -> list[Signal]:
    """All signals as of a time; the cost is that of the newest window, whatever the log holds.

    Parameters
    ----------
    now: wall clock: the service's workers know no other.
    """
    row, limits = watched.row, contract.monitoring
    newest = kept.newest_requests(db, row.use_case, row.version, watched.since, as_of, LARGEST)
    return [
        novelty(newest, limits.max_novelty, _categories(watched)),
        _feature_shift(watched, newest, limits),
        _prediction_shift(db, watched, newest, as_of, contract),
        *_service(db, row, limits, now),
        _freshness(row, as_of, limits),
        _starved(db, watched, contract, as_of),
    ]


def _categories(watched: Watched) -> dict[str, set[str]]:
    """By feature the categories that the release has learnt from, as far as its files are known."""
    if isinstance(watched.files, str):
        return {}
    return {name: set(seen) for name, seen in watched.files.categorical.items()}


def _feature_shift(watched: Watched, newest: Sequence[Any], limits: Monitoring) -> Signal:
    if isinstance(watched.files, str):
        return unknown("feature_shift", watched.files, limits.max_shift)
    return feature_shift(profiles_of(watched.files), newest, limits.max_shift)


def _prediction_shift(
    db: Connection, watched: Watched, newest: Sequence[Any], as_of: datetime, contract: Contract
) -> Signal:
    row, problem = watched.row, contract.problem
    first = kept.first_requests(db, row.use_case, row.version, watched.since, as_of, FIRST)
    seen = {one.id for one in first}
    later = [one for one in newest if one.id not in seen]
    classes = problem.classes if problem.kind == "multiclass" else ()
    return prediction_shift(first, later, contract.monitoring.max_shift, classes)


def _service(db: Connection, row: ReleaseRow, limits: Monitoring, now: datetime) -> list[Signal]:
    """What the service leaves in the store: counts while a release is tried beside this one, and what workers hold."""
    found = _counts(db, row)
    if found is None:
        why = "the service counts only while another release is tried; Prometheus has the rest"
        levels = [unknown("service_errors", why, limits.max_errors), unknown("service_latency", why)]
    else:
        errors = share_interval(found.errors, found.requests, two_sided(1 - ERROR))
        slow = quantile_time(0.99, found.buckets, two_sided(1 - ERROR))
        said = f"{errors.mean:.2%} of {found.requests} requests failed; {limits.max_errors:.2%} allowed"
        levels = [
            Signal("service_errors", errors.mean, limits.max_errors, errors.low > limits.max_errors, said),
            Signal("service_latency", slow.mean, None, False, f"99 % within {slow.mean * 1000:.3g} ms"),
        ]
    return [*levels, _workers(db, row, now)]


def _counts(db: Connection, row: ReleaseRow) -> ArmCounts | None:
    """What was counted of the release as the baseline of one that is tried; ``None``: nothing."""
    tried = [one for one in rollouts.tried(db, row.use_case) if one.champion == row.version]
    canaries = [one for one in tried if one.state is RolloutState.CANARY]
    found = rollouts.counts_of(db, row.use_case, canaries[0].version).get(Arm.BASELINE) if canaries else None
    return found if found and found.requests else None


def _workers(db: Connection, row: ReleaseRow, now: datetime) -> Signal:
    alive = workers.alive(db, now)
    if not alive:
        return unknown("service_workers", "no process of the prediction service is heard of", 0.0)
    without = [one for one in alive if one.serving.get(row.use_case, {}).get("champion") != row.version]
    why = sorted({one.problems[row.use_case] for one in without if row.use_case in one.problems})
    said = f"{len(without)} of {len(alive)} workers do not answer with release {row.version}"
    return Signal("service_workers", float(len(without)), 0.0, bool(why), "; ".join([said, *why]))


def _freshness(row: ReleaseRow, as_of: datetime, limits: Monitoring) -> Signal:
    days, limit = (as_of - row.as_of).total_seconds() / DAY, limits.max_age_days
    allowed = f"; {limit:g} allowed" if limit is not None else ""
    text = f"the release's data ended {days:.1f} days ago{allowed}"
    return Signal("data_freshness", days, limit, limit is not None and days > limit, text)


def _starved(db: Connection, watched: Watched, contract: Contract, as_of: datetime) -> Signal:
    """Days since anything came back of what the release predicted: an outcome, or a report."""
    row, limit = watched.row, contract.monitoring.starved_days
    names = [one.name for one in contract.business_metrics]
    outcome = kept.newest_feedback(db, row.use_case, row.version, as_of)
    report = kept.newest_report(db, row.use_case, names, row.version, as_of)
    came = [one for one in (outcome, report) if one]
    days = (as_of - max(came, default=watched.since)).total_seconds() / DAY
    what = "the last outcome or report" if came else "the release went live, and nothing has come back"
    allowed = f"; {limit:g} allowed" if limit is not None else ""
    text = f"{days:.1f} days since {what}{allowed}"
    return Signal("feedback_starved", days, limit, limit is not None and days > limit, text)
