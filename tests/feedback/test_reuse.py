"""Reuse through the ring: what a loop does not do again, what makes work new, and how one is told."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.cli import main
from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.reuse import Change, Explained, explain
from include.kreislauf.handovers import Handover, Role, Stage, WorkOrder
from include.kreislauf.simulation.panel import PANEL_PATH
from include.kreislauf.store import messages
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import load_candidates
from include.kreislauf.training.step import train
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
LATER = AS_OF + timedelta(days=100)
DONE = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING)


def done(lap: Lap, order: WorkOrder, *stages: Stage) -> list[Handover]:
    """Disciplines one after the other; their handovers."""
    found = []
    for stage in stages or DONE:
        message, order = lap.work(order, stage)
        assert isinstance(message, Handover)
        found.append(message)
    return found


def again(order: WorkOrder, **fields: Any) -> WorkOrder:
    """The next attempt of the same cycle, as a loop that asks for training starts it."""
    return order.model_copy(
        update={"attempt": order.attempt + 1, "inputs": {}, "step": Stage.TRAINING, **fields}
    )


def document(lap: Lap, handover: Handover) -> str:
    with lap.store.read() as db:
        return messages.document_of(db, handover.id) or ""


def why(lap: Lap, cycle: str | None = None, stage: Stage | None = None) -> list[Explained]:
    with lap.store.read() as db:
        return explain(db, lap.use_case, cycle, stage)[1]


def sign(lap: Lap, **changes: Any) -> None:
    """Another contract of the same use case."""
    write_use_case(lap.settings.use_cases, lap.use_case, **changes)


# What is used again


def test_a_loop_that_asks_for_training_prepares_nothing(make_lap: MakeLap) -> None:
    lap = make_lap(training={"configurations": 2})
    order = lap.order(AS_OF)
    first = done(lap, order)
    second = done(lap, again(order), Stage.PREPARATION, Stage.TRAINING)
    assert (second[0].output, second[0].reused_from) == (first[1].output, first[1].id)
    assert document(lap, second[0]).startswith(f"> Reused from `{first[1].id}`: nothing that it depends on has changed.")  # fmt: skip
    assert document(lap, first[1]) in document(lap, second[0])
    assert second[1].reused_from == ""
    trials: Any = second[1].summary["trials"]
    assert trials["reused"] > 0
    assert trials["made"] < trials["reused"] + trials["made"]


def test_a_wider_search_comes_to_the_same_bytes_as_without_known_trials(make_lap: MakeLap) -> None:
    lap = make_lap(training={"configurations": 2})
    order = lap.order(AS_OF)
    done(lap, order)
    wider = done(lap, again(order), Stage.PREPARATION, Stage.TRAINING)[1]
    saved = load_candidates(lap.settings.artefacts, lap.use_case, wider.output)
    files = {path.name: path.read_bytes() for path in saved.folder.iterdir()}
    shutil.rmtree(saved.folder)
    shutil.rmtree(lap.settings.artefacts / "trials")
    asked = again(order).model_copy(update={"inputs": wider.inputs, "fresh": True})
    anew = train(asked, lap.contract, lap.settings).message
    assert isinstance(anew, Handover)
    assert anew.output == wider.output
    assert {path.name: path.read_bytes() for path in saved.folder.iterdir()} == files
    assert anew.summary["trials"] == {"reused": 0, "made": sum(_trials(wider).values())}


def _trials(handover: Handover) -> dict[str, int]:
    found: Any = handover.summary["trials"]
    return dict(found)


def test_another_cycle_on_the_same_data_uses_everything_again(lap: Lap) -> None:
    first = done(lap, lap.order(AS_OF))
    later = done(lap, lap.order(LATER), Stage.PREPARATION, Stage.TRAINING)
    assert [one.output for one in later] == [one.output for one in first[1:]]
    assert [one.reused_from for one in later] == [one.id for one in first[1:]]
    third = done(lap, lap.order(LATER), Stage.PREPARATION, Stage.TRAINING)
    assert [one.reused_from for one in third] == [one.id for one in first[1:]], (
        "the first one's, not the copy's"
    )


def test_a_collection_of_the_same_time_and_sources_is_used_again_with_its_sheet(lap: Lap) -> None:
    first, second, third = (done(lap, lap.order(AS_OF), Stage.COLLECTION)[0] for _ in range(3))
    assert (second.output, second.reused_from) == (first.output, first.id)
    sheets = lap.settings.artefacts / lap.use_case / "data_sheets"
    texts = [(sheets / f"{one.cycle_id}-1" / "data_sheet.md").read_text() for one in (first, second, third)]
    assert (
        texts[1]
        == texts[2]
        == f"> Reused from `{first.id}`: nothing that it depends on has changed.\n\n{texts[0]}"
    )


def test_a_source_that_shows_nothing_new_cuts_the_work_off(lap: Lap) -> None:
    """Later, the time is another one: the source is read, and its content found to be the same."""
    panel = lap.settings.home / "data" / PANEL_PATH
    first = done(lap, lap.order(AS_OF))
    panel.write_bytes(panel.read_bytes() + b"\n")
    later = done(lap, lap.order(AS_OF + timedelta(days=1)))
    assert [one.output for one in later] == [one.output for one in first]
    assert document(lap, later[0]).startswith(
        f"> Made anew (what it depends on has changed), with the content of `{first[0].id}`: its version is named again."
    )
    assert [one.reused_from for one in later] == [one.id for one in first]
    [collected] = why(lap, stage=Stage.COLLECTION)
    assert (
        collected.text
        == "made anew (what it depends on has changed), with the content that was there already"
    )
    assert {one.part for one in collected.changes} == {"time", "source panel"}


# What is made anew


def test_a_later_time_with_new_data_makes_everything_anew(lap: Lap) -> None:
    first = done(lap, lap.order(AS_OF))
    later = done(lap, lap.order(LATER))
    assert not any(one.reused_from for one in later)
    assert not {one.output for one in first} & {one.output for one in later}
    found = {one.stage: one.changes for one in why(lap)}
    assert found[Stage.COLLECTION] == (
        Change(part="time", before=AS_OF.isoformat(), after=LATER.isoformat()),
    )
    assert Change(part="raw data", before="raw@0", after="raw@1") in found[Stage.PREPARATION]
    assert found[Stage.TRAINING] == (Change(part="features", before="features@0", after="features@1"),)


@pytest.mark.parametrize("by", ["kreislauf", "Ada"])
def test_fresh_work_is_made_anew_and_says_who_wanted_it(lap: Lap, by: str) -> None:
    done(lap, lap.order(AS_OF))
    fresh = done(lap, lap.order(AS_OF, fresh=True, by=by))
    assert [one.output.split("@")[0] for one in fresh[:2]] == ["raw", "features"]
    assert [one.output for one in fresh[:2]] == ["raw@1", "features@1"]
    assert not any(one.reused_from for one in fresh)
    assert all(one.summary["made_anew"] == f"{by} wanted it made anew" for one in fresh)
    assert document(lap, fresh[0]).startswith(f"> Made anew: {by} wanted it made anew.")
    assert why(lap)[0].text == f"made anew: {by} wanted it made anew"


def test_a_person_asks_for_fresh_work_in_the_form(scripted: Lap) -> None:
    order = scripted.receive(scripted.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    assert order.fresh is False
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF, by="Ada", override=True)
    asked = scripted.receive(scripted.by_hand(Role.DATA_ENGINEERING, as_of=AS_OF, by="Ada", fresh=True))
    assert (asked.fresh, asked.by) == (True, "Ada")


def damage(lap: Lap, handover: Handover) -> None:
    """The files of a result are gone, or were changed."""
    if handover.stage is Stage.TRAINING:
        folder = load_candidates(lap.settings.artefacts, lap.use_case, handover.output).folder
        [model] = folder.glob("model_*.joblib")
        model.write_bytes(model.read_bytes() + b"!")
        return
    table = Path(Tables(lap.settings.tables, lap.use_case).base_url) / handover.output.split("@")[0]
    for file in table.glob("*.parquet"):
        file.unlink()


@pytest.mark.parametrize(
    ("stage", "said"),
    [(Stage.COLLECTION, "cannot be opened"), (Stage.PREPARATION, "cannot be opened"), (Stage.TRAINING, "was changed")],
)  # fmt: skip
def test_a_result_that_is_damaged_is_made_anew_and_says_why(lap: Lap, stage: Stage, said: str) -> None:
    first = {one.stage: one for one in done(lap, lap.order(AS_OF))}
    damage(lap, first[stage])
    second = {one.stage: one for one in done(lap, lap.order(AS_OF))}
    note = str(second[stage].summary["made_anew"])
    assert note.startswith(f"the result of {first[stage].id} cannot be used: ")
    assert said in note
    assert (second[stage].reused_from, second[stage].output != first[stage].output) == ("", True)
    third = {one.stage: one for one in done(lap, lap.order(AS_OF))}
    assert third[stage].reused_from == second[stage].id


def test_another_contract_makes_anew_only_what_depends_on_the_change(make_lap: MakeLap) -> None:
    lap = make_lap(training={"configurations": 1})
    first = done(lap, lap.order(AS_OF))
    sign(lap, training={"configurations": 2}, title="Another title")
    second = done(lap, lap.order(AS_OF))
    assert [one.reused_from for one in second] == [first[0].id, first[1].id, ""]
    trained = why(lap, stage=Stage.TRAINING)[0]
    assert trained.text == "made anew: something has changed"
    assert Change(part="contract training.configurations", before="1", after="2") in trained.changes
    assert {one.part for one in trained.changes} == {"contract training.configurations", "tried"}


def test_other_feature_code_prepares_anew_and_does_not_collect(lap: Lap) -> None:
    first = done(lap, lap.order(AS_OF))
    with (lap.settings.use_cases / lap.use_case / "features.py").open("a") as file:
        file.write("\n# another line\n")
    second = done(lap, lap.order(AS_OF))
    assert [bool(one.reused_from) for one in second] == [True, False, False]
    assert second[1].output != first[1].output
    [prepared] = why(lap, stage=Stage.PREPARATION)
    assert [one.part for one in prepared.changes] == ["file features.py"]


def test_another_version_of_the_code_makes_everything_anew(lap: Lap) -> None:
    done(lap, lap.order(AS_OF))
    before = lap.settings.code
    lap.settings = lap.settings.model_copy(update={"code_version": "2.0"})
    assert not any(one.reused_from for one in done(lap, lap.order(AS_OF))[1:])
    assert [one.changes[0] for one in why(lap, stage=Stage.PREPARATION)] == [
        Change(part="code", before=before, after="2.0")
    ]


# The command


@pytest.fixture
def two(lap: Lap, monkeypatch: pytest.MonkeyPatch) -> tuple[Lap, list[Handover]]:
    """Two cycles: the second prepares and trains on the first one's data."""
    first = done(lap, lap.order(AS_OF))
    done(lap, lap.order(LATER), Stage.PREPARATION, Stage.TRAINING)
    monkeypatch.setenv("KREISLAUF_HOME", str(lap.settings.home))
    return lap, first


def test_the_command_tells_of_the_last_cycle(
    two: tuple[Lap, list[Handover]], capsys: pytest.CaptureFixture[str]
) -> None:
    lap, first = two
    assert main(["reuse", "why", "radar"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"radar, cycle {lap.cycles()[-1].cycle_id}",
        "preparation, attempt 1 (features@0): reused: nothing that it depends on has changed",
        f"  its output is that of {first[1].id}",
        f"training, attempt 1 ({first[2].output}): reused: nothing that it depends on has changed",
        f"  its output is that of {first[2].id}",
    ]


def test_the_command_tells_programs_of_one_stage_of_one_cycle(
    two: tuple[Lap, list[Handover]], capsys: pytest.CaptureFixture[str]
) -> None:
    cycle = two[1][0].cycle_id
    assert main(["reuse", "why", "radar", "--cycle", cycle, "--stage", "training", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["use_case"], told["cycle"], len(told["results"])) == ("radar", cycle, 1)
    [result] = told["results"]
    assert (result["stage"], result["reused_from"], result["changes"]) == ("training", "", [])
    assert result["text"] == "made anew: nothing was there to compare with"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["radar", "--cycle", "c0099"], "nothing was handed over in cycle c0099"), (["unknown"], "nothing was handed over yet")],
)  # fmt: skip
def test_the_command_refuses_what_is_not_there(
    two: tuple[Lap, list[Handover]], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["reuse", "why", *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert ("radar" if arguments == ["unknown"] else two[1][0].cycle_id) in error


def test_what_is_always_done_anew_says_so(lap: Lap) -> None:
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    told = {one.stage: one.text for one in why(lap)}
    assert told[Stage.EVALUATION].startswith("always done anew: ")
    with pytest.raises(KreislaufError, match="nothing was handed over in cycle none"):
        why(lap, "none")
