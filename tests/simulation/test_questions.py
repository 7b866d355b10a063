"""Questions: any window and every page agree with the quarter's counts, and nothing later than now is counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.periods import shift
from include.kreislauf.simulation import WorldParameters
from include.kreislauf.simulation.observations import Observations, observe
from include.kreislauf.simulation.questions import Questions
from include.kreislauf.simulation.technologies import simulate

WORLD = simulate(5, WorldParameters(quarters=12, emergence=datetime(2012, 1, 1, tzinfo=UTC)))
SEEN: Observations = observe(WORLD)
QUESTIONS = Questions(SEEN)
START, END = WORLD.quarters[0], shift(WORLD.quarters[-1], "quarter", 1)
FAR = END + timedelta(days=400)
TIMES = st.datetimes(datetime(2010, 12, 1), datetime(2014, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001
TAGS = st.sampled_from([*WORLD.names[:6], "arrays", "topic-003"])


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def count(tags: list[str], since: datetime, until: datetime, now: datetime = FAR) -> int:
    """Questions of a window whose end is excluded."""
    return QUESTIONS.count(tags, QUESTIONS.spans(seconds(since), seconds(until) - 1, now))


@pytest.mark.parametrize("after_quarters", [1, 2, 3, 5])
def test_a_quarter_has_its_first_count_until_half_a_year_has_passed(after_quarters: int) -> None:
    quarter = 4
    start, end = WORLD.quarters[quarter : quarter + 2]
    now = shift(start, "quarter", after_quarters)
    settled = after_quarters >= 3
    totals = SEEN.settled_total if settled else SEEN.questions_total
    assert count([], start, end, now) == totals[quarter]
    table = SEEN.settled if settled else SEEN.questions
    assert [count([name], start, end, now) for name in WORLD.names] == table[:, quarter].tolist()


@given(first=TIMES, second=TIMES, third=TIMES, tag=TAGS)
@settings(max_examples=60, deadline=None)
def test_windows_that_meet_add_up(first: datetime, second: datetime, third: datetime, tag: str) -> None:
    early, middle, late = sorted((first, second, third))
    for tags in ([], [tag]):
        assert count(tags, early, middle) + count(tags, middle, late) == count(tags, early, late)


@pytest.mark.parametrize("quarter", [0, 5, 11])
def test_no_question_is_asked_in_the_first_second_of_a_quarter(quarter: int) -> None:
    """So that a window means the same, whether its end is included or not."""
    start = WORLD.quarters[quarter]
    assert count([], start, start + timedelta(seconds=1)) == 0


@given(
    since=TIMES, length=st.integers(0, 40_000), tag=TAGS, newest_first=st.booleans(), size=st.integers(1, 100)
)
@settings(max_examples=30, deadline=None)
def test_pages_hold_what_was_counted(
    since: datetime, length: int, tag: str, newest_first: bool, size: int
) -> None:
    first, last = seconds(since), seconds(since) + length
    spans = QUESTIONS.spans(first, last, FAR)
    total, found = QUESTIONS.count([], spans), []
    for start in range(0, total + size, size):
        page = QUESTIONS.page([], spans, start, size, newest_first=newest_first)
        assert len(page) == max(0, min(size, total - start))
        found += page
    assert len({question.id for question in found}) == total
    assert all(first <= question.asked <= last for question in found)
    times = [question.asked for question in found]
    assert times == sorted(times, reverse=newest_first)
    tagged = [question for question in found if tag in question.tags]
    assert len(tagged) == QUESTIONS.count([tag], spans)
    assert QUESTIONS.page([tag], spans, 0, total + 1, newest_first=newest_first) == tagged


def test_several_tags_mean_all_of_them() -> None:
    spans = QUESTIONS.spans(seconds(START), seconds(START) + 500_000, FAR)
    pair = [tag for tag, _ in QUESTIONS.popular(FAR)[:2]]
    everything = QUESTIONS.page([], spans, 0, 100_000, newest_first=False)
    assert QUESTIONS.count(pair, spans) == sum(set(pair) <= set(question.tags) for question in everything) > 0
    assert QUESTIONS.count(["no-such-tag"], spans) == QUESTIONS.count([pair[0], "no-such-tag"], spans) == 0


@given(now=TIMES)
@settings(max_examples=20, deadline=None)
def test_nothing_is_shown_before_it_was_asked(now: datetime) -> None:
    spans = QUESTIONS.spans(None, None, now)
    newest = QUESTIONS.page([], spans, 0, 1, newest_first=True)
    assert all(question.asked < seconds(now) for question in newest)
    assert QUESTIONS.count([], spans) == QUESTIONS.count([], QUESTIONS.spans(None, seconds(FAR), now))


def test_popular_tags_count_all_that_was_ever_asked() -> None:
    popular = QUESTIONS.popular(FAR)
    assert [number for _, number in popular] == sorted((number for _, number in popular), reverse=True)
    assert dict(popular)[WORLD.names[0]] == SEEN.settled[0].sum()
    shown = dict(QUESTIONS.popular(datetime(2011, 7, 1, tzinfo=UTC)))
    assert not WORLD.emerging & shown.keys()
    assert shown[WORLD.names[0]] == SEEN.questions[0, :2].sum()


def test_ids_ascend_with_time_over_quarters() -> None:
    boundary = seconds(WORLD.quarters[1])
    spans = QUESTIONS.spans(boundary - 400, boundary + 400, FAR)
    found = QUESTIONS.page([], spans, 0, 100, newest_first=False)
    ids = [question.id for question in found]
    assert ids == sorted(set(ids))
    assert Counter(question.asked < boundary for question in found).keys() == {True, False}
