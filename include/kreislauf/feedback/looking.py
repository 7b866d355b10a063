"""What a monitoring pass sees of the live release beside its verdicts: signals, and the evidence for a cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.past_loops import why_ask
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.monitoring.challenger import LARGEST, Challenge, challenge, error_change
from include.kreislauf.monitoring.diagnosis import Before, Situation
from include.kreislauf.monitoring.signals import DAY, Watched, signals_of
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.contract import BusinessMetric, Contract
from include.kreislauf.requirements.monitoring import Outcomes
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, observations
from include.kreislauf.store import signals as kept
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.store.signals import Signal


@dataclass(frozen=True)
class Seen:
    """The live release as of a pass, with its signals."""

    watched: Watched
    signals: tuple[Signal, ...]

    @property
    def release(self) -> ReleaseRow:
        """The live release as the store has it."""
        return self.watched.row


def look(
    db: Connection, order: WorkOrder, contract: Contract, settings: Settings | None, now: datetime
) -> Seen | None:
    """The live release and its signals as of the order's time; ``None``: nothing is live.

    Parameters
    ----------
    settings: where the release's files are; ``None``: what needs them is not known.
    """
    row = live.live_release(db, order.use_case)
    if row is None:
        return None
    since = live.promotions_of(db, order.use_case)[-1].as_of
    watched = Watched(row, since, _files(settings, row))
    return Seen(watched, tuple(signals_of(db, watched, contract, order.as_of, now)))


def situation_of(
    db: Connection,
    order: WorkOrder,
    contract: Contract,
    seen: Seen,
    metric: BusinessMetric,
    judged: Judgement,
) -> Situation:
    """Everything the diagnosis of a verdict looks at; the challenger is fitted only where there is a breach."""
    found = Situation(
        judged.verdict, f"{metric.name}: {judged.text}", signals={one.name: one for one in seen.signals},
        ask=why_ask(db, order.use_case, contract.governor, order.as_of),
        warns_alone=contract.monitoring.retrain_on_warning,
    )  # fmt: skip
    if judged.verdict != "breach":
        return found
    watched = seen.watched
    rows = kept.newest_outcomes(db, order.use_case, seen.release.version, order.as_of, LARGEST)
    shown = (seen.release.manifest.get("metrics") or {}).get(contract.performance.metric)
    return replace(
        found,
        promoted_recently=_promoted_recently(order, contract, watched, metric, judged),
        before=_better_before(db, order, metric, judged),
        control=judged.control,
        fall=_fall(metric, judged),
        measures_model=isinstance(metric, Outcomes) and metric.measure != "outcome",
        challenge=_challenge(watched.files, rows, contract),
        error=error_change(shown, rows, contract.problem.task, contract.performance.metric),
    )


def _files(settings: Settings | None, row: ReleaseRow) -> LoadedRelease | str:
    if settings is None:
        return "the release's files are out of reach here"
    try:
        return load_row(settings, row)
    except KreislaufError as error:
        return f"the release's files cannot be believed: {error.text}"


def _challenge(files: LoadedRelease | str, rows: list[Any], contract: Contract) -> Challenge:
    if isinstance(files, str):
        return Challenge(None, False, f"not known: {files}")
    if not any(row.features for row in rows):
        return Challenge(None, False, "not known: no outcome of a request that carried features")
    try:
        champion = files.load_model()
    except KreislaufError as error:
        return Challenge(None, False, f"not known: {error.text}")
    features = {"numeric": files.numeric, "categorical": list(files.categorical)}
    return challenge(champion, features, rows, contract.problem.task, contract.performance.metric)


def _promoted_recently(
    order: WorkOrder, contract: Contract, watched: Watched, metric: BusinessMetric, judged: Judgement
) -> bool:
    """Whether the breach follows the promotion within ``rollback_days`` after the first outcome could be known.

    A metric that is judged by a window of periods can be no sooner in breach than with its first window.
    """
    if metric.test is None:
        return len(judged.by_period) <= metric.window_periods
    maturity = metric.maturity_days if isinstance(metric, Outcomes) else 0.0
    days = (order.as_of - watched.since).total_seconds() / DAY
    return days <= contract.monitoring.rollback_days + maturity


def _better_before(
    db: Connection, order: WorkOrder, metric: BusinessMetric, judged: Judgement
) -> Before | None:
    """The release that a rollback would go back to, if its last verdict was healthy and better than the live one's."""
    version = live.version_before(live.promotions_of(db, order.use_case))
    if version is None or judged.value is None:
        return None
    last = observations.last_verdict(db, order.use_case, metric.name, version, order.as_of)
    if last is None or last.verdict != "healthy" or last.value is None:
        return None
    is_better = last.value > judged.value if metric.direction == "higher" else last.value < judged.value
    return Before(version, last.value) if is_better else None


def _fall(metric: BusinessMetric, judged: Judgement) -> float | None:
    reference = metric.test.reference if metric.test else None
    expected = metric.threshold if reference is None else reference
    if judged.value is None:
        return None
    return expected - judged.value if metric.direction == "higher" else judged.value - expected
