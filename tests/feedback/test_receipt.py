"""Receipts of events: each is worked on once, by the DAG it is for, while its cycle is at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.kreislauf.errors import ContractError, HandoverError
from include.kreislauf.feedback.receipt import Incoming, Refused
from include.kreislauf.feedback.work import mark_failed
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Role, Stage
from include.kreislauf.store import contracts
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen, quarter
from tests.support.script import Script
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
AGAIN = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT)
WIDER = (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)


def begin(lap: Lap) -> dict[Stage, Handover]:
    """The first cycle, all around; its handovers."""
    return {one.stage: one for one in lap.manual(Role.REQUIREMENTS, as_of=AS_OF) if isinstance(one, Handover)}


def signed(lap: Lap) -> Handover:
    """A signed contract on its way to data engineering: its cycle is at work."""
    message = lap.run(lap.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert isinstance(message, Handover)
    return message


def sent_back(lap: Lap, script: Script, edge: Edge, reason: Reason) -> Loop:
    """A loop on its way from the first evaluation."""
    script.sends_back(Stage.EVALUATION, edge, reason)
    message = lap.run(lap.arriving(lap.run(lap.arriving(signed(lap)))))  # type: ignore[arg-type]
    assert isinstance(message, Loop)
    return message


def fall(lap: Lap, *periods: str) -> datetime:
    """Quarters of a business metric far below its threshold; returns when the last one is known."""
    return [happen(lap, period, -0.05) for period in periods][-1]


# Once each


@pytest.mark.parametrize("stage", [Stage.REQUIREMENTS, Stage.COLLECTION, Stage.EVALUATION])
def test_a_handover_that_arrives_again_is_refused(scripted: Lap, script: Script, stage: Stage) -> None:
    sent, done = begin(scripted), list(script.done)
    assert scripted.event(sent[stage]) == []
    assert "attempt 1 of radar|c0001-2016-01-01 was done by run run-" in scripted.refused[-1]
    assert script.done == done


def test_a_live_release_announced_again_changes_nothing(scripted: Lap) -> None:
    sent = begin(scripted)
    before = scripted.cycles()
    assert scripted.event(sent[Stage.DEPLOYMENT]) == []
    assert (scripted.cycles(), scripted.loops()) == (before, [])


def test_an_attempt_that_was_sent_back_is_not_done_again(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.EVALUATION, *AGAIN)
    sent, done = begin(scripted), list(script.done)
    collected = sent[Stage.COLLECTION]
    assert scripted.event(collected) == []
    assert "attempt 1 of" in scripted.refused[-1]
    assert script.done == done


def test_a_loop_that_arrives_again_is_refused(scripted: Lap, script: Script) -> None:
    loop = sent_back(scripted, script, *WIDER)
    assert scripted.event(loop) != []
    assert scripted.event(loop) == []
    assert "attempt 2 of radar|c0001-2016-01-01 was done by run" in scripted.refused[-1]


def test_a_loop_that_another_run_works_on_is_refused(scripted: Lap, script: Script) -> None:
    loop = sent_back(scripted, script, *WIDER)
    scripted.receive(scripted.arriving(loop))
    with pytest.raises(Refused, match="is accepted already: hop 1 of 4"):
        scripted.receive(scripted.arriving(loop))


def test_the_same_run_gets_the_same_order_again(scripted: Lap) -> None:
    incoming = scripted.arriving(signed(scripted))
    assert scripted.receive(incoming) == scripted.receive(incoming)


@pytest.mark.parametrize("way", [AGAIN, WIDER])
def test_the_same_run_gets_the_order_of_a_loop_again_at_the_hop_limit(
    make_lap: MakeLap, script: Script, way: tuple[Edge, Reason]
) -> None:
    lap = make_lap(script, governor={"max_hops": 2})
    script.sends_back(Stage.EVALUATION, *way)
    lap.run(lap.arriving(lap.run(lap.arriving(signed(lap)))))  # type: ignore[arg-type]
    loop = lap.loops("raised")[-1].loop
    incoming = lap.arriving(loop)
    assert lap.receive(incoming) == lap.receive(incoming) == lap.receive(incoming)
    assert lap.loops("accepted")[0].decision == "hop 1 of 2"


def test_a_repeated_task_sends_back_the_loop_that_was_recorded(scripted: Lap, script: Script) -> None:
    collected = scripted.run(scripted.arriving(signed(scripted)))
    assert collected is not None
    for text in ("the first time", "the second time"):
        script.sends_back(Stage.EVALUATION, *AGAIN, text=text)
    incoming = scripted.arriving(collected)
    first, second = scripted.run(incoming), scripted.run(incoming)
    assert isinstance(first, Loop)
    assert (second, first.text) == (first, "the first time")


def test_each_discipline_runs_once_per_attempt(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.EVALUATION, *AGAIN, step=Stage.TRAINING)
    script.sends_back(Stage.EVALUATION, *WIDER)
    begin(scripted)
    assert len(script.done) == len(set(script.done))
    assert [stage for stage, _ in script.done].count(Stage.COLLECTION) == 2
    assert {attempt for _, attempt in script.done} == {1, 2, 3}
    assert scripted.cycles()[0].state is State.LIVE


# For whom, and from where


def test_a_handover_in_the_wrong_dag_is_an_error(scripted: Lap) -> None:
    sent = begin(scripted)[Stage.REQUIREMENTS]
    with pytest.raises(HandoverError, match="a handover of requirements arrived; allowed: evaluation"):
        scripted.receive(Incoming(Role.MLOPS, "run", sent.key, (sent,)))


@pytest.mark.parametrize("other", ["other|{cycle}", "radar|c9999-2016-01-01"])
def test_a_message_on_the_thread_of_another_cycle_is_an_error(scripted: Lap, other: str) -> None:
    sent = signed(scripted)
    key = other.format(cycle=sent.cycle_id)
    with pytest.raises(HandoverError, match="arrived on the thread of"):
        scripted.receive(Incoming(Role.DATA_ENGINEERING, "run", key, (sent,)))
    assert scripted.receive(Incoming(Role.DATA_ENGINEERING, "run", sent.key, (sent,))).key == sent.key


def test_a_handover_never_starts_requirements(scripted: Lap) -> None:
    sent = begin(scripted)[Stage.DEPLOYMENT]
    with pytest.raises(HandoverError, match="allowed: loops only"):
        scripted.receive(Incoming(Role.REQUIREMENTS, "run", sent.key, (sent,)))


def test_a_loop_in_the_wrong_dag_is_an_error(scripted: Lap, script: Script) -> None:
    loop = sent_back(scripted, script, *WIDER)
    with pytest.raises(HandoverError, match="allowed: loops to mlops"):
        scripted.receive(Incoming(Role.MLOPS, "run", loop.key, (loop,)))


def test_an_event_whose_handover_is_not_in_the_store_is_an_error(scripted: Lap) -> None:
    sent = signed(scripted)
    invented = sent.model_copy(update={"attempt": 7})
    with pytest.raises(
        HandoverError, match=r"radar\|c0001-2016-01-01\|requirements\|7 is not in the workflow store"
    ):
        scripted.receive(scripted.arriving(invented))


def test_the_store_says_what_was_handed_over_not_the_event(scripted: Lap) -> None:
    sent = signed(scripted)
    order = scripted.receive(
        scripted.arriving(sent.model_copy(update={"output": "forged", "contract_hash": "f" * 64}))
    )
    assert (order.inputs, order.contract_hash) == ({Stage.REQUIREMENTS: sent.output}, sent.contract_hash)


def test_the_ledger_says_what_a_loop_asks_for_not_the_event(scripted: Lap, script: Script) -> None:
    loop = sent_back(scripted, script, *WIDER)
    order = scripted.receive(
        scripted.arriving(loop.model_copy(update={"text": "forged", "step": Stage.TRAINING}))
    )
    assert (order.reason, order.step) == (loop.text, None)


def test_a_loop_from_outside_opens_a_cycle(scripted: Lap) -> None:
    """A program may raise a loop through Airflow's API; the ledger and the governor treat it like any other."""
    sent = begin(scripted)[Stage.DEPLOYMENT]
    loop = Loop(
        use_case="radar", cycle_id="from-outside", contract_hash=sent.contract_hash, as_of=quarter("2017Q1"),
        edge=Edge.MONITORING_TO_DATA_ENGINEERING, reason=Reason.RETRIGGERED, text="the market moved", by="a program",
    )  # fmt: skip
    scripted.event(loop)
    cycle = scripted.cycles()[-1]
    assert (cycle.cycle_id, cycle.started_by) == ("from-outside", "loop/monitoring→data_engineering")
    assert cycle.state is State.LIVE


def test_a_loop_from_outside_cannot_reopen_the_live_cycle(scripted: Lap) -> None:
    sent = begin(scripted)[Stage.DEPLOYMENT]
    loop = Loop(
        use_case="radar", cycle_id=sent.cycle_id, contract_hash=sent.contract_hash, as_of=quarter("2017Q1"),
        edge=Edge.MONITORING_TO_DATA_SCIENCE, reason=Reason.RETRIGGERED, text="again", attempt=2, by="a program",
    )  # fmt: skip
    assert scripted.event(loop) == []
    assert "cycle c0001-2016-01-01 is live" in scripted.refused[-1]
    assert scripted.cycles()[0].state is State.LIVE


# Refused loops


def test_a_refused_loop_is_recorded_and_ends_the_cycle_it_asked_for(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, governor={"cool_down_days": 400})
    begin(lap)
    lap.check(fall(lap, "2016Q1", "2016Q2", "2016Q3"))  # the first loop, as of 2017-01-01
    loop, *after = lap.check(fall(lap, "2017Q1", "2017Q2", "2017Q3"))
    row, cycle = lap.loops("refused")[0], lap.cycles()[-1]
    assert (row.loop, after) == (loop, [])
    assert row.decision == (
        "cool-down of 400 days: the last cycle was opened as of 2017-01-01; until 2018-02-05; "
        "a person may override this, with a name and a reason"
    )
    assert (cycle.cycle_id, cycle.state, cycle.note) == (loop.cycle_id, State.REFUSED, row.decision)
    assert lap.refused[-1].endswith(f"the governor refused monitoring→data_engineering: {row.decision}")


def test_a_loop_that_was_refused_stays_refused(make_lap: MakeLap, script: Script) -> None:
    """Whoever asks again, and whatever has changed since: the next check raises a new one."""
    lap = make_lap(script, governor={"cool_down_days": 400})
    begin(lap)
    lap.check(fall(lap, "2016Q1", "2016Q2", "2016Q3"))
    loop = lap.check(fall(lap, "2017Q1", "2017Q2", "2017Q3"))[0]
    write_use_case(lap.settings.use_cases, governor={"cool_down_days": 0})
    lap.manual(Role.REQUIREMENTS)
    with pytest.raises(Refused, match="is refused already: cool-down of 400 days"):
        lap.receive(lap.arriving(loop, str(lap.loops("refused")[0].received_run)))


def test_beyond_the_hop_limit_a_person_is_asked_and_asked_again_after_an_approval(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, governor={"max_hops": 2})
    script.sends_back(Stage.DEPLOYMENT, Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED, times=9)
    begin(lap)
    for refused in (1, 2):
        assert [row.state for row in lap.loops()] == ["accepted", "accepted"] + [
            "refused",
            "accepted",
        ] * refused
        last, asked = lap.loops()[-2:]
        assert asked.loop.edge is Edge.DATA_SCIENCE_TO_REQUIREMENTS
        assert (asked.loop.reason, asked.loop.by, asked.loop.attempt) == (
            Reason.BUDGET_SPENT, "kreislauf", last.loop.attempt + 1,
        )  # fmt: skip
        assert asked.loop.text == f"{last.decision}; last: deployment says release_failed"
        assert lap.cycles()[0].state is State.WAITING
        assert len(lap.questions) == 1
        lap.answer(approved=True)
    lap.answer(approved=False, note="enough")
    assert (lap.cycles()[0].state, lap.questions) == (State.CLOSED, [])


def test_the_run_that_is_to_ask_a_person_gets_the_same_order_again(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, governor={"max_hops": 0})
    script.sends_back(Stage.DEPLOYMENT, Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
    evaluated = lap.run(lap.arriving(lap.run(lap.arriving(signed(lap)))))  # type: ignore[arg-type]
    assert evaluated is not None
    loop = lap.run(lap.arriving(evaluated))
    assert isinstance(loop, Loop)
    incoming = lap.arriving(loop)
    order = lap.receive(incoming)
    assert order.forced_loop is Edge.DATA_SCIENCE_TO_REQUIREMENTS
    assert lap.receive(incoming) == order
    with pytest.raises(Refused, match=f"was done by run {incoming.run_id}"):
        lap.receive(lap.arriving(loop))
    assert [row.state for row in lap.loops()] == ["refused", "raised"]


def test_a_spent_budget_asks_a_person_and_asks_again_after_an_approval(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, governor={"max_hops": 3})
    script.sends_back(Stage.EVALUATION, *AGAIN, step=Stage.TRAINING, times=9)
    begin(lap)
    for hops in (2, 3):
        row = lap.loops("accepted")[-1]
        assert row.loop.edge is Edge.DATA_SCIENCE_TO_REQUIREMENTS
        assert (row.loop.reason, row.loop.step) == (Reason.BUDGET_SPENT, None)
        assert row.loop.text == f"{hops} loops did not suffice; last: evaluation says performance_short"
        assert row.loop.evidence[-1].note == f"would have gone {AGAIN[0]}: evaluation says performance_short"
        assert lap.cycles()[0].state is State.WAITING
        lap.answer(approved=True)
    lap.answer(approved=False, note="enough")
    assert (lap.cycles()[0].state, lap.questions) == (State.CLOSED, [])


def test_a_late_loop_of_a_cycle_that_had_to_make_way_is_refused(scripted: Lap, script: Script) -> None:
    late = sent_back(scripted, script, *WIDER)
    scripted.manual(Role.DATA_ENGINEERING, override=True, by="Ada", reason="urgent")
    assert scripted.event(late) == []
    assert "is closed: Ada started c0002-2016-01-01: urgent" in scripted.refused[-1]
    assert [cycle.state for cycle in scripted.cycles()] == [State.CLOSED, State.LIVE]
    assert scripted.loops("refused")[0].loop == late


def test_an_attempt_that_a_person_overtook_is_not_worked_on(scripted: Lap) -> None:
    collected = scripted.run(scripted.arriving(signed(scripted)))
    assert collected is not None
    raised = scripted.run(
        scripted.by_hand(Role.MLOPS, loop=Edge.MLOPS_TO_DATA_SCIENCE, cycle=collected.cycle_id, by="Ada")
    )
    scripted.receive(scripted.arriving(raised))  # type: ignore[arg-type]
    assert scripted.event(collected) == []
    assert scripted.refused[-1].endswith(
        "attempt 1 of radar|c0001-2016-01-01 was superseded by mlops→data_science"
    )


# Cycles that are over, failed or stale


def test_a_late_handover_of_a_cycle_that_had_to_make_way_is_refused(scripted: Lap) -> None:
    late = signed(scripted)
    scripted.manual(Role.DATA_ENGINEERING, override=True, by="Ada", reason="urgent")
    assert scripted.event(late) == []
    assert "cycle c0001-2016-01-01 is closed: Ada started" in scripted.refused[-1]


def test_a_failed_cycle_is_taken_up_again_when_its_task_is_repeated(scripted: Lap) -> None:
    sent = signed(scripted)
    incoming = scripted.arriving(sent)
    first = scripted.receive(incoming)
    mark_failed(scripted.store, "radar", sent.cycle_id, "disk full", datetime.now(UTC))
    assert scripted.cycles()[0].state is State.FAILED
    assert scripted.receive(incoming) == first
    assert scripted.cycles()[0].state is State.ACTIVE


def test_a_failed_cycle_stays_failed_while_another_one_is_at_work(scripted: Lap) -> None:
    sent = signed(scripted)
    mark_failed(scripted.store, "radar", sent.cycle_id, "disk full", datetime.now(UTC))
    signed(scripted)
    assert scripted.event(sent) == []
    assert "is failed: disk full" in scripted.refused[-1]


def test_failing_changes_nothing_about_a_cycle_that_is_over(scripted: Lap) -> None:
    begin(scripted)
    mark_failed(scripted.store, "radar", "c0001-2016-01-01", "late", datetime.now(UTC))
    mark_failed(scripted.store, "radar", "unknown", "late", datetime.now(UTC))
    assert [cycle.state for cycle in scripted.cycles()] == [State.LIVE]


def test_a_cycle_on_which_nothing_moved_is_given_up_for_a_loop_from_monitoring(scripted: Lap) -> None:
    begin(scripted)
    lost = signed(scripted)
    as_of = fall(scripted, "2016Q1", "2016Q2", "2016Q3")
    scripted.delay = timedelta(hours=5.9)
    assert scripted.check(as_of) == []
    scripted.delay = timedelta(hours=6.1)
    assert scripted.check(as_of) != []
    given_up = next(cycle for cycle in scripted.cycles() if cycle.cycle_id == lost.cycle_id)
    assert (given_up.state, given_up.note) == (State.FAILED, "given up: nothing moved for 6.0 hours")
    assert scripted.cycles()[-1].state is State.LIVE


def test_a_cycle_moves_with_every_handover(scripted: Lap) -> None:
    sent = signed(scripted)
    scripted.delay = timedelta(hours=5)
    scripted.run(scripted.arriving(sent))
    scripted.delay = timedelta(hours=10)
    assert scripted.manual(Role.REQUIREMENTS) == []
    assert "is at work" in scripted.refused[-1]


def test_a_loop_under_a_contract_that_is_no_longer_signed_is_an_error(scripted: Lap, script: Script) -> None:
    loop = sent_back(scripted, script, *WIDER)
    with scripted.store.write() as db:
        rejected = SignOff("rejected", "the owner", "person")
        contracts.record_sign_off(db, "radar", loop.contract_hash, rejected, datetime.now(UTC))
    with pytest.raises(ContractError, match="no signed contract; next: trigger the requirements DAG"):
        scripted.receive(scripted.arriving(loop))
