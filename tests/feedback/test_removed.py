"""A use case that is removed while its cycle is at work: the cycle ends with a clear answer, and others never notice."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from include.kreislauf.errors import ContractError
from include.kreislauf.feedback import monitor
from include.kreislauf.feedback.receipt import Incoming
from include.kreislauf.feedback.sign_off import changed_contract
from include.kreislauf.feedback.stranded import stranded
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.script import Script
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def two(scripted: Lap) -> Lap:
    """Two use cases, of which the first has a signed contract."""
    write_use_case(scripted.settings.use_cases, "second")
    return scripted


@pytest.fixture
def collected(two: Lap) -> Incoming:
    """The first one's data, as they arrive at the data scientist's."""
    signed = two.run(two.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert signed is not None
    message = two.run(two.arriving(signed))
    assert message is not None
    return two.arriving(message)


def remove(lap: Lap, name: str = "radar") -> None:
    shutil.rmtree(lap.settings.use_cases / name)


def second(lap: Lap) -> Lap:
    """The same store, seen by the other use case."""
    return Lap(lap.settings, lap.store, "second", lap.steps)


def test_the_cycle_fails_and_says_why_and_what_next(two: Lap, script: Script, collected: Incoming) -> None:
    remove(two)
    with pytest.raises(ContractError) as error:
        two.run(collected)
    assert (
        "radar: the use case was removed while cycle c0001-2016-01-01 was at work; next: put the folder back"
        in error.value.text
    )
    [cycle] = two.cycles()
    assert cycle.state is State.FAILED
    assert "the use case was removed" in str(cycle.note)
    assert [stage for stage, _ in script.done] == [Stage.COLLECTION]


def test_the_others_never_notice(two: Lap, collected: Incoming) -> None:
    remove(two)
    with pytest.raises(ContractError):
        two.run(collected)
    other = second(two)
    assert changed_contract(two.store, two.settings.use_cases) == other.contract
    other.manual(Role.REQUIREMENTS, as_of=AS_OF)
    assert other.live() is not None
    orders = monitor.due_orders(two.store, two.settings.use_cases, "scheduled-1", AS_OF)
    assert [one.use_case for one in orders] == ["second"]
    assert monitor.check_all(orders, store=two.store, now=two.now()) == ([], [])
    with two.store.read() as db:
        assert stranded(db, "radar", two.now()) == []  # a failed cycle is nobody's errand


def test_with_its_folder_back_the_cycle_goes_on_where_it_stood(
    two: Lap, script: Script, collected: Incoming
) -> None:
    remove(two)
    with pytest.raises(ContractError):
        two.run(collected)
    write_use_case(two.settings.use_cases)
    two.event(collected.received[0], collected.run_id)
    assert [cycle.state for cycle in two.cycles()] == [State.LIVE]
    assert script.done.count((Stage.COLLECTION, 1)) == 1


def test_one_that_waits_for_a_person_is_told_when_the_answer_comes(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, sign_off="required")
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    remove(lap)
    with pytest.raises(ContractError, match="the use case was removed while cycle"):
        lap.answer(approved=True)
    assert [cycle.state for cycle in lap.cycles()] == [State.FAILED]


def test_what_is_live_can_still_be_taken_back_by_hand(scripted: Lap) -> None:
    for _ in range(2):
        scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    remove(scripted)
    order = scripted.receive(scripted.by_hand(Role.MLOPS, roll_back=True))
    assert order.inputs == {Stage.DEPLOYMENT: "2"}
