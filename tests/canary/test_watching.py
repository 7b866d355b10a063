"""How far a canary has come, out of rows of the store; and what is told of one that does not go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.kreislauf.canary.result import passed, write_down
from include.kreislauf.canary.watching import STAGES, Progress, look
from include.kreislauf.handovers import Handover, Role, Stage
from include.kreislauf.settings import CANARY
from include.kreislauf.store import cycles, messages, observations, receipts
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from include.kreislauf.store.observations import Verdict
from tests.support.examples import NOW, handover

ORIGIN = "requirements/canary__1"


def begin(store: Store, state: State = State.ACTIVE, note: str | None = None) -> Cycle:
    with store.write() as db:
        cycle = cycles.open_cycle(
            db, CANARY, origin=ORIGIN, started_by="manual/requirements", reason="canary 1", as_of=NOW, now=NOW
        )
        cycles.set_state(db, cycle, state, NOW, note)
    return cycle


def hand_over(store: Store, cycle: Cycle, stage: Stage, seconds: float, **fields: Any) -> Handover:
    message = handover(use_case=CANARY, cycle_id=cycle.cycle_id, stage=stage, **fields)
    with store.write() as db:
        return messages.save_handover(db, message, "", NOW + timedelta(seconds=seconds))


def progress(store: Store) -> Progress:
    with store.read() as db:
        return look(db, ORIGIN, NOW)


def test_before_the_first_dag_has_run_nothing_is_known(store: Store) -> None:
    found = progress(store)
    assert (found, found.next, found.ended) == (Progress(), "requirements", None)
    assert found.stuck(90).text == (
        "requirements: no run of requirements took it up within 90 s; next: look at the runs of requirements in Airflow: "
        "one that is queued waits for a worker or the broker; where there is none, the scheduler has made none of the "
        "asset event before it"
    )


def test_each_stage_counts_from_the_one_before_and_the_last_is_the_verdict(store: Store) -> None:
    cycle = begin(store)
    for number, stage in enumerate((one for one in Stage if one is not Stage.MONITORING), 1):
        summary = {"tracking": {"parent": "run7", "note": ""}} if stage is Stage.TRAINING else {}
        output = "4" if stage is Stage.DEPLOYMENT else "some"
        hand_over(store, cycle, stage, 3.0 * number, output=output, summary=summary)
    found = progress(store)
    assert (found.next, found.release, found.tracking) == ("monitoring", 4, "MLflow run run7")
    verdict = Verdict(
        use_case=CANARY, metric="right", release=4, as_of=NOW, cycle_id=cycle.cycle_id, verdict="inconclusive",
        value=None, low=None, high=None, threshold=0.5, periods=0, text="",
    )  # fmt: skip
    with store.write() as db:
        observations.save_verdicts(db, [verdict], NOW + timedelta(seconds=20))
    found = progress(store)
    assert found.next == ""
    assert found.seconds == {**dict.fromkeys(STAGES[:-1], 3.0), "monitoring": 2.0}
    assert found.told()["cycle"] == cycle.cycle_id


def test_a_stage_that_does_not_come_is_told_apart_by_whether_it_was_taken_up(store: Store) -> None:
    cycle = begin(store)
    signed = hand_over(store, cycle, Stage.REQUIREMENTS, 1)
    assert (
        progress(store)
        .stuck(9)
        .text.startswith("collection: no run of data_engineering took it up within 9 s; next: ")
    )
    with store.write() as db:
        receipts.record_receipt(db, signed, Role.DATA_ENGINEERING, "run_5", NOW)
    assert progress(store).stuck(9).text == (
        "collection: data_engineering took it up, and was not done within 9 s; "
        "next: read the log of run run_5 of data_engineering in Airflow"
    )


@pytest.mark.parametrize("state", [State.FAILED, State.WAITING, State.CLOSED, State.REFUSED])
def test_a_cycle_that_is_over_is_not_waited_for(store: Store, state: State) -> None:
    begin(store, state, "the disk is full")
    ended = progress(store).ended
    assert ended
    assert ended.text == (
        f"requirements: cycle c0001-2016-01-01 is {state}: the disk is full; "
        "next: read the log of run canary__1 of requirements in Airflow"
    )


def test_without_tracking_the_note_says_why(store: Store) -> None:
    cycle = begin(store)
    hand_over(
        store, cycle, Stage.TRAINING, 1, summary={"tracking": {"parent": "", "note": "the server is away"}}
    )
    assert progress(store).tracking == "not tracked: the server is away"


def test_the_result_stays_with_the_cycle(store: Store) -> None:
    cycle = begin(store)
    line = passed({"requirements": 2.0, "service": 0.51}, cycle.cycle_id, 3, "MLflow run 7")
    assert line == (
        "canary passed in 2.5 s: requirements 2.0 s, service 0.5 s; cycle c0001-2016-01-01, release 3; MLflow run 7"
    )
    write_down(store, cycle.cycle_id, line, NOW, over=False)
    write_down(store, "unknown", line, NOW, over=True)  # it failed before there was a cycle
    kept = progress(store).cycle
    assert kept
    assert (kept.state, kept.note) == (State.ACTIVE, line)


@pytest.mark.parametrize(("state", "after"), [(State.ACTIVE, State.CLOSED), (State.LIVE, State.LIVE)])
def test_a_canary_that_failed_keeps_nobody_waiting(store: Store, state: State, after: State) -> None:
    cycle = begin(store, state)
    write_down(store, cycle.cycle_id, "canary failed: training", NOW, over=True)
    kept = progress(store).cycle
    assert kept
    assert (kept.state, kept.note) == (after, "canary failed: training")
