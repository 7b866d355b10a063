"""Who trains does not approve: found from what stands in the store, by every name that a person is known by."""

from __future__ import annotations

import pytest

from include.kreislauf.deployment.approval import objection, trainers
from include.kreislauf.handovers import Edge, Reason, Stage
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from tests.support.examples import MESSAGE, NOW, USE_CASE, handover, loop

CYCLE = str(MESSAGE["cycle_id"])


def found(store: Store) -> dict[str, str]:
    with store.read() as db:
        return dict(trainers(db, USE_CASE, CYCLE))


def test_who_asked_for_the_training_and_who_called_it_genuine_are_trainers(store: Store) -> None:
    with store.write() as db:
        messages.save_handover(db, handover(stage=Stage.COLLECTION, summary={"asked_by": "Carl"}), "", NOW)
        messages.save_handover(db, handover(summary={"asked_by": "Ada (admin)"}), "", NOW)
        messages.save_handover(
            db,
            handover(stage=Stage.EVALUATION, summary={"asked_by": "Ada (admin)", "genuine_by": "Bob"}),
            "",
            NOW,
        )
    assert found(store) == {"Ada (admin)": "had it trained", "Bob": "called its result genuine"}


def test_who_overrode_the_governor_is_a_trainer_whatever_the_role(store: Store) -> None:
    with store.write() as db:
        summary = {"asked_by": "Carl", "overridden": True}
        messages.save_handover(db, handover(stage=Stage.COLLECTION, summary=summary), "", NOW)
        messages.save_loop(db, raised := loop(edge=Edge.MONITORING_TO_DATA_ENGINEERING, by="Dora"), NOW)
        messages.decide_loop(db, raised.id, "accepted", "", "run", override_by="Dora", override_reason="now")
    assert set(found(store)) == {"Carl", "Dora"}


def test_who_sent_the_work_to_data_science_is_a_trainer_and_a_program_is_not(store: Store) -> None:
    with store.write() as db:
        messages.save_loop(db, loop(edge=Edge.MONITORING_TO_DATA_SCIENCE, by="Eve"), NOW)
        messages.save_loop(db, loop(reason=Reason.PERFORMANCE_SHORT, attempt=2), NOW)
    assert found(store) == {"Eve": "sent it to data science"}


@pytest.mark.parametrize(
    ("names", "barred"),
    [
        (["admin"], True),
        (["ADA"], True),
        (["7", "Ada (admin)"], True),
        (["grace"], False),
        (["ad"], False),
        ([""], False),
    ],
)
def test_a_person_is_recognised_by_any_name(names: list[str], barred: bool) -> None:
    said = objection({"Ada (admin)": "had it trained"}, *names)
    assert bool(said) is barred
    assert not barred or said == "Ada (admin) had it trained and may not approve it: somebody else must"
