"""The governor's laws: one cycle at a time, a pause between cycles, an end to the loops inside one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.feedback.governor import MAX_BACK_OFF, OVERRIDE, Situation, cool_down, decide
from include.kreislauf.feedback.past_loops import QUESTION, WEEK, places
from include.kreislauf.handovers import MACHINE, OPENING, Edge, Loop, Reason, Role
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store.cycles import Cycle, State

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
POLICY = Governor(cool_down_days=150, max_hops=3)
ROLLBACK = Edge.MONITORING_TO_MLOPS
PATIENT = [edge for edge in OPENING if edge is not ROLLBACK]
WORK = [edge for edge in PATIENT if edge is not QUESTION]
MAIN = Edge.MONITORING_TO_DATA_ENGINEERING
INSIDE = [edge for edge in Edge if edge not in OPENING]
TO_PEOPLE = [edge for edge in INSIDE if edge.received_by is Role.REQUIREMENTS]


def loop(edge: Edge, as_of: datetime = AS_OF, **fields: Any) -> Loop:
    values = {"reason": Reason.BUSINESS_METRIC_FELL, "text": "a test", **fields}
    return Loop(use_case="radar", cycle_id="c0002", contract_hash="0" * 64, as_of=as_of, edge=edge, **values)


def cycle(cycle_id: str, state: State, note: str | None = None) -> Cycle:
    return Cycle(
        "radar", cycle_id, 1, None, "test", "test", "a reason", state, note, as_of=AS_OF, opened_at=AS_OF,
        changed_at=AS_OF,
    )  # fmt: skip


on_a_busy_machine = settings(deadline=None)
OTHER_AT_WORK = cycle("c0001", State.ACTIVE)
PROPOSED, AT_WORK = cycle("c0002", State.PROPOSED), cycle("c0002", State.ACTIVE)

cycles = st.builds(cycle, st.just("c0002"), st.sampled_from(State))
times = st.integers(-3000, 3000).map(lambda days: AS_OF + timedelta(days=days))
situations = st.builds(
    Situation,
    cycle=st.none() | cycles,
    active=st.none() | st.just(OTHER_AT_WORK),
    waiting=st.none() | st.just(cycle("c0000", State.WAITING)),
    last_opened=st.none() | times,
    last_asked=st.none() | times,
    hops=st.integers(0, 10),
    without_help=st.integers(0, 50),
    opened=st.lists(times, max_size=5).map(lambda found: tuple(sorted(found))),
)
policies = st.builds(
    Governor, cool_down_days=st.integers(0, 1000), max_hops=st.integers(0, 10), weekly_budget=st.integers(1, 5),
    back_off=st.floats(1, 10),
)  # fmt: skip


@pytest.mark.parametrize("edge", OPENING)
def test_the_first_loop_from_monitoring_is_accepted(edge: Edge) -> None:
    assert decide(loop(edge), Situation(cycle=PROPOSED), POLICY).accepted


@pytest.mark.parametrize("edge", PATIENT)
def test_one_active_cycle_per_use_case(edge: Edge) -> None:
    answer = decide(loop(edge), Situation(cycle=PROPOSED, active=OTHER_AT_WORK), POLICY)
    assert not answer.accepted
    assert answer.text == (
        "cycle c0001 is at work: one active cycle per use case; until it ends, or 24 hours after it last moved; "
        + OVERRIDE
    )


@pytest.mark.parametrize("edge", PATIENT)
def test_a_cycle_that_waits_for_a_person_goes_first(edge: Edge) -> None:
    waiting = cycle("c0001", State.WAITING, "hop limit: 3 loops")
    answer = decide(loop(edge), Situation(cycle=PROPOSED, waiting=waiting), POLICY)
    said = f"cycle c0001 waits for a person: hop limit: 3 loops; until the answer; {OVERRIDE}"
    assert (answer.accepted, answer.text) == (False, said)


@pytest.mark.parametrize(("days", "accepted"), [(0, False), (149, False), (150, True), (400, True)])
def test_the_cool_down_counts_from_the_cycle_opened_last(days: int, accepted: bool) -> None:
    situation = Situation(cycle=PROPOSED, last_opened=AS_OF - timedelta(days=days))
    answer = decide(loop(Edge.MONITORING_TO_DATA_ENGINEERING), situation, POLICY)
    assert answer.accepted is accepted
    assert accepted or answer.text.startswith("cool-down of 150 days: the last cycle was opened as of 201")
    assert accepted or f"; until {AS_OF - timedelta(days=days - 150):%Y-%m-%d}; {OVERRIDE}" in answer.text


@pytest.mark.parametrize(
    ("without_help", "days"), [(0, 150), (1, 300), (2, 600), (3, 1200), (4, 1200), (500, 1200)]
)
def test_the_cool_down_doubles_with_each_loop_that_did_not_help_up_to_eight_times(
    without_help: int, days: int
) -> None:
    assert cool_down(POLICY, without_help) == timedelta(days=days)
    for since, accepted in ((days - 1, False), (days, True)):
        situation = Situation(
            cycle=PROPOSED, last_opened=AS_OF - timedelta(days=since), without_help=without_help
        )
        answer = decide(loop(MAIN), situation, POLICY)
        assert answer.accepted is accepted
        assert accepted or (f", {without_help} loops did not help" in answer.text) is (without_help > 0)


@pytest.mark.parametrize(("budget", "work", "question"), [(1, 1, 2), (2, 1, 2), (3, 2, 3), (10, 9, 10)])
def test_the_last_place_of_the_week_is_kept_for_the_question(budget: int, work: int, question: int) -> None:
    policy = Governor(cool_down_days=0, max_hops=3, weekly_budget=budget)
    for used in range(12):
        opened = tuple(AS_OF - timedelta(days=6, hours=-hour) for hour in range(used))
        asked = {edge: decide(loop(edge), Situation(PROPOSED, opened=opened), policy) for edge in PATIENT}
        assert {edge: answer.accepted for edge, answer in asked.items()} == {
            edge: used < (question if edge is QUESTION else work) for edge in PATIENT
        }
        assert asked[QUESTION].accepted or "weekly budget" in asked[QUESTION].text


def test_a_refusal_for_the_budget_says_when_the_next_place_is_free() -> None:
    opened = tuple(AS_OF - timedelta(days=days) for days in (6, 5, 2))
    answer = decide(loop(MAIN), Situation(PROPOSED, opened=opened), Governor(cool_down_days=0, max_hops=3))
    assert answer.text == (
        "weekly budget: 3 of 3 cycles within seven days are used up, the last place is kept for the question to a "
        f"person; until 2018-01-03 00:00; {OVERRIDE}"
    )


def test_the_question_waits_for_the_cool_down_after_the_last_question_only() -> None:
    situation = Situation(PROPOSED, last_opened=AS_OF, last_asked=AS_OF - timedelta(days=149), without_help=2)
    answer = decide(loop(QUESTION), situation, POLICY)
    assert answer.text == (
        f"cool-down of 150 days: a person was asked as of 2017-08-05; until 2018-01-02; {OVERRIDE}"
    )
    assert decide(loop(QUESTION, AS_OF + timedelta(days=1)), situation, POLICY).accepted


def test_a_person_waits_neither_for_the_cool_down_nor_for_the_budget() -> None:
    situation = Situation(PROPOSED, last_opened=AS_OF, without_help=9, opened=(AS_OF,) * 9)
    assert decide(loop(MAIN, reason=Reason.RETRIGGERED, by="Ada"), situation, POLICY).accepted
    assert decide(loop(MAIN, override=True, by="Ada"), situation, POLICY).accepted


@pytest.mark.parametrize("by", [MACHINE, "alertmanager"])
def test_a_program_under_a_name_of_its_own_waits_like_any_other(by: str) -> None:
    answer = decide(loop(MAIN, by=by), Situation(PROPOSED, last_opened=AS_OF), POLICY)
    assert not answer.accepted


def test_the_work_that_follows_from_a_rollback_has_to_find_a_place_in_the_week() -> None:
    follows = loop(Edge.MLOPS_TO_DATA_SCIENCE, reason=Reason.ROLLED_BACK)
    spent = Situation(PROPOSED, opened=(AS_OF,) * 2)
    answer = decide(follows, spent, POLICY)
    assert (answer.accepted, answer.text.startswith("weekly budget: 2 of 3")) == (False, True)
    assert decide(follows.model_copy(update={"by": "Ada"}), spent, POLICY).accepted


def test_an_override_goes_beyond_the_hop_limit_and_says_so() -> None:
    answer = decide(
        loop(Edge.DATA_SCIENCE_TO_DATA_SCIENCE, override=True, by="Ada"), Situation(AT_WORK, hops=3), POLICY
    )
    assert (answer.accepted, answer.text) == (True, "hop 4: Ada overrides the limit of 3")


def test_a_loop_from_monitoring_cannot_take_over_a_cycle_that_exists() -> None:
    live = cycle("c0002", State.LIVE, "release 1")
    answer = decide(loop(Edge.MONITORING_TO_DATA_ENGINEERING), Situation(cycle=live), POLICY)
    assert (answer.accepted, answer.text) == (False, "cycle c0002 is live: release 1")


@pytest.mark.parametrize(("hops", "accepted"), [(0, True), (2, True), (3, False), (4, False)])
def test_the_hop_limit_ends_the_loops_inside_a_cycle(hops: int, accepted: bool) -> None:
    answer = decide(loop(Edge.DATA_SCIENCE_TO_DATA_SCIENCE), Situation(cycle=AT_WORK, hops=hops), POLICY)
    assert answer.accepted is accepted
    assert answer.asks is not accepted
    limit = f"hop limit: {hops} loops in this cycle, 3 allowed; until the end of the cycle: a person is asked"
    assert answer.text == (f"hop {hops + 1} of 3" if accepted else limit)


@pytest.mark.parametrize("edge", TO_PEOPLE)
def test_a_person_can_be_asked_however_many_hops_were_taken(edge: Edge) -> None:
    answer = decide(loop(edge), Situation(cycle=AT_WORK, hops=99), POLICY)
    assert (answer.accepted, answer.text) == (True, "a person decides")


@pytest.mark.parametrize("edge", INSIDE)
@pytest.mark.parametrize("state", [State.CLOSED, State.LIVE, State.REFUSED, State.WAITING, State.PROPOSED])
def test_a_loop_inside_a_cycle_that_is_over_is_refused(edge: Edge, state: State) -> None:
    answer = decide(loop(edge), Situation(cycle=cycle("c0002", state, "for a reason")), POLICY)
    assert (answer.accepted, answer.text) == (False, f"cycle c0002 is {state}: for a reason")


def test_a_loop_inside_an_unknown_cycle_is_refused() -> None:
    answer = decide(loop(Edge.MLOPS_TO_DATA_SCIENCE), Situation(), POLICY)
    assert (answer.accepted, answer.text) == (False, "there is no cycle c0002")


@on_a_busy_machine
@given(st.sampled_from([edge for edge in Edge if edge is not ROLLBACK]), situations, policies)
def test_law_nothing_is_accepted_beside_another_active_cycle(
    edge: Edge, situation: Situation, policy: Governor
) -> None:
    answer = decide(loop(edge), situation, policy)
    assert not (answer.accepted and situation.active)
    assert answer.text


@on_a_busy_machine
@given(situations, policies)
def test_law_a_rollback_waits_for_nothing(situation: Situation, policy: Governor) -> None:
    over = situation.cycle is not None and situation.cycle.state is not State.PROPOSED
    assert decide(loop(ROLLBACK), situation, policy).accepted is not over


def test_data_science_follows_a_rollback_whose_cycle_is_only_proposed() -> None:
    after = loop(Edge.MLOPS_TO_DATA_SCIENCE).model_copy(update={"reason": Reason.ROLLED_BACK})
    assert decide(after, Situation(cycle=PROPOSED), POLICY).accepted
    assert not decide(after, Situation(cycle=PROPOSED, active=OTHER_AT_WORK), POLICY).accepted
    assert not decide(loop(Edge.MLOPS_TO_DATA_SCIENCE), Situation(cycle=PROPOSED), POLICY).accepted


@on_a_busy_machine
@given(st.sampled_from(PATIENT), times, situations, policies)
def test_law_no_cycle_is_opened_within_the_cool_down_or_while_one_waits(
    edge: Edge, as_of: datetime, situation: Situation, policy: Governor
) -> None:
    if not decide(loop(edge, as_of), situation, policy).accepted:
        return
    assert situation.waiting is None
    wait = timedelta(days=policy.cool_down_days)
    if situation.last_asked and edge is QUESTION:
        assert as_of - situation.last_asked >= wait
    if situation.last_opened and edge is not QUESTION:
        assert as_of - situation.last_opened >= min(
            wait * policy.back_off**situation.without_help, wait * MAX_BACK_OFF
        )


@on_a_busy_machine
@given(st.sampled_from(INSIDE), situations, policies)
def test_law_hops_end_unless_a_person_is_asked(edge: Edge, situation: Situation, policy: Governor) -> None:
    if decide(loop(edge), situation, policy).accepted and edge not in TO_PEOPLE:
        assert situation.hops < policy.max_hops


@on_a_busy_machine
@given(
    st.lists(st.tuples(st.sampled_from(PATIENT), st.integers(0, 60), st.booleans()), max_size=40), policies
)
def test_law_a_season_of_loops_keeps_its_distance(
    asked: list[tuple[Edge, int, bool]], policy: Governor
) -> None:
    """Whatever arrives in whatever order: cycles of work lie a cool-down apart, and no seven days hold too many."""
    opened: list[tuple[datetime, Edge]] = []
    for edge, day, busy in asked:
        as_of = AS_OF + timedelta(days=day)
        situation = Situation(
            active=OTHER_AT_WORK if busy else None, last_opened=max((one for one, _ in opened), default=None),
            opened=tuple(sorted(one for one, _ in opened if one > as_of - WEEK)),
        )  # fmt: skip
        if decide(loop(edge, as_of), situation, policy).accepted:
            opened.append((as_of, edge))
    work = [one for one, edge in opened if edge is not QUESTION]
    assert all(
        later - earlier >= timedelta(days=policy.cool_down_days)
        for earlier, later in itertools.pairwise(work)
    )
    for first, _ in opened:
        week = [edge for one, edge in opened if first <= one < first + WEEK]
        assert len(week) <= max(2, policy.weekly_budget)
        assert sum(edge is not QUESTION for edge in week) <= places(policy)
