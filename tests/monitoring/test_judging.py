"""The verdict on a metric with a test: from the log to words, and never healthy where its input cannot be believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle
from math import inf, nan
from typing import Any

import pytest
from sqlalchemy import update

from include.kreislauf.errors import QueryError
from include.kreislauf.monitoring.judging import Judged, Pass, conclude, digest, judge, take
from include.kreislauf.monitoring.memory import DAYS, Memory
from include.kreislauf.monitoring.observing import Observation
from include.kreislauf.monitoring.plausibility import EQUAL, WINDOW
from include.kreislauf.monitoring.verdicts import Judgement, judge_uplift
from include.kreislauf.requirements.contract import PortfolioUplift, Reported
from include.kreislauf.requirements.monitoring import (
    Control,
    Monitoring,
    Outcomes,
    PromQuery,
    Queried,
    SequentialTest,
)
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.store import monitor_states, observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import LoggedOutcome, stamp
from include.kreislauf.store.log_writer import write_outcomes
from include.kreislauf.store.monitor_states import MonitorState, MovedOnError
from include.kreislauf.store.schema import outcomes
from tests.support.examples import NOW, USE_CASE, prediction, report
from tests.support.problems import NUMBERS

TEST = SequentialTest(bounds=(0.0, 1.0), reference=0.8)
RATE = Outcomes(kind="outcomes", name="rate", measure="outcome", threshold=0.7, test=TEST)
ERROR = Outcomes(
    kind="outcomes", name="error", measure="absolute_error", direction="lower", threshold=0.3,
    test=SequentialTest(bounds=(0.0, 1.0), reference=0.2),
)  # fmt: skip
HIT = Outcomes(kind="outcomes", name="hits", measure="hit", tolerance=0.1, threshold=0.7, test=TEST)
TOLD = Reported(
    kind="reported", name="development_productivity", threshold=90.0, window_periods=1,
    test=SequentialTest(bounds=(0.0, 200.0), reference=100.0),
)  # fmt: skip
ASKED = Queried(
    kind="query", name="asked", threshold=0.7, test=TEST,
    source=PromQuery(engine="promql", connection="prometheus", query="up"),
)  # fmt: skip
LIMITS = Monitoring()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GOOD = [1.0, 1.0, 0.0, 1.0, 1.0]
BAD = [1.0, 0.0, 0.0, 1.0, 0.0]


@dataclass
class Log:
    """A log that grows by one observation an hour, and the passes over it, as monitoring makes them."""

    store: Store
    metric: Any = RATE
    problem: Problem = NUMBERS
    hours: int = 0
    limits: Monitoring = LIMITS
    observe: Any = None
    said: list[Judgement] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return NOW + self.hours * HOUR

    def comes(self, *values: float, client: str | None = None, predicted: float | None = 0.5) -> None:
        """An outcome an hour."""
        predicted_rows, came = [], []
        for value in values:
            self.hours += 1
            row = prediction(as_of=self.now, entity=f"e{self.hours}", value=predicted)
            at = stamp(self.now)
            predicted_rows.append(row)
            came.append(LoggedOutcome(USE_CASE, row["id"], value, at, at, client))
        with self.store.write() as db:
            observations.save_predictions(db, predicted_rows)
            write_outcomes(db, came)

    def judged(self, **fields: Any) -> Judged:
        """What a pass says now; nothing is written."""
        look = Pass(USE_CASE, 1, NOW, self.now, self.problem, self.limits, self.observe)
        with self.store.read() as db:
            return judge(db, self.metric, replace(look, **fields))

    def passes(self, **fields: Any) -> Judgement:
        """A pass, with its memory written down."""
        found = self.judged(**fields)
        if found.memory:
            with self.store.write() as db:
                monitor_states.save(db, found.memory, found.before)
        self.said.append(found.judgement)
        return found.judgement


@pytest.fixture
def log(store: Store) -> Log:
    return Log(store)


def some(values: Sequence[float], number: int) -> list[float]:
    turn = cycle(values)
    return [next(turn) for _ in range(number)]


# From the log to words


def test_of_nothing_nothing_is_said(log: Log) -> None:
    said = log.passes()
    assert (said.verdict, said.value, said.low, said.observations) == ("inconclusive", None, None, 0)
    assert said.text == "no observations yet"


def test_few_outcomes_are_inconclusive_with_their_numbers(log: Log) -> None:
    log.comes(*some(GOOD, 40))
    said = log.passes()
    assert said.verdict == "inconclusive"
    assert said.text.startswith("40 observations, 0.8 (0.")
    assert "threshold 0.7 (share): not sure yet" in said.text


def test_many_good_outcomes_are_healthy(log: Log) -> None:
    log.comes(*some(GOOD, 800))
    said = log.passes()
    assert (said.verdict, said.value, said.observations) == ("healthy", pytest.approx(0.8), 800)
    assert said.low is not None
    assert said.low >= 0.7
    assert said.text.endswith("threshold 0.7 (share): surely on the right side")
    assert said.evidence is not None
    assert said.evidence < 10


def test_a_fall_is_a_breach_and_its_value_is_the_level_since_it_set_in(log: Log) -> None:
    log.comes(*some(GOOD, 500))
    log.passes()
    log.comes(*some(BAD, 300))
    said = log.passes()
    assert said.verdict == "breach"
    assert said.value == pytest.approx(0.4, abs=0.06)
    assert said.text.startswith("has fallen from 0.8, alarm on day ")
    assert "since it set in: " in said.text
    assert said.evidence is not None
    assert said.evidence >= 1 / TEST.false_alarms


def test_each_outcome_counts_once_whatever_is_read_again(log: Log) -> None:
    for _ in range(5):
        log.comes(*some(GOOD, 10))
        log.passes()
        log.passes()
    assert log.said[-1].observations == 50


def test_what_came_late_counts_in_a_later_pass(log: Log) -> None:
    row = prediction(as_of=NOW, entity="late")
    with log.store.write() as db:
        observations.save_predictions(db, [row])
    log.comes(*some(GOOD, 30))
    log.passes()
    with log.store.write() as db:
        observations.save_outcome(db, row["id"], 0.0, NOW + HOUR, log.now)
    assert log.passes().observations == 31


def test_a_look_at_the_past_sees_the_past_and_leaves_nothing_behind(log: Log) -> None:
    log.comes(*some(GOOD, 60))
    log.passes()
    past = log.judged(as_of=NOW + 20 * HOUR)
    assert (past.judgement.observations, past.memory) == (20, None)
    log.comes(*some(GOOD, 5))
    assert log.passes().observations == 65


def test_with_another_test_it_begins_anew_and_with_other_words_it_does_not(log: Log) -> None:
    log.comes(*some(GOOD, 60))
    log.passes()
    before = log.judged().before
    assert before is not None
    renamed = RATE.model_copy(update={"unit": "of orders"})
    stricter = RATE.model_copy(update={"threshold": 0.75})
    for_the_ledger = RATE.model_copy(update={"test": RATE.test.model_copy(update={"learn": 77})})
    assert (
        digest(renamed, NUMBERS)
        == digest(for_the_ledger, NUMBERS)
        == before.test
        != digest(stricter, NUMBERS)
    )
    log.metric = stricter
    assert log.passes().observations == 60


@pytest.mark.parametrize(("metric", "expected"), [(RATE, 0.8), (ERROR, 0.3), (HIT, 0.0)])
def test_what_is_measured(log: Log, metric: Outcomes, expected: float) -> None:
    log.metric = metric
    log.comes(0.8, 0.8, predicted=0.5)
    assert log.passes().value == pytest.approx(expected)


def test_a_hit_lies_within_the_tolerance(log: Log) -> None:
    log.metric = HIT
    log.comes(0.5, 0.59, 0.42, 0.61, predicted=0.5)
    assert log.passes().value == pytest.approx(0.75)


@pytest.mark.parametrize(("metric", "counted"), [(RATE, 2), (ERROR, 0), (HIT, 0)])
def test_where_nothing_was_predicted_only_the_outcome_itself_counts(
    log: Log, metric: Outcomes, counted: int
) -> None:
    log.metric = metric
    log.comes(1.0, 0.0, predicted=None)
    assert log.passes().observations == counted


def test_of_an_error_less_is_better(log: Log) -> None:
    log.metric = ERROR
    log.comes(*some([0.6, 0.7, 0.65, 0.8], 400))
    assert log.passes().verdict == "healthy"
    log.comes(*some([1.0, 0.95, 0.9, 0.85], 400))
    said = log.passes()
    assert (said.verdict, said.text[:20]) == ("breach", "has risen from 0.2, ")
    assert said.value == pytest.approx(0.425, abs=0.02)


def test_reports_are_observations(log: Log) -> None:
    log.metric = TOLD
    with log.store.write() as db:
        for number in range(400):
            value = 60.0 + number % 30
            row = report(id=str(number), value=value, observed_at=NOW + HOUR, release=1, metric=TOLD.name)
            observations.save_report(db, row)
    log.hours = 500
    said = log.passes()
    assert (said.verdict, said.observations) == ("breach", 400)
    assert said.value == pytest.approx(74.5, abs=0.5)


def test_what_other_systems_know_is_asked_for_piece_by_piece(log: Log) -> None:
    asked: list[tuple[datetime, datetime]] = []

    def observe(metric: Queried, since: datetime, until: datetime) -> list[tuple[datetime, float]]:
        assert metric is ASKED
        asked.append((since, until))
        hours = int((until - since) / HOUR)
        return [(since + (number + 1) * HOUR, GOOD[number % 5]) for number in range(hours)]

    log.metric, log.observe = ASKED, observe
    log.hours = 300
    log.passes()
    log.hours = 800
    assert log.passes().verdict == "healthy"
    assert asked == [(NOW, NOW + 300 * HOUR), (NOW + 300 * HOUR, NOW + 800 * HOUR)]


def test_what_is_remembered_does_not_grow_with_the_history() -> None:
    sizes = []
    for number in (2_000, 20_000):
        new = [Observation(NOW + place * HOUR, str(place), GOOD[place % 5]) for place in range(number)]
        memory = take(RATE, NUMBERS, Memory(began=NOW), new)
        sizes.append(len(json.dumps(memory.to_dict())))
        assert len(memory.days) <= DAYS
    assert sizes[1] < 1.2 * sizes[0]


# Bad input is never healthy


def doubted(log: Log) -> str:
    """The text of a verdict that would be healthy if its input could be believed."""
    said = log.passes()
    assert said.verdict == "inconclusive"
    return said.text


def test_outcomes_that_stop_to_come_are_inconclusive(log: Log) -> None:
    log.limits = Monitoring(starved_days=3)
    log.comes(*some(GOOD, 800))
    assert log.passes().verdict == "healthy"
    log.hours += 73
    assert doubted(log).startswith("feedback starved: nothing new for 3.0 days, 3 allowed; 800 observations")


def test_outcomes_that_never_come_are_inconclusive_after_their_maturity(log: Log) -> None:
    log.limits = Monitoring(starved_days=3)
    log.metric = RATE.model_copy(update={"maturity_days": 10.0})
    log.hours = 13 * 24
    assert log.passes().text == "no observations yet"
    log.hours += 1
    assert "feedback starved" in doubted(log)


@pytest.mark.parametrize("value", [1.5, -0.01])
def test_values_out_of_bounds_never_count_and_too_many_are_inconclusive(log: Log, value: float) -> None:
    log.comes(*some(GOOD, 800))
    log.comes(*[value] * 10)
    said = log.passes()
    assert (said.verdict, said.observations, said.value) == ("healthy", 800, pytest.approx(0.8))
    assert said.text.endswith("; 10 values left out")
    log.comes(value)
    assert "11 of the newest 200 observations lie outside of 0 to 1: 5% allowed" in doubted(log)
    log.comes(*some(GOOD, WINDOW))
    assert log.passes().verdict == "healthy"


def test_what_is_no_number_never_counts(log: Log) -> None:
    new = [(NOW + number * HOUR, value) for number, value in enumerate([*some(GOOD, 800), nan, -inf, 1.0], 1)]
    log.metric, log.observe, log.hours = ASKED, lambda *_: new, 900
    said = log.passes()
    assert (said.verdict, said.observations) == ("healthy", 801)
    assert said.text.endswith("; 2 values left out")


def test_values_that_are_all_the_same_are_suspicious(log: Log) -> None:
    log.comes(*some([0.8, 0.9, 0.85], 801), *[0.9] * (EQUAL - 1))
    assert log.passes().verdict == "healthy"
    log.comes(0.9)
    assert f"the newest {EQUAL} observations are all 0.9" in doubted(log)
    log.comes(0.8)
    assert log.passes().verdict == "healthy"


def test_ones_and_noughts_may_all_be_the_same_but_errors_may_not(log: Log) -> None:
    log.comes(*[1.0] * 500, predicted=1.0)
    assert log.passes().verdict == "healthy"
    log.metric = ERROR
    assert "observations are all 0" in doubted(log)


def test_one_client_that_sends_most_of_them_is_suspicious(log: Log) -> None:
    for team in range(100):
        log.comes(*GOOD[:4], client=f"team{team % 4}")
    for team in range(WINDOW // 5):
        log.comes(1.0, client=f"team{team % 4}")
        log.comes(*[1.0] * 4, client="mallory")
    assert "client mallory sent 80% of the newest 200 observations: 50% allowed" in doubted(log)
    log.limits = Monitoring(max_client_share=0.8)
    assert log.passes().verdict == "healthy"


def test_the_only_client_may_send_all_of_them(log: Log) -> None:
    log.comes(*some(GOOD, 800), client="team")
    assert log.passes().verdict == "healthy"
    log.comes(0.0)
    assert "client team sent 100% of the newest 200 observations" in doubted(log)


def test_outcomes_that_contradict_each_other_are_counted(log: Log) -> None:
    log.comes(*some(GOOD, 800))
    with log.store.write() as db:
        newest = [one.id for one in _window(log)]
        for number, one in enumerate(newest[-11:]):
            assert observations.save_outcome(db, one, 0.33, log.now, log.now) == "conflict"
            if number == 9:
                assert log.judged().judgement.verdict == "healthy"
    assert "11 of the newest 200 outcomes are contradicted by another one: 5% allowed" in doubted(log)


def _window(log: Log) -> tuple[Any, ...]:
    memory = log.judged().memory
    assert memory is not None
    return Memory.from_dict(memory.body).intake.newest


def test_another_system_that_cannot_be_asked_is_inconclusive_and_nothing_is_missed(log: Log) -> None:
    def good(_: Queried, since: datetime, until: datetime) -> list[tuple[datetime, float]]:
        return [(NOW + n * HOUR, GOOD[n % 5]) for n in range(1, 2000) if since < NOW + n * HOUR <= until]

    def down(*_: Any) -> list[tuple[datetime, float]]:
        raise QueryError("no answer", where="asked (connection prometheus)")

    log.metric, log.observe, log.hours = ASKED, good, 800
    assert log.passes().verdict == "healthy"
    log.hours, log.observe = 900, down
    assert doubted(log) == "the metric cannot be had: asked (connection prometheus): no answer"
    log.observe = None
    assert "other systems cannot be asked here" in doubted(log)
    log.hours, log.observe = 1000, good
    assert log.passes().observations == 1000


def test_doubts_hide_a_breach_as_well(log: Log) -> None:
    log.limits = Monitoring(starved_days=1)
    log.comes(*some(BAD, 300))
    assert log.passes().verdict == "breach"
    log.hours += 30
    assert "has fallen from 0.8" in doubted(log)


# What is remembered


def test_two_passes_at_the_same_time_do_not_both_write(log: Log) -> None:
    for _ in range(2):  # the first pass ever, and one that goes on
        log.comes(*some(GOOD, 10))
        one, other = log.judged(), log.judged()
        assert one.memory is not None
        assert other.memory is not None
        with log.store.write() as db:
            monitor_states.save(db, one.memory, one.before)
        with pytest.raises(MovedOnError, match="judge again"), log.store.write() as db:
            monitor_states.save(db, other.memory, other.before)
    assert log.passes().observations == 20


def test_states_come_back_as_they_were(store: Store) -> None:
    state = MonitorState(USE_CASE, "rate", 1, "champion", "0" * 64, NOW, {"a": [1, None, 0.1 + 0.2]})
    with store.write() as db:
        monitor_states.save(db, state, None)
        assert monitor_states.find(db, USE_CASE, "rate", 1, "champion") == state
        assert monitor_states.find(db, USE_CASE, "rate", 2, "champion") is None


Cut = Callable[[Sequence[Observation]], list[Sequence[Observation]]]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_the_verdict_does_not_depend_on_how_passes_are_cut(size: int) -> None:
    values = [*some(GOOD, 500), *some([2.0, 1.0, 0.0], 20), *some(BAD, 60), *some(GOOD, 700)]
    new = [
        Observation(NOW + number * HOUR, str(number), value, None, f"c{number % 3}")
        for number, value in enumerate(values)
    ]
    at_once, memory = take(RATE, NUMBERS, Memory(began=NOW), new), Memory(began=NOW)
    for start in range(0, len(new), size):
        memory = Memory.from_dict(json.loads(json.dumps(memory.to_dict())))
        memory = take(RATE, NUMBERS, memory, new[start : start + size])
    one, other = (conclude(RATE, NUMBERS, each, LIMITS, NOW + 2000 * HOUR) for each in (at_once, memory))
    assert (one.verdict, one.text, one.observations) == (other.verdict, other.text, other.observations)
    assert (memory.intake, memory.days) == (at_once.intake, at_once.days)


# A backlog


def heap(number: int, values: Sequence[float], waited: timedelta) -> list[Observation]:
    """Outcomes of which one an hour was due, all written down within a minute."""
    at = NOW + number * HOUR + waited
    return [
        Observation(at + place * timedelta(milliseconds=1), f"{number}-{place}", value, None, None, waited)
        for place, value in enumerate(values)
    ]


def said_of(memory: Memory) -> str:
    return conclude(RATE, NUMBERS, memory, LIMITS, NOW + 5000 * HOUR).text


def test_a_backlog_written_at_one_moment_says_that_it_cannot_see_when() -> None:
    memory = take(RATE, NUMBERS, Memory(began=NOW), heap(0, some(GOOD, 300), 30 * DAY))
    memory = Memory.from_dict(json.loads(json.dumps(memory.to_dict())))
    words = " of {} observations were written down within one hour, more than a day after they were due"
    assert f"300{words.format(300)}" in said_of(memory)
    memory = take(RATE, NUMBERS, memory, heap(1000, some(GOOD, 299), HOUR))
    assert f"300{words.format(599)}" in said_of(memory)
    assert "within one hour" not in said_of(take(RATE, NUMBERS, memory, heap(2000, GOOD[:1], HOUR)))


def test_what_comes_in_time_is_no_backlog() -> None:
    assert "within one hour" not in said_of(
        take(RATE, NUMBERS, Memory(began=NOW), heap(0, some(GOOD, 300), HOUR))
    )


def test_a_backlog_is_the_same_however_passes_are_cut() -> None:
    new = [*heap(0, some(GOOD, 50), 2 * DAY), *heap(100, some(BAD, 90), 3 * DAY)]
    memory = Memory(began=NOW)
    for one in new:
        memory = take(RATE, NUMBERS, memory, [one])
    assert memory.backlog == take(RATE, NUMBERS, Memory(began=NOW), new).backlog
    assert (memory.backlog.most, memory.backlog.seen) == (90, 140)


def test_a_backlog_in_the_log_is_found(log: Log) -> None:
    log.comes(*some(GOOD, 100))
    at = stamp(NOW + HOUR)
    rows = [prediction(as_of=NOW + HOUR, entity=f"late{number}", value=0.5) for number in range(150)]
    with log.store.write() as db:
        observations.save_predictions(db, rows)
        write_outcomes(db, [LoggedOutcome(USE_CASE, row["id"], 1.0, at, at) for row in rows])
        late = outcomes.c.prediction_id.in_([row["id"] for row in rows])
        db.execute(update(outcomes).where(late).values(logged_at=NOW + 30 * DAY))
    log.hours = 31 * 24
    assert "150 of 250 observations were written down within one hour" in log.passes().text


# A metric that is judged by periods


UPLIFT = PortfolioUplift(
    kind="portfolio_uplift", name="uplift", top=1, gate_threshold=0.0, threshold=0.0, window_periods=2
)


@pytest.mark.parametrize("mature", [0, 1, 3, 40, 60])
def test_of_an_uplift_as_many_periods_are_read_as_it_takes(log: Log, mature: int) -> None:
    """The oldest periods are mature and the others are not, as after outcomes that stopped coming."""
    log.metric = UPLIFT
    rows = [
        prediction(entity=name, value=float(name == "a"), period=NOW + place * DAY)
        for place in range(60)
        for name in "ab"
    ]
    with log.store.write() as db:
        observations.save_predictions(db, rows)
        for row in rows[: 2 * mature]:
            observations.save_outcome(db, row["id"], 0.1 if row["entity"] == "a" else 0.0, NOW, NOW)
        everything = judge_uplift(UPLIFT, observations.observed(db, USE_CASE, NOW, release=1))
    found = log.judged().judgement
    assert (found.verdict, found.value, found.text) == (everything.verdict, everything.value, everything.text)
    assert min(len(everything.by_period), UPLIFT.window_periods + 1) <= len(found.by_period)


# Beside a control


BESIDE = Pass(USE_CASE, 2, NOW, NOW, NUMBERS, Monitoring(control=Control(share=0.2)), before=1)


def both(log: Log, live: Sequence[float], control: Sequence[float]) -> None:
    """What release 2 answered, and release 1 beside it, an hour each at the same time."""
    rows, came, start = [], [], log.hours
    for release, arm, values in ((2, "champion", live), (1, "control", control)):
        for number, value in enumerate(values, start + 1):
            at = NOW + number * HOUR
            row = prediction(release=release, arm=arm, as_of=at, entity=f"{arm}{number}")
            rows.append(row)
            came.append(LoggedOutcome(USE_CASE, row["id"], value, stamp(at), stamp(at)))
    log.hours += max(len(live), len(control))
    with log.store.write() as db:
        observations.save_predictions(db, rows)
        write_outcomes(db, came)


def beside(log: Log, **fields: Any) -> Judged:
    """A pass over release 2, with its memories written down."""
    with log.store.read() as db:
        found = judge(db, log.metric, replace(BESIDE, as_of=log.now, **fields))
    with log.store.write() as db:
        for memory, before in found.memories:
            monitor_states.save(db, memory, before)
    return found


def test_a_model_that_got_worse_falls_beside_its_control(log: Log) -> None:
    both(log, some(GOOD, 500), some(GOOD, 500))
    calm = beside(log).judgement.control
    assert calm is not None
    assert calm.low < 0 < calm.high
    both(log, some(BAD, 300), some(GOOD, 300))
    found = beside(log)
    assert found.judgement.verdict == "breach"
    assert found.judgement.control is not None
    assert found.judgement.control.high < -0.2  # since the fall set in, not over all the time
    assert [one.arm for one, _ in found.memories] == ["champion", "control"]


def test_a_world_that_got_worse_takes_the_control_with_it(log: Log) -> None:
    both(log, some(GOOD, 500), some(GOOD, 500))
    beside(log)
    both(log, some(BAD, 300), some(BAD, 300))
    found = beside(log).judgement
    assert found.verdict == "breach"
    assert found.control is not None
    assert -0.2 < found.control.low < found.control.mean < found.control.high
    assert found.control.mean == pytest.approx(0.0, abs=0.02)


def test_of_an_error_the_difference_is_turned_to_what_is_better(log: Log) -> None:
    log.metric = ERROR
    both(log, some([0.6, 0.7, 0.65], 200), some([0.9, 0.8, 0.85], 200))  # predicted was 0.5
    found = beside(log).judgement.control
    assert found is not None
    assert found.mean == pytest.approx(0.2, abs=0.01)
    assert found.low > 0.1


def test_with_few_observations_of_the_control_nothing_is_said(log: Log) -> None:
    both(log, some(GOOD, 100), [1.0] * 4)
    assert beside(log).judgement.control is None
    both(log, [1.0], [1.0])
    found = beside(log).judgement.control
    assert found is not None
    assert found.low < 0  # five good ones in a row are no proof


@pytest.mark.parametrize("fields", [{"before": None}, {"limits": LIMITS}])
def test_without_a_control_there_is_none(log: Log, fields: dict[str, Any]) -> None:
    both(log, some(GOOD, 20), some(GOOD, 20))
    found = beside(log, **fields)
    assert (found.judgement.control, len(found.memories)) == (None, 1)


def test_what_the_control_answered_counts_for_neither_release(log: Log) -> None:
    both(log, some(GOOD, 20), some(BAD, 30))
    assert beside(log).judgement.observations == 20
    assert log.passes().observations == 0
