"""Deployment: one release per attempt, live only after its checks; and the way back to the one before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from include.kreislauf.deployment import contents
from include.kreislauf.deployment.approval import Approval
from include.kreislauf.deployment.delivery import Phase
from include.kreislauf.deployment.looking import look
from include.kreislauf.deployment.promotion import BY_HAND, promote_by_hand
from include.kreislauf.deployment.step import StillTried, deploy
from include.kreislauf.errors import ReleaseError, TrainingError
from include.kreislauf.handovers import Edge, Handover, Loop, PersonNeeded, Reason, Role, Stage, WorkOrder
from include.kreislauf.inference.served import Served
from include.kreislauf.store import cycles, live, messages, release_files
from include.kreislauf.store.cycles import State
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.schema import cycles as cycles_table
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.script import Script, release

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
CHAIN = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION)
ROLL_BACK = f"loop/{Edge.MONITORING_TO_MLOPS}"


class Crash(BaseException):
    """The process dies here."""


def evaluated(lap: Lap, as_of: datetime = AS_OF) -> WorkOrder:
    """The order of a deployment, with a winner."""
    return lap.work(lap.order(as_of), *CHAIN)[1]


def at_work_again(lap: Lap, order: WorkOrder) -> None:
    """The order's cycle is the active one again."""
    with lap.store.write() as db:
        for cycle in cycles.in_state(db, lap.use_case, State.ACTIVE):
            cycles.set_state(db, cycle, State.CLOSED, lap.now())
        cycles.set_state(db, cycles.get_cycle(db, lap.use_case, order.cycle_id), State.ACTIVE, lap.now())


def deployed(lap: Lap, order: WorkOrder) -> Handover:
    message = lap.work(order, Stage.DEPLOYMENT)[0]
    assert isinstance(message, Handover), message
    return message


def releases(lap: Lap) -> list[ReleaseRow]:
    with lap.store.read() as db:
        return live.releases_of(db, lap.use_case)


def promotions(lap: Lap) -> list[tuple[int, int | None]]:
    """Every change of the live release, as (version, previous)."""
    with lap.store.read() as db:
        return [(change.version, change.previous) for change in live.promotions_of(db, lap.use_case)]


def dies_at(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, work: Callable[[], Any]) -> None:
    """Work whose process dies when it calls a function."""

    def die(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(target, name, die)
        work()


# A release


def test_the_winner_becomes_a_live_release(lap: Lap) -> None:
    order = evaluated(lap)
    made = deployed(lap, order)
    row = lap.live()
    assert row is not None
    assert (row.version, row.cycle_id, row.attempt) == (1, order.cycle_id, 1)
    assert (made.output, promotions(lap)) == ("1", [(1, None)])
    assert made.summary["previous"] is None
    assert made.summary["service"] == "not asked: no worker of the service is alive"
    lap.served().check_golden()


def test_a_promotion_carries_the_reason_of_its_cycle(lap: Lap) -> None:
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF, reason="the first model")
    with lap.store.read() as db:
        (change,) = live.promotions_of(db, lap.use_case)
    assert (change.reason, change.as_of, change.cycle_id) == (
        "the first model",
        AS_OF,
        lap.cycles()[0].cycle_id,
    )


def test_a_second_release_follows_the_first(lap: Lap) -> None:
    deployed(lap, evaluated(lap))
    made = deployed(lap, evaluated(lap, datetime(2017, 1, 1, tzinfo=UTC)))
    assert (made.output, made.summary["previous"]) == ("2", 1)
    assert promotions(lap) == [(1, None), (2, 1)]


def test_the_release_note_is_readable(lap: Lap) -> None:
    made = deployed(lap, evaluated(lap))
    with lap.store.read() as db:
        note = messages.document_of(db, made.id) or ""
    assert "# Release 1: Future-proof software technologies" in note
    assert "service: not asked" in note


# Once per attempt


def test_a_step_repeated_makes_no_second_release(lap: Lap) -> None:
    order = evaluated(lap)
    first, again = (deploy(order, lap.contract, lap.settings) for _ in range(2))
    assert first == again
    assert (len(releases(lap)), promotions(lap)) == (1, [(1, None)])


def test_a_step_repeated_names_the_release_before_as_the_first_time(lap: Lap) -> None:
    deployed(lap, evaluated(lap))
    order = evaluated(lap, datetime(2017, 1, 1, tzinfo=UTC))
    first, again = (deploy(order, lap.contract, lap.settings).message for _ in range(2))
    assert first == again
    assert isinstance(again, Handover)
    assert again.summary["previous"] == 1


@pytest.mark.parametrize("where", ["save_release", "promote"])
def test_after_a_crash_the_release_is_finished_not_made_again(
    lap: Lap, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    order = evaluated(lap)
    dies_at(monkeypatch, live, where, lambda: deployed(lap, order))
    assert lap.live() is None
    made = deployed(lap, order)
    assert (made.output, len(releases(lap)), promotions(lap)) == ("1", 1, [(1, None)])
    lap.served().check_golden()


def test_after_a_crash_before_the_handover_the_same_is_handed_over(
    lap: Lap, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = evaluated(lap)
    dies_at(monkeypatch, messages, "save_handover", lambda: deployed(lap, order))
    assert deployed(lap, order).summary["previous"] is None
    assert promotions(lap) == [(1, None)]


def test_files_left_by_a_crash_do_not_disturb_another_cycle(
    lap: Lap, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluated(lap)
    dies_at(monkeypatch, live, "save_release", lambda: deployed(lap, first))
    assert deployed(lap, evaluated(lap)).output == "1"
    at_work_again(lap, first)
    assert deployed(lap, first).output == "2"
    lap.served().check_golden()


def test_another_attempt_makes_another_release(lap: Lap) -> None:
    order = evaluated(lap)
    deployed(lap, order)
    assert deployed(lap, order.model_copy(update={"attempt": 2})).output == "2"
    with lap.store.read() as db:
        note = messages.document_of(db, deployed(lap, order.model_copy(update={"attempt": 2})).id) or ""
    assert "- the same candidate: as in release 1" in note


# Releases that fail


def failed(lap: Lap, order: WorkOrder) -> Loop:
    """A release that fails its checks: the work goes back, and what is live stays."""
    before = lap.live()
    loop = lap.work(order, Stage.DEPLOYMENT)[0]
    assert isinstance(loop, Loop), loop
    assert (loop.edge, loop.reason) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
    assert loop.evidence[0].note == loop.text
    assert lap.live() == before
    return loop


def test_golden_rows_that_differ_send_the_work_back(lap: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(lap, evaluated(lap))
    honest = contents._golden

    def shifted(*args: Any) -> Any:
        golden = honest(*args)
        return {**golden, "outputs": [value + 0.01 for value in golden["outputs"]]}

    monkeypatch.setattr(contents, "_golden", shifted)
    order = evaluated(lap, datetime(2017, 1, 1, tzinfo=UTC))
    loop = failed(lap, order)
    assert "golden rows differ by up to 0.01" in loop.text
    assert failed(lap, order) == loop  # also when the step is repeated


def test_a_release_changed_on_the_disk_sends_the_work_back(lap: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    order = evaluated(lap)
    dies_at(monkeypatch, live, "promote", lambda: deployed(lap, order))
    path = release_files.release_path(lap.settings, releases(lap)[0]) / release_files.MODEL
    path.write_bytes(path.read_bytes() + b" ")
    assert "was changed after it was written" in failed(lap, order).text


def test_after_a_failed_release_data_science_makes_a_new_one(
    make_lap: MakeLap, monkeypatch: pytest.MonkeyPatch
) -> None:
    lap = make_lap()
    outcomes = iter([Exception])

    def check_once(self: Any, tolerance: float = 1e-9) -> None:
        if next(outcomes, None):
            raise ReleaseError("golden rows differ")

    monkeypatch.setattr(Served, "check_golden", check_once)
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    row = lap.live()
    assert row is not None
    assert (row.version, row.attempt) == (2, 2)
    assert [cycle.state for cycle in lap.cycles()] == [State.LIVE]


def test_candidates_changed_after_training_are_never_released(lap: Lap) -> None:
    order = evaluated(lap)
    index = next(lap.settings.artefacts.glob("candidates/*/*/index.json"))
    index.write_text(index.read_text() + " ")
    with pytest.raises(TrainingError, match="index was changed after training"):
        deployed(lap, order)
    assert (lap.live(), releases(lap)) == (None, [])


# The way back


@pytest.fixture
def three_live(scripted: Lap) -> Lap:
    """Three releases, one after the other."""
    for _ in range(3):
        release(scripted.order(AS_OF), scripted.store)
    return scripted


def rolled_back(lap: Lap, order: WorkOrder) -> str:
    loop = deploy(order, lap.contract, lap.settings).message
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason, loop.attempt) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK, 2)
    assert loop.evidence[0].note == loop.text
    return loop.text


def asked(lap: Lap) -> WorkOrder:
    return lap.order(AS_OF, started_by=ROLL_BACK, reason="it is worse")


def test_a_rollback_points_to_the_release_before_and_asks_for_a_better_one(three_live: Lap) -> None:
    assert rolled_back(three_live, asked(three_live)) == "rolled back to release 2: it is worse"
    assert promotions(three_live)[-1] == (2, 3)


def test_a_rollback_repeated_does_not_flip_the_releases(three_live: Lap) -> None:
    order = asked(three_live)
    assert rolled_back(three_live, order) == rolled_back(three_live, order)
    assert promotions(three_live)[-1] == (2, 3)


def test_a_second_rollback_goes_further_back_and_never_to_the_bad_release(three_live: Lap) -> None:
    rolled_back(three_live, asked(three_live))
    assert rolled_back(three_live, asked(three_live)) == "rolled back to release 1: it is worse"
    assert promotions(three_live)[3:] == [(2, 3), (1, 2)]


def test_a_release_after_a_rollback_rolls_back_to_the_good_one(three_live: Lap) -> None:
    rolled_back(three_live, asked(three_live))
    release(three_live.order(AS_OF), three_live.store)
    assert rolled_back(three_live, asked(three_live)) == "rolled back to release 2: it is worse"


def test_the_first_release_has_nothing_to_roll_back_to(scripted: Lap) -> None:
    release(scripted.order(AS_OF), scripted.store)
    with pytest.raises(ReleaseError, match="nothing to roll back to: there was no release before"):
        rolled_back(scripted, asked(scripted))
    assert promotions(scripted) == [(1, None)]
    assert scripted.loops() == []


def test_a_rollback_before_anything_was_live_changes_nothing(scripted: Lap) -> None:
    with pytest.raises(ReleaseError, match="nothing to roll back to"):
        rolled_back(scripted, asked(scripted))


@pytest.fixture
def real_live(lap: Lap) -> Lap:
    """Three real releases, one after the other."""
    order = evaluated(lap)
    for attempt in (1, 2, 3):
        deployed(lap, order.model_copy(update={"attempt": attempt}))
    return lap


def damage(lap: Lap, version: int) -> None:
    """A byte more in the file of a release."""
    path = release_files.release_path(lap.settings, releases(lap)[version - 1]) / release_files.MODEL
    path.write_bytes(path.read_bytes() + b" ")


def test_a_rollback_skips_what_nobody_can_load_and_says_so(real_live: Lap) -> None:
    damage(real_live, 2)
    order = asked(real_live)
    text = rolled_back(real_live, order)
    assert text.startswith(
        "rolled back to release 1: it is worse; release 2 skipped: was changed after it was written"
    )
    assert promotions(real_live)[-1] == (1, 3)
    assert rolled_back(real_live, order) == text, "repeated, it says the same"
    real_live.served().check_golden()


def test_a_rollback_that_finds_nothing_to_load_changes_nothing(real_live: Lap) -> None:
    for version in (1, 2):
        damage(real_live, version)
    before = promotions(real_live)
    with pytest.raises(ReleaseError) as refusal:
        rolled_back(real_live, asked(real_live))
    said = refusal.value.text
    assert "nothing to roll back to: release 3 stays live; release 2 skipped: was changed" in said
    assert "; release 1 skipped: was changed" in said
    assert "release promote radar VERSION --by NAME --reason TEXT" in said
    assert promotions(real_live) == before


def by_hand(lap: Lap, version: int, by: str = "Ada") -> None:
    promote_by_hand(
        lap.store, lap.settings, "radar", version, by=by, reason="it was good", as_of=lambda _: AS_OF
    )


def test_a_person_makes_a_release_the_live_one(real_live: Lap) -> None:
    by_hand(real_live, 1)
    assert promotions(real_live)[-1] == (1, 3)
    with real_live.store.read() as db:
        assert live.promotions_of(db, "radar")[-1].reason == "promoted by Ada: it was good"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (3, "release 3 is live already"),
        (2, "release 2 cannot be loaded: was changed"),
        (9, "there is no release 9"),
    ],
)
def test_what_a_person_cannot_make_live_changes_nothing(real_live: Lap, version: int, said: str) -> None:
    damage(real_live, 2)
    before = promotions(real_live)
    with pytest.raises(ReleaseError, match=said):
        by_hand(real_live, version)
    assert promotions(real_live) == before


def test_who_had_it_trained_cannot_make_it_live_where_approval_is_required(make_lap: MakeLap) -> None:
    lap = make_lap(delivery={"approval": "required"})
    order = evaluated(lap)
    with lap.store.write() as db:
        trained = order.handover(Stage.TRAINING, code_version="1", output="x", summary={"asked_by": "Ada"})
        messages.save_handover(db, trained.model_copy(update={"attempt": 7}), "", lap.now())
    with pytest.raises(PersonNeeded):
        deployed(lap, order)
    with pytest.raises(ReleaseError, match="Ada had it trained and may not approve it"):
        by_hand(lap, 1)
    assert lap.live() is None
    by_hand(lap, 1, "Grace")
    assert promotions(lap) == [(1, None)]


def test_a_rollback_around_the_ring_on_real_releases(make_lap: MakeLap, script: Script) -> None:
    lap = make_lap()
    for year in (2016, 2017):
        lap.manual(Role.REQUIREMENTS, as_of=datetime(year, 1, 1, tzinfo=UTC))
    lap.manual(Role.MONITORING, loop=Edge.MONITORING_TO_MLOPS, by="Ada", reason="it is worse")
    assert promotions(lap)[:3] == [(1, None), (2, 1), (1, 2)]
    lap.served().check_golden()


# What was taken back does not come back by itself


@pytest.fixture
def taken(lap: Lap) -> Lap:
    """Release 2 was taken back; both were made of the winner of the same cycle."""
    order = evaluated(lap)
    for attempt in (1, 2):
        deployed(lap, order.model_copy(update={"attempt": attempt}))
    rolled_back(lap, asked(lap))
    return lap


def test_the_very_model_that_was_taken_back_is_sent_back(taken: Lap) -> None:
    order = evaluated(taken)
    loops = [deploy(order, taken.contract, taken.settings).message for _ in range(2)]
    loop = loops[0]
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
    assert "it is the model that was taken back as release 2 (it is worse)" in loop.text
    assert loops[0] == loops[1], "repeated, it says the same"
    assert promotions(taken)[-1] == (1, 2)


def test_who_overrides_brings_the_model_back(taken: Lap) -> None:
    order = evaluated(taken).model_copy(update={"override": True, "by": "Ada"})
    deployed(taken, order)
    assert promotions(taken)[-1] == (3, 1)


def test_a_promotion_after_a_rollback_does_not_carry_its_reason_as_its_own(lap: Lap) -> None:
    deployed(lap, evaluated(lap))
    order = evaluated(lap, datetime(2017, 1, 1, tzinfo=UTC))
    with lap.store.write() as db:
        db.execute(
            update(cycles_table).where(cycles_table.c.cycle_id == order.cycle_id).values(started_by=BY_HAND)
        )
    deployed(lap, order)
    with lap.store.read() as db:
        assert live.promotions_of(db, lap.use_case)[-1].reason == "made after a rollback (a test)"


# Tried, and agreed to


def test_a_release_waits_for_a_person_who_did_not_train_it(make_lap: MakeLap) -> None:
    lap = make_lap(delivery={"approval": "required"})
    order = evaluated(lap)
    with lap.store.write() as db:
        trained = order.handover(
            Stage.TRAINING, code_version="1", output="x", summary={"asked_by": "Ada (admin)"}
        )
        messages.save_handover(db, trained.model_copy(update={"attempt": 7}), "", lap.now())

    def answered(by: str) -> Handover | Loop:
        approval = Approval(approved=True, by=by, note="read it")
        return deploy(order, lap.contract, lap.settings, approval=approval).message

    with pytest.raises(PersonNeeded) as asked:
        deployed(lap, order)
    assert "# Release 1" in asked.value.question
    assert "- Ada (admin) had it trained, and may not approve it." in asked.value.question
    with pytest.raises(PersonNeeded, match="somebody else must"):
        answered("admin")
    assert lap.live() is None
    made = answered("Grace")
    assert isinstance(made, Handover)
    assert made.summary["approved_by"] == "Grace"
    assert promotions(lap) == [(1, None)]
    with lap.store.read() as db:
        assert live.promotions_of(db, lap.use_case)[-1].reason.endswith("; approved by Grace: read it")


def test_a_release_that_a_person_rejects_goes_back_with_the_reason(make_lap: MakeLap) -> None:
    lap = make_lap(delivery={"approval": "required"})
    order = evaluated(lap)
    with pytest.raises(PersonNeeded):
        deployed(lap, order)
    approval = Approval(approved=False, by="Grace", note="not before the fair")
    results = [deploy(order, lap.contract, lap.settings, approval=approval) for _ in range(2)]
    loop = results[0].message
    assert isinstance(loop, Loop)
    assert (loop.edge, loop.reason) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.RELEASE_FAILED)
    assert loop.text == "release 1 was rejected: rejected by Grace: not before the fair"
    assert results[0] == results[1], "repeated, it says the same"
    assert lap.live() is None


def test_a_release_is_verified_again_after_it_has_waited(make_lap: MakeLap) -> None:
    section = {"shadow": {"min_rows": 5, "max_hours": 1}, "on_inconclusive": "promote"}
    lap = make_lap(performance={"champion_tolerance": 0.2}, delivery=section)
    deployed(lap, evaluated(lap))
    order = evaluated(lap, datetime(2017, 1, 1, tzinfo=UTC))
    watched = lap.settings.model_copy(update={"clock": "wall"})
    with pytest.raises(StillTried):
        deploy(order, lap.contract, watched)
    assert look(order, watched).phase is Phase.TRYING
    path = release_files.release_path(lap.settings, releases(lap)[1]) / release_files.MODEL
    path.write_bytes(path.read_bytes() + b" ")
    loop = deploy(
        order, lap.contract, lap.settings
    ).message  # where no traffic will come, the contract promotes
    assert isinstance(loop, Loop)
    assert "release 2 was rejected" in loop.text
    assert promotions(lap) == [(1, None)]
