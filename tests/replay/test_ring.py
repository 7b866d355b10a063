"""The ring in one process: who answers its questions, and which loops it takes up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.handovers import (
    Edge,
    Loop,
    PersonAnswer,
    PersonNeeded,
    Reason,
    Role,
    Stage,
    StepResult,
    WorkOrder,
)
from include.kreislauf.replay.ring import Person
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.script import Script

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
YES, NO = Person(approves=True), Person(approves=False)


def start(lap: Lap) -> None:
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF, reason="the first model")


@pytest.mark.parametrize(("person", "state"), [(YES, State.LIVE), (NO, State.CLOSED)])
def test_a_contract_that_must_be_signed_is_put_to_the_person(
    make_lap: MakeLap, script: Script, person: Person, state: State
) -> None:
    lap = make_lap(script, sign_off="required")
    lap.person = person
    start(lap)
    assert [one.state for one in lap.cycles()] == [state]
    assert lap.questions == []


def test_without_a_person_questions_wait(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, sign_off="required")
    start(lap)
    assert [one.state for one in lap.cycles()] == [State.WAITING]
    assert len(lap.questions) == 1


@pytest.mark.parametrize(("person", "genuine"), [(YES, True), (NO, False)])
def test_what_is_too_good_to_be_true_is_answered_too(scripted: Lap, person: Person, genuine: bool) -> None:
    answers: list[PersonAnswer] = []
    evaluate = scripted.steps[Stage.EVALUATION]

    def asks(order: WorkOrder, *given: object, answer: PersonAnswer | None = None) -> StepResult:
        if answer is None:
            raise PersonNeeded("is it genuine?")
        answers.append(answer)
        return evaluate(order, *given)  # type: ignore[arg-type]

    scripted.steps = {**scripted.steps, Stage.EVALUATION: asks}
    scripted.person = person
    start(scripted)
    assert [one.genuine for one in answers] == [genuine]
    assert [one.state for one in scripted.cycles()] == [State.LIVE]


def test_a_question_of_a_discipline_fails_where_nobody_can_answer(scripted: Lap) -> None:
    def asks(*_: object) -> StepResult:
        raise PersonNeeded("is it genuine?")

    scripted.steps = {**scripted.steps, Stage.EVALUATION: asks}
    with pytest.raises(PersonNeeded):
        start(scripted)
    assert [one.state for one in scripted.cycles()] == [State.FAILED]


def test_a_loop_that_is_turned_down_is_refused_in_the_ledger_and_its_cycle_ends(scripted: Lap) -> None:
    scripted.turned_down = lambda _: "nobody may"
    start(scripted)
    scripted.check([happen(scripted, f"2016Q{number}", -0.05) for number in (1, 2, 3)][-1])
    (row,) = scripted.loops()
    assert (row.state, row.decision) == ("refused", "nobody may")
    assert [one.state for one in scripted.cycles()] == [State.LIVE, State.REFUSED]
    assert scripted.refused == ["nobody may"]


def test_loops_inside_a_cycle_are_never_turned_down(scripted: Lap, script: Script) -> None:
    scripted.turned_down = lambda _: "nobody may"
    script.sends_back(Stage.TRAINING, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.QUALITY_TOO_LOW)
    sent = scripted.manual(Role.REQUIREMENTS, as_of=AS_OF, reason="the first model")
    assert any(isinstance(one, Loop) for one in sent)
    assert [one.state for one in scripted.cycles()] == [State.LIVE]


def test_the_machine_time_of_disciplines_is_counted(scripted: Lap) -> None:
    assert scripted.seconds == 0
    start(scripted)
    assert scripted.seconds > 0
