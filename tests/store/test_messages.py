"""Handovers and loops: written once, whoever writes first; counted as hops inside their cycle."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.kreislauf.handovers import Edge, Evidence, Reason, Stage
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from tests.support import racers
from tests.support.examples import LATER, NOW, USE_CASE, handover, loop
from tests.support.racing import Race

CYCLE = handover().cycle_id


def test_a_handover_is_found_again_as_it_was(store: Store):
    made = handover(
        inputs={"collection": "raw@3"}, summary={"mae": 0.1, "tried": ["ridge"], "note": "größer"}
    )
    with store.write() as db:
        assert messages.save_handover(db, made, "# Card", NOW) == made
    with store.read() as db:
        assert messages.find_handover(db, USE_CASE, CYCLE, Stage.TRAINING, 1) == made
        assert messages.find_handover_of(db, USE_CASE, Stage.TRAINING, made.output) == made
        assert messages.document_of(db, made.id) == "# Card"


def test_the_first_handover_of_an_attempt_stands(store: Store):
    with store.write() as db:
        first = messages.save_handover(db, handover(output="candidates@1"), "first", NOW)
        again = messages.save_handover(db, handover(output="candidates@2", run_id="second"), "second", LATER)
        assert again == first
        assert messages.document_of(db, first.id) == "first"


def test_of_many_that_hand_over_at_once_all_are_told_the_same_winner(store: Store, race: Race):
    winners = set(race(racers.hand_over, store.url))
    assert len(winners) == 1
    with store.read() as db:
        (kept,) = messages.handovers_of(db, USE_CASE, CYCLE)
        assert messages.document_of(db, kept.id) == f"by run {kept.output.split('@')[1]}"
    assert winners == {kept.run_id}


@pytest.mark.parametrize("other", [{"attempt": 2}, {"stage": Stage.EVALUATION}, {"cycle_id": "c2"}], ids=str)
def test_another_attempt_stage_or_cycle_is_another_handover(store: Store, other: dict[str, object]):
    with store.write() as db:
        messages.save_handover(db, handover(), "", NOW)
        made = messages.save_handover(db, handover(**other, output="else"), "", NOW)
        found = messages.find_handover(db, USE_CASE, made.cycle_id, made.stage, made.attempt)
    assert found == made == handover(**other, output="else")


def test_the_latest_handover_is_the_one_written_last_of_one_cycle_or_of_all(store: Store):
    written = [handover(attempt=1), handover(attempt=2), handover(cycle_id="c2", attempt=1)]
    with store.write() as db:
        for minutes, one in enumerate(written):
            messages.save_handover(db, one, "", NOW + timedelta(minutes=minutes))
        assert messages.latest_handover(db, USE_CASE, Stage.TRAINING) == written[2]
        assert messages.latest_handover(db, USE_CASE, Stage.TRAINING, cycle_id=CYCLE) == written[1]
        assert messages.latest_handover(db, USE_CASE, Stage.DEPLOYMENT) is None
        assert messages.handovers_of(db, USE_CASE, CYCLE) == written[:2]


def test_of_two_attempts_written_at_the_same_time_the_higher_is_the_latest(store: Store):
    with store.write() as db:
        for attempt in (2, 1):
            messages.save_handover(db, handover(attempt=attempt), "", NOW)
        latest = messages.latest_handover(db, USE_CASE, Stage.TRAINING)
    assert latest is not None
    assert latest.attempt == 2


def test_what_was_never_handed_over_is_none(store: Store):
    with store.read() as db:
        assert messages.find_handover(db, USE_CASE, CYCLE, Stage.TRAINING, 1) is None
        assert messages.find_handover_of(db, USE_CASE, Stage.TRAINING, "candidates@1") is None
        assert messages.document_of(db, "nothing") is None
        assert messages.find_loop(db, "nothing") is None


def test_a_loop_is_in_the_ledger_once_and_as_it_was(store: Store):
    before = Evidence(name="uplift", value=0.004, unit="log points")
    made = loop(evidence=(before,), metric="uplift", metric_before=before, step=Stage.TRAINING)
    with store.write() as db:
        assert messages.save_loop(db, made, NOW, "# Why")
        assert not messages.save_loop(db, loop(text="another text"), LATER)
        (row,) = messages.loops_of(db, USE_CASE)
    assert (row.loop, row.state, row.value_before, row.created_at) == (made, "raised", 0.004, NOW)
    assert row.helped is None


def test_a_loop_keeps_what_the_governor_and_the_ledger_made_of_it(store: Store):
    made = loop()
    with store.write() as db:
        messages.save_loop(db, made, NOW)
        messages.decide_loop(
            db, made.id, "accepted", "within the budget", "run-7", override_by="Ada", override_reason="now"
        )
        measured = messages.Measured(
            before_low=-0.01, before_high=0.005, value_after=0.02, after_low=0.01, after_high=0.03,
            gain_low=0.005, gain_high=0.04, helped=True,
        )  # fmt: skip
        messages.close_loop(db, made.id, measured)
        row = messages.find_loop(db, made.id)
    assert row is not None
    assert (row.state, row.decision, row.received_run) == ("closed", "within the budget", "run-7")
    assert (row.override_by, row.override_reason) == ("Ada", "now")
    assert {name: getattr(row, name) for name in vars(measured)} == vars(measured)


def test_loops_are_filtered_by_state_edge_and_cycle(store: Store):
    inside = loop()
    opening = loop(
        edge=Edge.MONITORING_TO_DATA_ENGINEERING, reason=Reason.BUSINESS_METRIC_FELL, cycle_id="c2"
    )
    with store.write() as db:
        messages.save_loop(db, inside, NOW)
        messages.save_loop(db, opening, LATER)
        messages.decide_loop(db, opening.id, "accepted", "", "run-1")

        def ids(**filters: object) -> list[str]:
            return [row.loop.id for row in messages.loops_of(db, USE_CASE, **filters)]

        assert ids() == [inside.id, opening.id]
        assert ids(states=("accepted",)) == ids(edges=(opening.edge,)) == ids(cycle_id="c2") == [opening.id]
        assert ids(states=("refused",)) == []


def test_hops_are_the_accepted_loops_inside_a_cycle(store: Store):
    accepted = [loop(attempt=2), loop(attempt=3)]
    refused = loop(attempt=4)
    opening = loop(edge=Edge.MONITORING_TO_DATA_SCIENCE)
    elsewhere = loop(cycle_id="c2")
    with store.write() as db:
        for one in [*accepted, refused, opening, elsewhere]:
            messages.save_loop(db, one, NOW)
            messages.decide_loop(db, one.id, "refused" if one is refused else "accepted", "", "run")
        assert messages.count_hops(db, USE_CASE, CYCLE) == 2
        assert messages.count_hops(db, USE_CASE, "c3") == 0
