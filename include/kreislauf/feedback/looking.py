"""What a monitoring pass sees of the live release beside its verdicts: signals, and the evidence for a cause."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.past_loops import why_ask
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.monitoring.challenger import LARGEST, Challenge, challenge
from include.kreislauf.monitoring.diagnosis import Before, Situation
from include.kreislauf.monitoring.measuring import measures_error
from include.kreislauf.monitoring.model_error import ErrorChange, error_change
from include.kreislauf.monitoring.signals import DAY, Watched, signals_of
from include.kreislauf.monitoring.told import Told, table_of, told_by_log, told_by_model
from include.kreislauf.monitoring.verdicts import Judgement
from include.kreislauf.requirements.business import PerPrediction
from include.kreislauf.requirements.contract import BusinessMetric, Contract
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, observations
from include.kreislauf.store import signals as kept
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.store.signals import Signal

log = logging.getLogger(__name__)


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
        names=contract.problem.requests == "entity", warns_alone=contract.monitoring.retrain_on_warning,
    )  # fmt: skip
    if judged.verdict != "breach":
        return found
    watched = seen.watched
    rows = kept.newest_outcomes(db, order.use_case, seen.release.version, order.as_of, LARGEST)
    champion = _champion(watched.files, rows)
    return replace(
        found,
        promoted_recently=_promoted_recently(order, contract, watched, metric, judged),
        before=_better_before(db, order, metric, judged),
        control=judged.control,
        fall=_fall(metric, judged),
        measures_model=measures_error(metric),
        challenge=champion.challenge(contract) if isinstance(champion, _Champion) else Challenge(None, False, champion),
        error=_error(seen.release, rows, champion, contract),
    )  # fmt: skip


def _files(settings: Settings | None, row: ReleaseRow) -> LoadedRelease | str:
    if settings is None:
        return "the release's files are out of reach here"
    try:
        return load_row(settings, row)
    except KreislaufError as error:
        return f"the release's files cannot be believed: {error.text}"


@dataclass(frozen=True)
class _Champion:
    """The champion as a model that was loaded, and the newest outcomes of requests that carried features."""

    model: Any
    features: Mapping[str, list[str]]
    rows: list[Any]

    def challenge(self, contract: Contract) -> Challenge:
        """Whether a fresh model of its kind would do better."""
        return challenge(self.model, self.features, self.rows, contract.problem, contract.performance.metric)

    def told(self, problem: Problem) -> Told:
        """What it says of its rows."""
        table, outcomes = table_of(problem, self.features, self.rows)
        return Told(told_by_model(problem, self.model, table), outcomes)


def _champion(files: LoadedRelease | str, rows: list[Any]) -> _Champion | str:
    """A text: why it is not known what the champion would say."""
    if isinstance(files, str):
        return f"not known: {files}"
    if not any(row.features for row in rows):
        return "not known: no outcome of a request that carried features"
    try:
        model = files.load_model()
    except KreislaufError as error:
        return f"not known: {error.text}"
    features = {"numeric": files.numeric, "categorical": list(files.categorical)}
    return _Champion(model, features, rows)


def _error(
    release: ReleaseRow, rows: list[Any], champion: _Champion | str, contract: Contract
) -> ErrorChange | None:
    """The model's error by what the log says; of more than two classes, by what the model says again to the same rows."""
    metric = contract.performance.metric
    told = told_by_log(contract.problem, rows)
    if told is None and isinstance(champion, _Champion):
        try:
            told = champion.told(contract.problem)
        except Exception as error:  # noqa: BLE001 - whatever a pipeline does with rows it never saw, the pass goes on
            log.warning("%s: the champion's error is not known: %s", contract.name, error)
    return error_change((release.manifest.get("metrics") or {}).get(metric), told, metric)


def _promoted_recently(
    order: WorkOrder, contract: Contract, watched: Watched, metric: BusinessMetric, judged: Judgement
) -> bool:
    """Whether the breach follows the promotion within ``rollback_days`` after the first outcome could be known.

    A metric that is judged by a window of periods can be no sooner in breach than with its first window.
    """
    if metric.test is None:
        return len(judged.by_period) <= metric.window_periods
    maturity = metric.maturity_days if isinstance(metric, PerPrediction) else 0.0
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
