"""The verdict on one business metric of the live release, and what its test remembers for the next pass.

A metric with a ``test`` is judged by every observation since the release went live, each once, with a false-alarm rate
that holds however often one looks. One without is judged by its newest periods, see
:mod:`include.kreislauf.monitoring.verdicts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.kreislauf.errors import EvaluationError, QueryError
from include.kreislauf.evaluation.own_metric import code_of
from include.kreislauf.monitoring.control import live_minus_control
from include.kreislauf.monitoring.measuring import measured, takes_few_values
from include.kreislauf.monitoring.memory import Memory
from include.kreislauf.monitoring.observing import Bookmark, Observation, read_on
from include.kreislauf.monitoring.plausibility import Variety, doubts
from include.kreislauf.monitoring.queries import Observe
from include.kreislauf.monitoring.tested import Tested, sequential_test, watch_of
from include.kreislauf.monitoring.verdicts import Judgement, judge_reported, judge_uplift, many
from include.kreislauf.monitoring.wording import sentence
from include.kreislauf.requirements.business import OwnMetric, PerPrediction
from include.kreislauf.requirements.contract import BusinessMetric, PortfolioUplift, Reported, canonical_json
from include.kreislauf.requirements.monitoring import Monitoring, Outcomes, Queried
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.store import monitor_states, observations
from include.kreislauf.store.arrivals import OutcomesOf, ReportsOf, contradicted
from include.kreislauf.store.monitor_states import MonitorState
from include.kreislauf.store.rollouts import Arm

YOUNG = 8
"""So many periods are read beyond the window at first, because the newest are not mature yet."""
MOST = 100
"""Where so many periods show no window of mature ones, all are read."""
RULES = "2"
"""Raised when the tests change: what they remember is of no use to others."""
ANSWERED = (Arm.CHAMPION.value, Arm.BASELINE.value, Arm.CANARY.value)
"""What a release answered for itself, also before it went live."""


@dataclass(frozen=True)
class Pass:
    """What one look at a release is about.

    Parameters
    ----------
    since: when the release went live.
    problem: what is predicted, by the contract.
    before: the release before, whose answers to a share of the requests are the control; ``None``: there is none.
    observe: how other systems are asked; ``None``: they cannot be asked here.
    folder: where the use case's own code is; ``None``: it cannot be reached here.
    """

    use_case: str
    release: int
    since: datetime
    as_of: datetime
    problem: Problem
    limits: Monitoring
    observe: Observe | None = None
    before: int | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Judged:
    """A judgement, and the memory to write down with it.

    Parameters
    ----------
    before: the memory that was read.
    memory: ``None``: it stays as it is.
    control: likewise, that of the control.
    """

    judgement: Judgement
    before: MonitorState | None = None
    memory: MonitorState | None = None
    control: Judged | None = None

    @property
    def memories(self) -> list[tuple[MonitorState, MonitorState | None]]:
        """What is to be written down, with what was read before."""
        own = [(self.memory, self.before)] if self.memory else []
        return own + (self.control.memories if self.control else [])


def judge(db: Connection, metric: BusinessMetric, look: Pass) -> Judged:
    """The verdict on a metric; reads only."""
    if isinstance(metric, PortfolioUplift):
        return Judged(_judge_uplift(db, metric, look))
    if isinstance(metric, Reported) and metric.test is None:
        found = observations.reported(db, look.use_case, metric.name, look.as_of)
        return Judged(judge_reported(metric, [row for row in found if row.release == look.release]))
    try:
        return _judge_by_test(db, metric, look)
    except (QueryError, EvaluationError) as error:
        text = f"the metric cannot be had: {error.text}"
        return Judged(Judgement("inconclusive", None, None, None, {}, text))


def _judge_uplift(db: Connection, metric: PortfolioUplift, look: Pass) -> Judgement:
    """By the newest periods: as many as it takes to have one more mature one than the window; all, if many are young."""
    periods: int | None = 2 * metric.window_periods + YOUNG
    while True:
        rows = observations.observed(db, look.use_case, look.as_of, release=look.release, periods=periods)
        judgement = judge_uplift(metric, rows)
        is_all = periods is None or len({row.period for row in rows}) < periods
        if is_all or len(judgement.by_period) > metric.window_periods:
            return judgement
        periods = periods * 2 if periods and periods <= MOST else None


def _judge_by_test(db: Connection, metric: Tested, look: Pass) -> Judged:
    before, memory = _remembered(db, metric, look, Arm.CHAMPION)
    new, mark = _new_observations(db, metric, look, memory.mark)
    memory = take(metric, look.problem, replace(memory, mark=mark), new, look.folder)
    bad = contradicted(db, [one.id for one in memory.intake.newest], look.as_of)
    judgement = conclude(metric, look.problem, memory, look.limits, look.as_of, contradicted=bad)
    found = Judged(judgement, before, _to_remember(metric, look, Arm.CHAMPION, before, memory))
    return _beside_control(db, metric, look, found, memory)


def _beside_control(db: Connection, metric: Tested, look: Pass, found: Judged, live: Memory) -> Judged:
    """With the difference from the release before, where that answers a share of the requests."""
    if not isinstance(metric, PerPrediction) or look.limits.control is None or look.before is None:
        return found
    before, memory = _remembered(db, metric, look, Arm.CONTROL)
    maturity = timedelta(days=metric.maturity_days)
    source = OutcomesOf(look.use_case, look.before, (Arm.CONTROL.value,), maturity, since=look.since)
    new, mark = read_on(db, source, memory.mark, look.as_of)
    memory = take(metric, look.problem, replace(memory, mark=mark), new, look.folder)
    judgement = replace(found.judgement, control=live_minus_control(metric, live, memory))
    beside = Judged(judgement, before, _to_remember(metric, look, Arm.CONTROL, before, memory))
    return replace(found, judgement=judgement, control=beside)


def _remembered(db: Connection, metric: Tested, look: Pass, arm: Arm) -> tuple[MonitorState | None, Memory]:
    """What the store has, and the memory to go on with: a new one where that is another test's, or a later one's."""
    before = monitor_states.find(db, look.use_case, metric.name, look.release, arm.value)
    if before and before.test == digest(metric, look.problem, look.folder) and before.as_of <= look.as_of:
        return before, Memory.from_dict(before.body)
    return before, Memory(began=look.since)


def _to_remember(
    metric: Tested, look: Pass, arm: Arm, before: MonitorState | None, memory: Memory
) -> MonitorState | None:
    """``None``: a look at the past leaves nothing behind."""
    if before and before.as_of > look.as_of:
        return None
    key = (look.use_case, metric.name, look.release, arm.value)
    test = digest(metric, look.problem, look.folder)
    return MonitorState(*key, test, look.as_of, memory.to_dict())


def take(
    metric: Tested, problem: Problem, memory: Memory, new: Sequence[Observation], folder: Path | None = None
) -> Memory:
    """What is remembered after more observations, in the order in which they became known.

    Raises
    ------
    EvaluationError: the use case's own metric cannot be had, or fails.
    """
    found = measured(metric, problem, new, folder) if isinstance(metric, PerPrediction) else new
    low, high = sequential_test(metric).bounds
    plausible = [isfinite(one.value) and low <= one.value <= high for one in found]
    good = [one for one, is_good in zip(found, plausible, strict=True) if is_good]
    watch, scale = watch_of(metric)
    days = [(one.known_at - memory.began) / timedelta(days=1) for one in good]
    return replace(
        memory.counted(good),
        intake=memory.intake.after(found, plausible),
        watch=watch.update(memory.watch, scale.to_unit([one.value for one in good]), days),
        newest_at=max((one.known_at for one in found), default=memory.newest_at),
        backlog=memory.backlog.after(good),
    )


def conclude(
    metric: Tested, problem: Problem, memory: Memory, limits: Monitoring, as_of: datetime, *, contradicted: int = 0
) -> Judgement:  # fmt: skip
    """The verdict on what is remembered.

    Parameters
    ----------
    contradicted: how many of the newest observations another one contradicts.
    """
    watch, scale = watch_of(metric)
    opinion = watch.opinion(memory.watch)
    why_not = doubts(
        memory.intake, limits, sequential_test(metric).bounds, contradicted=contradicted,
        vary=_how_values_vary(metric, problem),
    )  # fmt: skip
    why_not += _starved(metric, memory, limits, as_of)
    shown = scale.interval(opinion.shown) if memory.watch.level.observations else None
    text = sentence(metric.threshold, metric.direction, metric.unit, watch, memory.watch, opinion, scale)
    if why_not:
        text = f"{'; '.join(why_not)}; {text}"
    if heap := memory.backlog.words():
        text = f"{text}; {heap}"
    if memory.intake.implausible:
        text = f"{text}; {many(memory.intake.implausible, 'value')} left out"
    value, low, high = (shown.mean, shown.low, shown.high) if shown else (None, None, None)
    return Judgement(
        "inconclusive" if why_not else opinion.verdict, value, low, high, memory.by_day(), text,
        evidence=opinion.evidence, observations=memory.watch.level.observations,
    )  # fmt: skip


def digest(metric: Tested, problem: Problem, folder: Path | None = None) -> str:
    """Of what decides over a metric's observations and tests; with another one, they begin anew."""
    left_out: dict[str, Any] = {"unit": True, "name": True, "test": {"learn"}}
    if isinstance(metric, PerPrediction):  # what only the lab looks at
        left_out |= {"gate_threshold": True, "level": True}
    body = metric.model_dump(mode="json", exclude=left_out)
    if isinstance(metric, PerPrediction) and problem.classes:
        body |= {"kind_of_problem": problem.kind, "classes": list(problem.classes)}
    if isinstance(metric, OwnMetric):
        body |= {"name": metric.name, "code": code_of(folder)}
    return sha256(canonical_json({**body, "rules": RULES}).encode()).hexdigest()


def _new_observations(
    db: Connection, metric: Tested, look: Pass, mark: Bookmark | None
) -> tuple[list[Observation], Bookmark]:
    if isinstance(metric, Queried):
        if look.observe is None:
            raise QueryError("other systems cannot be asked here", where=metric.name)
        since = mark.as_of if mark else look.since
        found = look.observe(metric, since, look.as_of)
        return [Observation(at, at.isoformat(), value) for at, value in found], Bookmark(look.as_of)
    if isinstance(metric, PerPrediction):
        maturity = timedelta(days=metric.maturity_days)
        return read_on(db, OutcomesOf(look.use_case, look.release, ANSWERED, maturity), mark, look.as_of)
    return read_on(db, ReportsOf(look.use_case, metric.name, look.release), mark, look.as_of)


def _how_values_vary(metric: Tested, problem: Problem) -> Variety:
    if takes_few_values(metric, problem):
        return "few values"
    is_error = isinstance(metric, Outcomes) and metric.measure.endswith("_error")
    return "always" if is_error else "between the bounds"


def _starved(metric: Tested, memory: Memory, limits: Monitoring, as_of: datetime) -> list[str]:
    if limits.starved_days is None:
        return []
    maturity = timedelta(days=metric.maturity_days if isinstance(metric, PerPrediction) else 0)
    last = memory.newest_at or memory.began + maturity
    days = (as_of - last) / timedelta(days=1)
    if days <= limits.starved_days:
        return []
    return [f"feedback starved: nothing new for {days:.1f} days, {limits.starved_days:g} allowed"]
