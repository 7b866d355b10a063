"""The governor's laws: one cycle at a time, a pause between cycles, an end to the loops inside one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.feedback.governor import Situation, decide
from include.kreislauf.handovers import OPENING, Edge, Loop, Reason, Role
from include.kreislauf.requirements.contract import Governor
from include.kreislauf.store.cycles import Cycle, State

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
POLICY = Governor(cool_down_days=150, max_hops=3)
ROLLBACK = Edge.MONITORING_TO_MLOPS
PATIENT = [edge for edge in OPENING if edge is not ROLLBACK]
INSIDE = [edge for edge in Edge if edge not in OPENING]
TO_PEOPLE = [edge for edge in INSIDE if edge.received_by is Role.REQUIREMENTS]


def loop(edge: Edge, as_of: datetime = AS_OF) -> Loop:
    return Loop(
        use_case="radar", cycle_id="c0002", contract_hash="0" * 64, as_of=as_of, edge=edge,
        reason=Reason.BUSINESS_METRIC_FELL, text="a test",
    )  # fmt: skip


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
    hops=st.integers(0, 10),
)
policies = st.builds(Governor, cool_down_days=st.integers(0, 1000), max_hops=st.integers(0, 10))


@pytest.mark.parametrize("edge", OPENING)
def test_the_first_loop_from_monitoring_is_accepted(edge: Edge) -> None:
    assert decide(loop(edge), Situation(cycle=PROPOSED), POLICY).accepted


@pytest.mark.parametrize("edge", PATIENT)
def test_one_active_cycle_per_use_case(edge: Edge) -> None:
    answer = decide(loop(edge), Situation(cycle=PROPOSED, active=OTHER_AT_WORK), POLICY)
    assert not answer.accepted
    assert answer.text == "cycle c0001 is at work: one active cycle per use case"


@pytest.mark.parametrize("edge", PATIENT)
def test_a_cycle_that_waits_for_a_person_goes_first(edge: Edge) -> None:
    waiting = cycle("c0001", State.WAITING, "hop limit: 3 loops")
    answer = decide(loop(edge), Situation(cycle=PROPOSED, waiting=waiting), POLICY)
    assert (answer.accepted, answer.text) == (False, "cycle c0001 waits for a person: hop limit: 3 loops")


@pytest.mark.parametrize(("days", "accepted"), [(0, False), (149, False), (150, True), (400, True)])
def test_the_cool_down_counts_from_the_cycle_opened_last(days: int, accepted: bool) -> None:
    situation = Situation(cycle=PROPOSED, last_opened=AS_OF - timedelta(days=days))
    answer = decide(loop(Edge.MONITORING_TO_DATA_ENGINEERING), situation, POLICY)
    assert answer.accepted is accepted
    assert accepted or "cool-down until 2018-" in answer.text


def test_a_loop_from_monitoring_cannot_take_over_a_cycle_that_exists() -> None:
    live = cycle("c0002", State.LIVE, "release 1")
    answer = decide(loop(Edge.MONITORING_TO_DATA_ENGINEERING), Situation(cycle=live), POLICY)
    assert (answer.accepted, answer.text) == (False, "cycle c0002 is live: release 1")


@pytest.mark.parametrize(("hops", "accepted"), [(0, True), (2, True), (3, False), (4, False)])
def test_the_hop_limit_ends_the_loops_inside_a_cycle(hops: int, accepted: bool) -> None:
    answer = decide(loop(Edge.DATA_SCIENCE_TO_DATA_SCIENCE), Situation(cycle=AT_WORK, hops=hops), POLICY)
    assert answer.accepted is accepted
    assert answer.text == (
        f"hop {hops + 1} of 3" if accepted else f"hop limit: {hops} loops in this cycle, 3 allowed"
    )


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
    if situation.last_opened:
        assert as_of - situation.last_opened >= timedelta(days=policy.cool_down_days)


@on_a_busy_machine
@given(st.sampled_from(INSIDE), situations, policies)
def test_law_hops_end_unless_a_person_is_asked(edge: Edge, situation: Situation, policy: Governor) -> None:
    if decide(loop(edge), situation, policy).accepted and edge not in TO_PEOPLE:
        assert situation.hops < policy.max_hops


@on_a_busy_machine
@given(st.lists(st.tuples(times, st.booleans()), max_size=30), policies)
def test_law_a_season_of_loops_keeps_its_distance(
    asked: list[tuple[datetime, bool]], policy: Governor
) -> None:
    """Whatever arrives in whatever order: the cycles opened lie a cool-down apart."""
    opened: list[datetime] = []
    for as_of, busy in asked:
        situation = Situation(active=OTHER_AT_WORK if busy else None, last_opened=max(opened, default=None))
        if decide(loop(Edge.MONITORING_TO_DATA_ENGINEERING, as_of), situation, policy).accepted:
            opened.append(as_of)
    gaps = [later - earlier for earlier, later in itertools.pairwise(opened)]
    assert all(gap >= timedelta(days=policy.cool_down_days) for gap in gaps)
