"""The requirements role: what is signed without a person, when one is asked, and what the answer moves."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from include.kreislauf.errors import ContractError
from include.kreislauf.feedback.sign_off import changed_contract
from include.kreislauf.handovers import Edge, Handover, Reason, Role, Stage
from include.kreislauf.store import contracts, messages, schema
from include.kreislauf.store.cycles import State
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.script import Script
from tests.support.use_cases import EXAMPLE, write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
NO_DATA = (Edge.DATA_ENGINEERING_TO_REQUIREMENTS, Reason.SOURCE_FAILED)


def decision(lap: Lap, contract_hash: str | None = None) -> tuple[Any, ...]:
    """What stands beside a version of the contract: decision, by, how, note."""
    table = schema.contracts
    query = select(table.c["decision", "decided_by", "decided_how", "note"])
    with lap.store.read() as db:
        row = db.execute(query.where(table.c.hash == (contract_hash or lap.contract.hash))).one()
    return tuple(row)


@pytest.fixture
def asking(make_lap: MakeLap, script: Script) -> Lap:
    """A use case whose contract a person must sign, and the question of its first cycle."""
    lap = make_lap(script, sign_off="required")
    assert lap.manual(Role.REQUIREMENTS, as_of=AS_OF) == []
    return lap


@pytest.fixture
def came_back(scripted: Lap, script: Script) -> Lap:
    """A signed contract, and a loop that came back because there were no data."""
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return scripted


# Without a person


def test_an_automatic_sign_off_is_recorded_as_automatic(scripted: Lap) -> None:
    sent = scripted.manual(Role.REQUIREMENTS, as_of=AS_OF, by="Ada")
    assert decision(scripted) == ("signed", "kreislauf", "automatic", "sign_off: automatic")
    assert scripted.questions == []
    assert isinstance(sent[0], Handover)
    assert sent[0].output == sent[0].contract_hash == scripted.contract.hash


def test_a_contract_signed_before_is_not_signed_again(asking: Lap) -> None:
    asking.answer(approved=True, by="Grace")
    assert asking.manual(Role.REQUIREMENTS) != []
    assert (asking.questions, decision(asking)[1]) == ([], "Grace")


def test_the_signed_contract_is_handed_over_with_a_readable_document(scripted: Lap) -> None:
    sent = scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)[0]
    with scripted.store.read() as db:
        document = messages.document_of(db, sent.id)
    assert document is not None
    for part in ("# Signed contract: Future-proof software technologies", scripted.contract.hash,
                 "- portfolio_uplift: breach below 0.02 log points per period"):  # fmt: skip
        assert part in document


# A person is asked


def test_a_required_sign_off_asks_a_person(asking: Lap) -> None:
    question = asking.questions[0].question
    assert f"Sign the contract **{asking.contract.title}** (`{asking.contract.hash[:12]}`)?" in question
    assert [cycle.state for cycle in asking.cycles()] == [State.WAITING]
    assert decision(asking) == (None, None, None, None)


def test_an_approval_signs_and_carries_on(asking: Lap) -> None:
    sent = asking.answer(approved=True, by="Grace", note="as agreed")
    assert decision(asking) == ("signed", "Grace", "person", "as agreed")
    assert [one.stage for one in sent if isinstance(one, Handover)][-1] is Stage.DEPLOYMENT
    assert [cycle.state for cycle in asking.cycles()] == [State.LIVE]


def test_a_rejection_is_recorded_and_ends_the_cycle(asking: Lap) -> None:
    assert asking.answer(approved=False, by="Grace", note="not yet") == []
    assert decision(asking) == ("rejected", "Grace", "person", "not yet")
    assert [(cycle.state, cycle.note) for cycle in asking.cycles()] == [
        (State.CLOSED, "rejected by Grace: not yet")
    ]
    with pytest.raises(ContractError, match="has no signed contract"):
        asking.manual(Role.DATA_ENGINEERING)


def test_a_rejected_contract_is_asked_about_again_when_someone_tries_again(asking: Lap) -> None:
    asking.answer(approved=False)
    asking.manual(Role.REQUIREMENTS)
    assert "Sign the contract" in asking.questions[0].question


def test_a_question_asked_twice_is_one_question(asking: Lap) -> None:
    incoming = asking.by_hand(Role.REQUIREMENTS, run_id="manual-0")
    asking.questions.clear()
    asking.run(incoming)  # the task that asks was repeated
    assert len(asking.questions) == len(asking.cycles()) == 1
    assert asking.answer(approved=True) != []


def test_an_answer_to_a_cycle_that_had_to_make_way_goes_nowhere(asking: Lap) -> None:
    """The contract is signed all the same: the person meant it."""
    late = asking.questions.pop()
    asking.manual(Role.REQUIREMENTS)
    asking.answer(approved=True)
    asking.questions.append(late)
    assert asking.answer(approved=True, by="Grace") == []
    assert [cycle.state for cycle in asking.cycles()] == [State.CLOSED, State.LIVE]
    assert decision(asking)[:2] == ("signed", "Grace")


# A loop that came back


def test_a_loop_that_came_back_asks_a_person_although_sign_off_is_automatic(came_back: Lap) -> None:
    question = came_back.questions[0].question
    assert question.startswith("**data_engineering→requirements** came back: collection says source_failed")
    assert "The contract has not changed since." in question
    cycle = came_back.cycles()[0]
    assert (cycle.state, cycle.note) == (State.WAITING, "collection says source_failed")


def test_an_approved_loop_goes_round_with_the_next_attempt(came_back: Lap) -> None:
    sent = came_back.answer(approved=True)
    assert {message.attempt for message in sent} == {2}
    assert [cycle.state for cycle in came_back.cycles()] == [State.LIVE]


def test_a_loop_turned_down_leaves_the_contract_signed(came_back: Lap) -> None:
    came_back.answer(approved=False, by="Grace", note="we wait for the data")
    assert decision(came_back)[:3] == ("signed", "kreislauf", "automatic")
    assert came_back.cycles()[0].note == "rejected by Grace: we wait for the data"
    assert came_back.manual(Role.DATA_ENGINEERING) != []


def test_a_loop_that_came_back_goes_on_by_itself_when_the_contract_has_changed(
    scripted: Lap, script: Script
) -> None:
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    signed = scripted.run(scripted.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert signed is not None
    loop = scripted.run(scripted.arriving(signed))
    assert loop is not None
    changed = write_use_case(scripted.settings.use_cases, quality={"min_rows": 10})
    sent = scripted.event(loop)
    assert scripted.questions == []
    assert {message.contract_hash for message in sent} == {changed.hash} != {signed.contract_hash}
    assert scripted.cycles()[0].state is State.LIVE


def test_a_changed_contract_that_must_be_signed_is_asked_about_and_its_rejection_stands(
    make_lap: MakeLap, script: Script
) -> None:
    lap = make_lap(script, sign_off="required")
    script.sends_back(Stage.COLLECTION, *NO_DATA)
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    before = lap.contract.hash
    lap.answer(approved=True)  # and the loop comes back
    loop = lap.loops()[-1].loop
    changed = write_use_case(lap.settings.use_cases, sign_off="required", quality={"min_rows": 10})
    lap.questions.clear()
    lap.run(lap.arriving(loop, str(lap.loops()[-1].received_run)))  # its task is repeated
    assert "Sign the contract" in lap.questions[0].question
    lap.answer(approved=False, by="Grace", note="too few rows")
    assert decision(lap, changed.hash) == ("rejected", "Grace", "person", "too few rows")
    assert decision(lap, before)[0] == "signed"


def test_monitoring_asks_a_person_too(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    scripted.manual(
        Role.MONITORING, loop=Edge.MONITORING_TO_REQUIREMENTS, by="Ada", reason="is it still wanted?"
    )
    assert "**monitoring→requirements** came back: Ada: is it still wanted?" in scripted.questions[0].question
    assert scripted.answer(approved=True) != []
    assert [cycle.state for cycle in scripted.cycles()] == [State.LIVE, State.LIVE]


# Contracts that changed, or cannot be used


def test_a_broken_contract_is_an_error_and_ends_the_cycle(scripted: Lap) -> None:
    path = scripted.settings.use_cases / "radar" / "contract.yaml"
    path.write_text(path.read_text().replace("metric: mae", "metric: vibes"))
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "vibes" in text)
    with pytest.raises(ContractError) as error:
        scripted.manual(Role.REQUIREMENTS)
    assert error.value.where == f"{path}:{line}"
    assert "allowed: 'mae'" in error.value.text
    assert [cycle.state for cycle in scripted.cycles()] == [State.FAILED]


def test_a_new_contract_is_found_once(scripted: Lap) -> None:
    use_cases = scripted.settings.use_cases
    assert changed_contract(scripted.store, use_cases) == scripted.contract
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    assert changed_contract(scripted.store, use_cases) is None
    changed = write_use_case(use_cases, title="Another title")
    assert changed_contract(scripted.store, use_cases) == changed


def test_a_contract_that_changed_waits_until_its_use_case_is_at_rest_and_others_do_not(scripted: Lap) -> None:
    use_cases = scripted.settings.use_cases
    scripted.run(scripted.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    write_use_case(use_cases, title="Another title")
    assert changed_contract(scripted.store, use_cases) is None
    second = write_use_case(use_cases, "second")
    assert changed_contract(scripted.store, use_cases) == second


def test_a_broken_contract_is_passed_over_in_the_look_for_changed_ones(scripted: Lap) -> None:
    use_cases = scripted.settings.use_cases
    write_use_case(use_cases, "broken")
    (use_cases / "broken" / "contract.yaml").write_text("version: 1\nversion: 2\n")
    assert changed_contract(scripted.store, use_cases) == scripted.contract


def test_the_cycles_after_a_change_work_under_the_new_contract(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    changed = write_use_case(scripted.settings.use_cases, title="Another title")
    scripted.manual(Role.REQUIREMENTS)
    with scripted.store.read() as db:
        assert contracts.signed_contract(db, "radar") == changed
    assert scripted.receive(scripted.by_hand(Role.DATA_ENGINEERING)).contract_hash == changed.hash


def test_a_broken_contract_file_is_told_and_keeps_no_other_from_being_seen(
    scripted: Lap, caplog: pytest.LogCaptureFixture
) -> None:
    use_cases = scripted.settings.use_cases
    (use_cases / "broken").mkdir()
    (use_cases / "broken" / "contract.yaml").write_text("not: a contract\n")
    assert changed_contract(scripted.store, use_cases) == scripted.contract
    [said] = [one.getMessage() for one in caplog.records if one.name.endswith("feedback.sign_off")]
    assert said.startswith("broken: the contract's file cannot be used: ")
    assert "broken/contract.yaml:1" in said


def test_two_folders_with_one_name_are_told_and_the_first_goes_its_way(
    scripted: Lap, caplog: pytest.LogCaptureFixture
) -> None:
    """Who copies a folder and forgets the name in it."""
    use_cases = scripted.settings.use_cases
    shutil.copytree(use_cases / "radar", use_cases / "another")
    assert changed_contract(scripted.store, use_cases) == scripted.contract
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    assert changed_contract(scripted.store, use_cases) is None
    assert "another: the contract's file cannot be used: " in caplog.text
    assert "name 'radar' differs from its folder 'another'; allowed: another" in caplog.text
    with pytest.raises(ContractError, match="rename the folder or the use case"):
        scripted.manual(Role.REQUIREMENTS, use_case="another", as_of=AS_OF)
    assert [one.use_case for one in scripted.cycles(State.LIVE, State.ACTIVE)] == ["radar"]


def test_of_a_metric_of_which_less_is_better_a_breach_lies_above(make_lap: MakeLap, script: Script) -> None:
    error = {"kind": "outcomes", "name": "error", "measure": "absolute_error", "direction": "lower", "threshold": 0.2,
             "test": {"bounds": [0, 1]}}  # fmt: skip
    metrics = yaml.safe_load((EXAMPLE / "contract.yaml").read_text())["business_metrics"]
    lap = make_lap(script, business_metrics=[*metrics, error])
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    with lap.store.read() as db:
        documents = list(db.scalars(select(schema.handovers.c.document)))
    assert "- error: breach above 0.2 share" in documents[0]
