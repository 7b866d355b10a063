"""Messages that nobody received: found by what the store says, emitted again, and at last reported."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from include.kreislauf.errors import HandoverError
from include.kreislauf.feedback.stranded import Stranded, recorded, remind, stranded
from include.kreislauf.feedback.work import mark_failed
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Role, Stage
from include.kreislauf.store import receipts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.receipts import MAX_REMINDERS
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
HANDED_OVER = {
    Stage.REQUIREMENTS: Role.DATA_ENGINEERING, Stage.COLLECTION: Role.DATA_SCIENCE, Stage.EVALUATION: Role.MLOPS,
    Stage.DEPLOYMENT: Role.MONITORING,
}  # fmt: skip


def lost_after(lap: Lap, stage: Stage) -> Handover:
    """A cycle whose handover of a stage reached nobody."""
    message = lap.run(lap.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    while isinstance(message, Handover) and message.stage is not stage:
        message = lap.run(lap.arriving(message))
    assert isinstance(message, Handover)
    return message


def found(lap: Lap, minutes: float = 6) -> list[Stranded]:
    with lap.store.read() as db:
        return stranded(db, lap.use_case, lap.now() + timedelta(minutes=minutes) - PATIENCE)


def pass_(lap: Lap, minutes: float, emitted: list[Stranded] | None = None) -> list[Stranded]:
    """A monitoring pass so many minutes later, that only writes down what it would emit."""

    def emit(one: Stranded) -> str:
        if emitted is not None:
            emitted.append(one)
        return "data_science is paused; started run 1"

    return remind(lap.store, lap.now() + timedelta(minutes=minutes), PATIENCE, emit)


@pytest.mark.parametrize("stage", HANDED_OVER)
def test_a_handover_that_nobody_received_is_found_and_emitted_again(scripted: Lap, stage: Stage) -> None:
    lost = lost_after(scripted, stage)
    (one,) = found(scripted)
    assert (one.message, one.receiver, one.times) == (lost, HANDED_OVER[stage], 0)
    remind(
        scripted.store,
        scripted.now() + timedelta(minutes=6),
        PATIENCE,
        lambda it: str(scripted.event(it.message)),
    )
    assert scripted.cycles()[0].state is State.LIVE
    assert found(scripted) == []


def test_a_handover_has_its_time(scripted: Lap) -> None:
    lost_after(scripted, Stage.COLLECTION)
    assert found(scripted, minutes=4) == []
    assert pass_(scripted, 4) == []
    with scripted.store.read() as db:
        assert receipts.reminders_of(db, [one.message.id for one in found(scripted)]) == {}


def test_what_is_worked_on_is_not_stranded(scripted: Lap) -> None:
    scripted.receive(scripted.arriving(lost_after(scripted, Stage.COLLECTION)))
    assert found(scripted) == []
    order = scripted.receive(scripted.by_hand(Role.DATA_SCIENCE, override=True, by="Ada"))
    scripted.work(order, Stage.PREPARATION)  # a handover that stays with its role
    assert found(scripted) == []


def test_a_loop_inside_a_cycle_that_nobody_received_is_found(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.EVALUATION, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW)
    loop = scripted.run(scripted.arriving(lost_after(scripted, Stage.COLLECTION)))
    assert isinstance(loop, Loop)
    (one,) = found(scripted)
    assert (one.message, one.receiver) == (loop, Role.DATA_ENGINEERING)
    scripted.event(one.message)
    assert found(scripted) == []


@pytest.mark.parametrize("edge", [Edge.MONITORING_TO_DATA_ENGINEERING, Edge.MONITORING_TO_MLOPS])
def test_a_loop_that_proposes_a_cycle_is_found_until_it_is_decided(scripted: Lap, edge: Edge) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    loop = scripted.run(scripted.by_hand(Role.MONITORING, loop=edge, by="Ada"))
    assert [one.message for one in found(scripted)] == [loop]
    scripted.receive(scripted.arriving(loop))  # type: ignore[arg-type]
    assert found(scripted) == []


def test_a_loop_that_was_refused_is_not_stranded(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    as_of = [happen(scripted, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1]
    loop = scripted.run(scripted.by_hand(Role.MONITORING, as_of=as_of))
    lost_after(scripted, Stage.REQUIREMENTS)
    assert scripted.event(loop) == []  # type: ignore[arg-type]
    assert [one.message for one in found(scripted)] != [loop]
    with scripted.store.read() as db:
        assert receipts.is_received(db, loop.id)  # type: ignore[union-attr]


def test_a_cycle_that_failed_or_waits_has_nothing_stranded(scripted: Lap) -> None:
    lost = lost_after(scripted, Stage.COLLECTION)
    pass_(scripted, 6)
    mark_failed(scripted.store, "radar", lost.cycle_id, "a task failed", scripted.now())
    assert found(scripted) == []
    pass_(scripted, 12)
    with scripted.store.read() as db:
        assert receipts.reminders_of(db, [lost.id]) == {}


def test_after_three_reminders_a_person_must_look(scripted: Lap, caplog: pytest.LogCaptureFixture) -> None:
    lost = lost_after(scripted, Stage.COLLECTION)
    emitted: list[Stranded] = []
    for number in range(1, MAX_REMINDERS + 1):
        assert pass_(scripted, 6 * number, emitted) == []
        assert pass_(scripted, 6 * number + 1, emitted) == []  # too early for the next
        assert [one.times for one in emitted] == list(range(number))
    with caplog.at_level(logging.ERROR):
        (hopeless,) = pass_(scripted, 60, emitted)
    assert (len(emitted), hopeless.message, hopeless.needs_person) == (MAX_REMINDERS, lost, True)
    assert f"{lost.id}: not received by data_science since" in caplog.text
    assert (
        "emitted again 3 times: data_science is paused; started run 1; next: unpause data_science"
        in caplog.text
    )
    scripted.event(lost)
    assert pass_(scripted, 70) == []


def test_what_cannot_be_emitted_keeps_nothing_else_from_it(scripted: Lap) -> None:
    lost = lost_after(scripted, Stage.COLLECTION)

    def fail(_: Stranded) -> str:
        raise ConnectionError("no answer")

    assert remind(scripted.store, scripted.now() + timedelta(minutes=6), PATIENCE, fail) == []
    with scripted.store.read() as db:
        reminder = receipts.reminders_of(db, [lost.id])[lost.id]
    assert (reminder.count, reminder.note) == (1, "ConnectionError: no answer")


def test_the_first_receipt_of_a_message_stands(scripted: Lap) -> None:
    lost = lost_after(scripted, Stage.COLLECTION)
    first = scripted.arriving(lost)
    scripted.run(first)
    scripted.event(lost)
    with scripted.store.read() as db:
        runs = {one.message_id: one.run_id for one in receipts.newest_receipts(db, "radar")}
    assert runs[lost.id] == first.run_id


def test_a_reminder_says_what_the_store_says(scripted: Lap) -> None:
    lost = lost_after(scripted, Stage.COLLECTION)
    with scripted.store.read() as db:
        assert recorded(db, lost.model_copy(update={"output": "forged@1", "summary": {}})) == lost
        with pytest.raises(HandoverError, match="is not in the workflow store"):
            recorded(db, lost.model_copy(update={"attempt": 2}))


def test_nobody_raises_another_roles_loop_by_a_reminder(scripted: Lap) -> None:
    lost = lost_after(scripted, Stage.REQUIREMENTS)
    shared = {name: getattr(lost, name) for name in ("use_case", "contract_hash", "as_of")}
    forged = Loop(**shared, cycle_id="c0099-2016-01-01", edge=Edge.MONITORING_TO_DATA_ENGINEERING,
                  reason=Reason.BUSINESS_METRIC_FELL, text="says who?")  # fmt: skip
    with scripted.store.read() as db, pytest.raises(HandoverError, match="name it in the form"):
        recorded(db, forged)
