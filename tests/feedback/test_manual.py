"""Runs started by hand: where they begin, what makes way for them, and what a form must say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.kreislauf.errors import ContractError, HandoverError, ReleaseError
from include.kreislauf.feedback.receipt import Form, Incoming, Refused, read_form, receive
from include.kreislauf.handovers import OPENING, Edge, Handover, Loop, Reason, Role, Stage
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap, Message
from tests.support.outcomes import happen, quarter
from tests.support.script import Script
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FIRST = "c0001-2016-01-01"
FAILED_CHECKS = (Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
NO_DATA = (Edge.DATA_ENGINEERING_TO_REQUIREMENTS, Reason.SOURCE_FAILED)
ROUND = [Stage.REQUIREMENTS, Stage.COLLECTION, Stage.EVALUATION, Stage.DEPLOYMENT]


def begin(lap: Lap, **form: object) -> list[Message]:
    return lap.manual(Role.REQUIREMENTS, as_of=AS_OF, **form)


def at_work(lap: Lap) -> Handover:
    """A cycle whose signed contract nobody has taken yet."""
    message = lap.run(lap.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert isinstance(message, Handover)
    return message


def stages(sent: list[Message]) -> list[Stage]:
    return [one.stage for one in sent if isinstance(one, Handover)]


# Around the ring from anywhere


@pytest.mark.parametrize(
    ("role", "follow"),
    [(Role.REQUIREMENTS, ROUND), (Role.DATA_ENGINEERING, ROUND[1:]), (Role.DATA_SCIENCE, ROUND[2:]),
     (Role.MLOPS, ROUND[3:])],
)  # fmt: skip
def test_a_run_without_a_key_carries_on_around_the_ring(
    scripted: Lap, role: Role, follow: list[Stage]
) -> None:
    begin(scripted)
    # mlops by hand would make the live release again: that needs an override
    sent = scripted.manual(role, reason="a better idea", by="Ada", override=role is Role.MLOPS)
    cycle = scripted.cycles()[-1]
    assert stages(sent) == follow
    assert {message.cycle_id for message in sent} == {cycle.cycle_id} != {FIRST}
    assert (cycle.started_by, cycle.reason, cycle.state) == (f"manual/{role}", "a better idea", State.LIVE)
    live = scripted.live()
    assert live is not None
    assert (live.version, live.cycle_id) == (2, cycle.cycle_id)


@pytest.mark.parametrize("edge", OPENING)
def test_monitoring_by_hand_sends_the_work_where_a_person_wants_it(scripted: Lap, edge: Edge) -> None:
    begin(scripted)
    if edge is Edge.MONITORING_TO_MLOPS:  # with one release there is nothing to go back to
        with pytest.raises(ReleaseError, match="nothing to roll back to"):
            scripted.manual(Role.MONITORING, loop=edge, by="Ada", reason="try it")
        return
    sent = scripted.manual(Role.MONITORING, loop=edge, by="Ada", reason="try it")
    loop, cycle = sent[0], scripted.cycles()[-1]
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason, loop.text, loop.by) == (edge, Reason.RETRIGGERED, "Ada: try it", "Ada")
    assert (cycle.started_by, cycle.parent_cycle_id) == (f"loop/{edge}", FIRST)
    if edge is Edge.MONITORING_TO_REQUIREMENTS:
        assert cycle.state is State.WAITING
        sent = scripted.answer(approved=True)
    assert stages(sent)[-1] is Stage.DEPLOYMENT
    assert scripted.cycles()[-1].state is State.LIVE


def test_monitoring_by_hand_only_checks_unless_told_otherwise(scripted: Lap) -> None:
    begin(scripted)
    assert scripted.manual(Role.MONITORING) == []
    assert [one.verdict for one in scripted.verdicts()] == ["inconclusive"] * 2


def test_data_science_starts_from_the_newest_data(scripted: Lap) -> None:
    begin(scripted)
    scripted.manual(Role.DATA_ENGINEERING)
    order = scripted.receive(scripted.by_hand(Role.DATA_SCIENCE))
    assert order.inputs == {Stage.COLLECTION: "collection-c0002-2016-01-01-1"}


@pytest.mark.parametrize("role", [Role.DATA_SCIENCE, Role.MLOPS])
def test_without_anything_to_start_from_no_cycle_is_opened(scripted: Lap, script: Script, role: Role) -> None:
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    begin(scripted)
    scripted.answer(approved=False)
    assert scripted.manual(role) == []
    assert "to start from; next: start with an earlier DAG" in scripted.refused[-1]
    assert scripted.cycles(State.ACTIVE) == []
    assert begin(scripted) != []


def test_monitoring_by_hand_has_nothing_to_check_before_the_first_release(scripted: Lap) -> None:
    at_work(scripted)
    assert scripted.manual(Role.MONITORING) == []
    assert scripted.refused == ["radar: nothing is live yet; next: trigger the requirements DAG"]


# Time


def test_where_time_is_given_a_run_without_it_takes_the_newest_the_workflow_heard_of(scripted: Lap) -> None:
    begin(scripted)
    scripted.check(quarter("2017Q3"))
    assert scripted.receive(scripted.by_hand(Role.DATA_ENGINEERING)).as_of == quarter("2017Q3")


def test_where_the_wall_clock_counts_a_run_without_a_time_takes_it(scripted: Lap) -> None:
    now = datetime(2031, 5, 6, 7, tzinfo=UTC)
    order = receive(scripted.store, scripted.by_hand(Role.REQUIREMENTS), now, wall_clock=True)
    assert order.as_of == now


# Beside other cycles


@pytest.mark.parametrize("role", [Role.REQUIREMENTS, Role.DATA_ENGINEERING])
def test_a_run_beside_a_cycle_at_work_is_refused(scripted: Lap, role: Role) -> None:
    at_work(scripted)
    assert scripted.manual(role) == []
    assert scripted.refused[-1] == (
        f"radar: cycle {FIRST} is at work: one active cycle per use case; "
        "next: wait for it, or trigger again with override, your name and a reason"
    )
    assert [(cycle.state, cycle.note) for cycle in scripted.cycles()] == [
        (State.ACTIVE, None),
        (State.REFUSED, f"cycle {FIRST} is at work: one active cycle per use case"),
    ]


def test_an_override_takes_over_and_says_who_and_why(scripted: Lap) -> None:
    at_work(scripted)
    sent = scripted.manual(Role.DATA_ENGINEERING, override=True, by="Ada", reason="the data were wrong")
    old, new = scripted.cycles()
    assert (old.state, old.note) == (State.CLOSED, f"Ada started {new.cycle_id}: the data were wrong")
    assert (new.state, new.started_by, new.reason) == (
        State.LIVE,
        "manual/data_engineering",
        "the data were wrong",
    )
    assert stages(sent) == ROUND[1:]


def test_a_forced_loop_beside_a_cycle_at_work_is_refused(scripted: Lap) -> None:
    begin(scripted)
    at_work(scripted)
    scripted.manual(Role.MONITORING, loop=Edge.MONITORING_TO_DATA_ENGINEERING, by="Ada")
    assert "is at work: one active cycle per use case" in scripted.refused[-1]
    assert [cycle.state for cycle in scripted.cycles()] == [State.LIVE, State.ACTIVE, State.REFUSED]


@pytest.mark.parametrize("state", [State.ACTIVE, State.WAITING])
def test_a_forced_loop_with_an_override_takes_over_and_says_who_and_why(
    scripted: Lap, script: Script, state: State
) -> None:
    begin(scripted)
    if state is State.WAITING:
        script.sends_back(Stage.COLLECTION, *NO_DATA)
        scripted.manual(Role.DATA_ENGINEERING)
    else:
        at_work(scripted)
    form = {"loop": Edge.MONITORING_TO_DATA_SCIENCE, "override": True, "by": "Ada", "reason": "now"}
    assert stages(scripted.manual(Role.MONITORING, **form)) == ROUND[2:]
    row, old, new = scripted.loops("accepted")[-1], *scripted.cycles()[-2:]
    assert (row.override_by, row.override_reason) == ("Ada", "Ada: now")
    assert (old.state, old.note) == (State.CLOSED, f"Ada started {new.cycle_id}: Ada: now")
    assert new.state is State.LIVE


def test_an_override_of_a_check_says_nothing_about_what_the_check_finds(scripted: Lap) -> None:
    begin(scripted)
    at_work(scripted)
    for period in ("2016Q1", "2016Q2", "2016Q3"):
        as_of = happen(scripted, period, -0.05)
    assert scripted.check(as_of, override=True, by="Ada") == []


def test_a_person_need_not_wait_for_the_cool_down(scripted: Lap) -> None:
    begin(scripted)
    for _ in range(2):
        assert scripted.manual(Role.MONITORING, loop=Edge.MONITORING_TO_DATA_ENGINEERING, by="Ada") != []
    assert [row.decision for row in scripted.loops()] == ["no cool-down to wait for"] * 2


# Loops inside a cycle, by hand


INSIDE = [edge for edge in Edge if edge not in OPENING]


@pytest.mark.parametrize("edge", INSIDE)
def test_a_loop_inside_a_cycle_is_raised_by_hand_in_the_dag_of_its_role(scripted: Lap, edge: Edge) -> None:
    cycle = at_work(scripted).cycle_id
    incoming = scripted.by_hand(edge.raised_by, loop=edge, cycle=cycle, by="Ada", reason="look again")
    loop = scripted.run(incoming)
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.cycle_id, loop.attempt) == (edge, cycle, 2)
    assert (loop.reason, loop.text, loop.by) == (Reason.RETRIGGERED, "Ada: look again", "Ada")
    assert scripted.run(incoming) == loop
    scripted.event(loop)
    row = scripted.loops()[0]
    assert (row.state, len(scripted.loops())) == ("accepted", 1)
    waits = edge.received_by is Role.REQUIREMENTS
    assert scripted.cycles()[0].state is (State.WAITING if waits else State.LIVE)


def test_a_key_names_the_cycle_of_a_loop_too(scripted: Lap) -> None:
    key = at_work(scripted).key
    loop = scripted.run(scripted.by_hand(Role.MLOPS, key=key, loop=Edge.MLOPS_TO_DATA_SCIENCE, by="Ada"))
    assert loop is not None
    assert loop.key == key


def test_a_loop_in_a_cycle_that_is_over_is_refused_by_the_governor(scripted: Lap) -> None:
    begin(scripted)
    scripted.manual(Role.MLOPS, loop=Edge.MLOPS_TO_DATA_SCIENCE, cycle=FIRST, by="Ada")
    assert scripted.loops()[0].decision == f"cycle {FIRST} is live: release 1"


@pytest.mark.parametrize(
    ("cycle", "said"),
    [
        (None, "loop mlops→data_science needs a cycle; allowed: c0001-2016-01-01; next: name one of them"),
        ("c9", "there is no cycle c9; allowed: c0001-2016-01-01; next: name one of them"),
    ],
)
def test_a_loop_inside_a_cycle_needs_one_that_is_known(scripted: Lap, cycle: str | None, said: str) -> None:
    at_work(scripted)
    with pytest.raises(Refused) as refusal:
        scripted.receive(scripted.by_hand(Role.MLOPS, loop=Edge.MLOPS_TO_DATA_SCIENCE, cycle=cycle, by="Ada"))
    assert said in refusal.value.text


def test_a_loop_is_raised_in_the_dag_of_its_role_only(scripted: Lap) -> None:
    at_work(scripted)
    with pytest.raises(HandoverError) as error:
        scripted.receive(scripted.by_hand(Role.MONITORING, loop=Edge.MLOPS_TO_DATA_SCIENCE, by="Ada"))
    assert (
        "loop mlops→data_science is not one that monitoring raises; allowed: monitoring→mlops, "
        in error.value.text
    )
    assert error.value.text.endswith("next: trigger mlops with this form")


def test_a_waiting_cycle_is_closed_by_a_run(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    begin(scripted)
    assert scripted.cycles()[0].state is State.WAITING
    assert stages(scripted.manual(Role.DATA_ENGINEERING, by="Ada", reason="the file is there")) == ROUND[1:]
    old, new = scripted.cycles()
    assert (old.state, old.note) == (State.CLOSED, f"Ada started {new.cycle_id}: the file is there")


def test_a_cycle_on_which_nothing_moved_is_given_up(scripted: Lap) -> None:
    at_work(scripted)
    scripted.delay = timedelta(hours=6.1)
    assert stages(scripted.manual(Role.DATA_ENGINEERING)) == ROUND[1:]
    assert [cycle.state for cycle in scripted.cycles()] == [State.FAILED, State.LIVE]
    assert scripted.cycles()[0].note == "given up: nothing moved for 6.0 hours"


# Asked again, and taken up again


@pytest.mark.parametrize("role", [Role.REQUIREMENTS, Role.DATA_ENGINEERING, Role.DATA_SCIENCE, Role.MLOPS])
def test_the_same_run_gets_the_same_order_again(scripted: Lap, role: Role) -> None:
    begin(scripted)
    incoming = scripted.by_hand(role, override=role is Role.MLOPS, by="Ada")
    assert scripted.receive(incoming) == scripted.receive(incoming)
    assert len(scripted.cycles()) == 2


def test_the_same_run_gets_the_same_order_again_after_a_part_of_its_work(scripted: Lap) -> None:
    begin(scripted)
    incoming = scripted.by_hand(Role.DATA_SCIENCE, key=f"radar|{FIRST}")
    order = scripted.receive(incoming)
    assert order.attempt == 2
    scripted.work(order, Stage.PREPARATION, Stage.TRAINING)
    assert scripted.receive(incoming) == order


def test_the_same_run_gets_the_same_order_again_after_it_sent_the_work_back(
    scripted: Lap, script: Script
) -> None:
    begin(scripted)
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    incoming = scripted.by_hand(Role.DATA_ENGINEERING)
    order = scripted.receive(incoming)
    scripted.work(order, Stage.COLLECTION)
    assert scripted.receive(incoming) == order


def test_a_key_takes_a_cycle_up_again_with_the_next_attempt(scripted: Lap, script: Script) -> None:
    script.sends_back(Stage.COLLECTION, *NO_DATA, times=2)
    begin(scripted)
    for _ in range(2):
        scripted.manual(Role.DATA_ENGINEERING, key=f"radar|{FIRST}")
    assert [(cycle.cycle_id, cycle.state) for cycle in scripted.cycles()] == [(FIRST, State.LIVE)]
    assert [attempt for stage, attempt in script.done if stage is Stage.COLLECTION] == [1, 2, 3]


def test_a_cycle_taken_up_again_starts_from_its_own_data(scripted: Lap) -> None:
    begin(scripted)
    scripted.manual(Role.DATA_ENGINEERING)
    order = scripted.receive(scripted.by_hand(Role.DATA_SCIENCE, key=f"radar|{FIRST}"))
    assert order.inputs == {Stage.COLLECTION: f"collection-{FIRST}-1"}


def test_a_check_does_not_end_a_cycle_that_was_taken_up_again(scripted: Lap) -> None:
    begin(scripted)
    collected = scripted.run(scripted.by_hand(Role.DATA_ENGINEERING, key=f"radar|{FIRST}"))
    assert collected is not None
    scripted.check(quarter("2016Q2"))
    assert scripted.cycles()[0].state is State.ACTIVE
    assert stages(scripted.event(collected)) == ROUND[2:]
    assert (scripted.cycles()[0].state, scripted.cycles()[0].note) == (State.LIVE, "release 2")


def test_a_check_finds_a_live_release_that_was_never_announced(scripted: Lap) -> None:
    signed = at_work(scripted)
    collected = scripted.run(scripted.arriving(signed))
    evaluated = scripted.run(scripted.arriving(collected))  # type: ignore[arg-type]
    scripted.run(scripted.arriving(evaluated))  # type: ignore[arg-type]  # and its event is lost
    assert scripted.cycles()[0].state is State.ACTIVE
    scripted.check(quarter("2016Q2"))
    assert scripted.cycles()[0].state is State.LIVE


def test_a_key_may_name_a_new_cycle(scripted: Lap) -> None:
    begin(scripted, key="radar|my-cycle")
    assert [(cycle.cycle_id, cycle.state) for cycle in scripted.cycles()] == [("my-cycle", State.LIVE)]


# Faults


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("radar", "'radar' is not a cycle's key; allowed: use_case|cycle_id"),
        ("other|c0001", "the partition key is of 'other', the form of 'radar'"),
        (
            "radar|My Cycle",
            "'radar|My Cycle' is not a cycle's key; allowed: use_case|cycle_id, both in lower case",
        ),
        ("radar|c0001\n", "is not a cycle's key"),
    ],
)
def test_a_key_that_names_no_cycle_of_the_use_case_is_an_error(scripted: Lap, key: str, said: str) -> None:
    begin(scripted)
    with pytest.raises(HandoverError) as error:
        scripted.manual(Role.DATA_ENGINEERING, key=key)
    assert said in error.value.text
    assert len(scripted.cycles()) == 1


@pytest.mark.parametrize("role", [Role.DATA_ENGINEERING, Role.DATA_SCIENCE, Role.MLOPS, Role.MONITORING])
def test_an_unknown_use_case_is_an_error_that_names_the_known(scripted: Lap, role: Role) -> None:
    begin(scripted)
    with pytest.raises(ContractError) as error:
        scripted.manual(role, use_case="rader")
    assert error.value.text == (
        "rader: has no signed contract; allowed: radar; next: trigger the requirements DAG for it first"
    )


def test_requirements_for_an_unknown_use_case_is_an_error_that_names_the_known(scripted: Lap) -> None:
    write_use_case(scripted.settings.use_cases, "second")
    with pytest.raises(ContractError) as error:
        scripted.manual(Role.REQUIREMENTS, use_case="rader")
    assert (
        "no use case is named 'rader'; allowed: radar, second; next: choose one of these" in error.value.text
    )
    scripted.use_case = "rader"
    assert [cycle.state for cycle in scripted.cycles()] == [State.FAILED]


def test_without_a_signed_contract_only_requirements_may_start(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap(script, sign_off="required")
    begin(lap)  # a person has not answered yet
    with pytest.raises(
        ContractError, match=r"radar: has no signed contract; allowed: \(no use case has one yet\)"
    ):
        lap.manual(Role.DATA_ENGINEERING)


def test_a_run_without_a_form_is_an_error(scripted: Lap) -> None:
    with pytest.raises(HandoverError, match="started by hand without a use case and a reason; next: trigger"):
        scripted.receive(Incoming(Role.MLOPS, "run"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "use_case: Field required; reason: Field required"),
        ({"use_case": None, "reason": "x"}, "use_case: Field required"),
        ({"use_case": "radar", "reason": ""}, "reason: String should have at least 1 character"),
        ({"use_case": "radar", "reason": "  \n"}, "reason: String should have at least 1 character"),
        ({"use_case": "radar", "reason": "x" * 2001}, "reason: String should have at most 2000 characters"),
        ({"use_case": "Radar!", "reason": "x"}, "use_case: String should match pattern"),
        (
            {"use_case": "radar", "reason": "x", "as_of": "2016-01-01T00:00:00"},
            "as_of: Input should have timezone",
        ),
        ({"use_case": "radar", "reason": "x", "loop": "up→down"}, "'monitoring→data_engineering'"),
        ({"use_case": "radar", "reason": "x", "cycle": "C 1"}, "cycle: String should match pattern"),
        (
            {"use_case": "radar", "reason": "x", "override": True},
            "an override needs the name of who decided it",
        ),
    ],
)
def test_a_form_that_is_not_complete_is_an_error_that_names_each_field(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(HandoverError) as error:
        read_form(values)
    assert said in error.value.text
    assert "next: trigger the DAG again and fill in the fields named" in error.value.text


def test_a_form_takes_what_a_dag_gives_it() -> None:
    """Airflow gives every parameter, empty ones as ``None``."""
    values = {
        "use_case": "radar",
        "reason": " why ",
        "by": None,
        "as_of": None,
        "loop": None,
        "override": False,
    }
    assert read_form(values) == Form(use_case="radar", reason="why")


def test_a_field_that_the_form_does_not_have_is_refused_and_the_allowed_are_named() -> None:
    """A configuration with a slip of the pen must not be taken for one without."""
    with pytest.raises(HandoverError) as error:
        read_form({"use_case": "radar", "reason": "why", "overide": True, "as-of": "2016-01-01T00:00:00Z"})
    assert error.value.text.startswith(
        "manual run: the form has no field 'as-of', 'overide'; allowed: use_case, reason, "
    )
    assert "next: trigger the DAG again with the fields of its form only" in error.value.text


@pytest.mark.parametrize("role", [Role.REQUIREMENTS, Role.DATA_SCIENCE, Role.MONITORING])
def test_nobody_but_mlops_rolls_back(scripted: Lap, role: Role) -> None:
    begin(scripted)
    with pytest.raises(
        HandoverError, match=f"roll_back is not what {role} does; allowed: mlops; next: trigger mlops"
    ):
        scripted.manual(role, roll_back=True)


def test_a_refusal_is_an_answer(scripted: Lap) -> None:
    at_work(scripted)
    with pytest.raises(Refused) as refusal:
        scripted.receive(scripted.by_hand(Role.MLOPS))
    assert refusal.value.what == "there is no evaluation to start from"
