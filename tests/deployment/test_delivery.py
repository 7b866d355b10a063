"""The state machine of a deployment: every state, every verdict, crashes, races, and what others do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from include.kreislauf.deployment import delivery as delivery_module
from include.kreislauf.deployment.delivery import KEEP_ALIVE, Delivery, Phase, Progress
from include.kreislauf.deployment.found import as_markdown, numbers_of
from include.kreislauf.deployment.promotion import BY_HAND, roll_back
from include.kreislauf.errors import ReleaseError
from include.kreislauf.feedback.work import mark_failed
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import cycles, live, rollouts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import Live
from include.kreislauf.store.rollouts import Arm, RolloutState
from tests.deployment.trying import NAME, SLOW, Trying, section
from tests.support.use_cases import write_use_case

SHADOW = {"min_rows": 20, "max_hours": 1}
CANARY = {"share": 0.1, "min_requests": 400, "max_hours": 2, "confidence": 0.9, "max_errors": 0.02}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return write_use_case(tmp_path_factory.mktemp("use_case"), NAME)


@pytest.fixture
def trying(store: Store, plain: Contract) -> Callable[..., Trying]:
    """Makes the use case with a section ``delivery``."""

    def make(**fields: Any) -> Trying:
        return Trying(store, plain.model_copy(update={"delivery": section(**fields)}))

    return make


Make = Callable[..., Trying]


def state(progress: Progress) -> tuple[RolloutState, Phase]:
    return progress.rollout.state, progress.phase


# Straight on


def test_without_a_section_a_release_is_ready_at_once(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    assert state(world.look(found)) == (RolloutState.CANDIDATE, Phase.READY)
    assert "no worker" in world.rollout().evidence["loading"]["text"]
    assert state(found.promote("better", world.now)) == (RolloutState.PROMOTED, Phase.OVER)
    assert world.live() == Live(NAME, 2, 2)
    with world.store.read() as db:
        assert live.promotions_of(db, NAME)[-1].reason == "better"


def test_the_first_release_is_compared_with_nothing(trying: Make) -> None:
    world = trying(shadow=SHADOW, canary=CANARY)
    order = world.order(1)
    world.release(1, order)
    found = world.begin(1, order)
    assert state(world.look(found)) == (RolloutState.CANDIDATE, Phase.READY)
    assert world.rollout(1).evidence["canary"]["text"] == delivery_module.FIRST
    assert found.promote("first", world.now).rollout.state is RolloutState.PROMOTED
    assert world.live() == Live(NAME, 1, 1)


def test_every_worker_that_is_alive_must_hold_it(trying: Make) -> None:
    world = trying()
    world.worker("dead", champion=1)
    world.passes(seconds=30)
    found = world.challenger()
    world.worker("w1", champion=1, candidate=2)
    world.worker("w2", champion=1)
    assert state(world.look(found)) == (RolloutState.CANDIDATE, Phase.LOADING)
    world.worker("w2", champion=1, candidate=2)
    assert world.look(found).phase is Phase.READY
    assert world.rollout().evidence["loading"]["text"] == "loaded by 2 workers"


def test_one_worker_that_cannot_load_it_rejects_it(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    world.worker("w1", champion=1, candidate=2)
    world.worker("w2", champion=1, problem="release 2 cannot be loaded: bad signature")
    progress = world.look(found)
    assert state(progress) == (RolloutState.REJECTED, Phase.OVER)
    assert "bad signature" in progress.rollout.note
    assert world.live() == Live(NAME, 1, 1)


def test_a_problem_with_another_release_is_not_this_ones(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    world.worker("w1", candidate=2, problem="release 1 of radar is live but cannot be loaded")
    assert world.look(found).phase is Phase.READY


def test_a_worker_that_never_loads_it_is_given_up(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    world.passes(seconds=601)
    world.worker("w1", champion=1)
    assert world.look(found).rollout.state is RolloutState.REJECTED


# Shadow


def shadowed(world: Trying) -> Delivery:
    found = world.challenger()
    assert state(world.look(found)) == (RolloutState.SHADOW, Phase.TRYING)
    return found


def test_a_shadow_passes_with_enough_rows_and_tells_how_far_apart_they_are(trying: Make) -> None:
    world = trying(shadow=SHADOW)
    found = shadowed(world)
    world.shadow(19, off=0.5)
    assert world.look(found).phase is Phase.TRYING
    world.shadow(1, off=0.5)
    assert state(world.look(found)) == (RolloutState.SHADOW, Phase.READY)
    numbers = {one.name: one.value for one in numbers_of(world.rollout().evidence)}
    assert numbers["shadow_rows"] == 20
    assert numbers["mean_difference"] == numbers["p99_difference"] == pytest.approx(0.5)
    assert numbers["novelty"] == 0
    assert "rank correlation: 1" in as_markdown(world.rollout().evidence)


@pytest.mark.parametrize(("off", "passes"), [(0.4, True), (0.6, False)])
def test_a_shadow_too_far_from_the_champion_is_rejected(trying: Make, off: float, passes: bool) -> None:
    world = trying(shadow={**SHADOW, "max_difference": 0.5})
    found = shadowed(world)
    world.shadow(20, off=off)
    progress = world.look(found)
    assert (progress.phase is Phase.READY) is passes
    if not passes:
        assert progress.rollout.state is RolloutState.REJECTED
        assert "differ by up to 0.6, 0.5 allowed" in progress.rollout.note


def test_one_error_in_the_shadow_rejects_it(trying: Make) -> None:
    world = trying(shadow=SHADOW)
    found = shadowed(world)
    world.count(Arm.SHADOW, 3, errors=1)
    assert state(world.look(found)) == (RolloutState.REJECTED, Phase.OVER)


def test_a_prediction_that_is_no_number_rejects_it(trying: Make) -> None:
    world = trying(shadow={**SHADOW, "min_rows": 2})
    found = shadowed(world)
    ids = world.predict(2)
    rows = [
        {"prediction_id": id_, "release": 2, "use_case": NAME, "value": value, "created_at": world.now}
        for id_, value in zip(ids, (1.0, None), strict=True)
    ]
    with world.store.write() as db:
        rollouts.save_shadow(db, rows)
    assert "1 of 2 predictions are no finite numbers" in world.look(found).rollout.note


# Canary


def in_canary(world: Trying) -> Delivery:
    found = world.challenger()
    assert state(world.look(found)) == (RolloutState.CANARY, Phase.TRYING)
    assert world.rollout().share == 0.1
    return found


def test_a_canary_as_good_as_the_baseline_passes(trying: Make) -> None:
    world = trying(canary=CANARY)
    found = in_canary(world)
    world.count(Arm.CANARY, 200)
    world.count(Arm.BASELINE, 200)
    assert world.look(found).phase is Phase.TRYING, "before min_requests nothing passes"
    for worker in ("w1", "w2"):
        world.count(Arm.CANARY, 800, worker=worker)
        world.count(Arm.BASELINE, 800, worker=worker)
    assert world.look(found).phase is Phase.READY
    numbers = {one.name: one for one in numbers_of(world.rollout().evidence)}
    assert numbers["mean_slowdown"].value == pytest.approx(1)
    assert numbers["errors"].unit == "share of requests"
    assert found.promote("better", world.now).rollout.state is RolloutState.PROMOTED


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"errors": 80}, "5.00% errors (0.02 allowed): fail"),
        ({"times": SLOW, "mean": 0.04}, "mean time × 5 (1.5 allowed): fail"),
    ],
)
def test_a_canary_with_errors_or_slower_is_rejected(trying: Make, fault: dict[str, Any], said: str) -> None:
    world = trying(canary=CANARY)
    found = in_canary(world)
    world.count(Arm.CANARY, 1600, **fault)
    world.count(Arm.BASELINE, 1600)
    progress = world.look(found)
    assert state(progress) == (RolloutState.REJECTED, Phase.OVER)
    assert said in progress.rollout.note
    assert world.live() == Live(NAME, 1, 1)


def test_a_canary_that_fails_every_request_is_rejected_long_before_min_requests(trying: Make) -> None:
    world = trying(canary=CANARY)
    found = in_canary(world)
    world.count(Arm.CANARY, 30, errors=30)
    world.count(Arm.BASELINE, 30)
    assert world.look(found).rollout.state is RolloutState.REJECTED


def test_a_canary_is_looked_at_again_only_when_its_requests_have_doubled(trying: Make) -> None:
    world = trying(canary=CANARY)
    found = in_canary(world)
    world.count(Arm.CANARY, 30)
    world.look(found)
    assert world.rollout().evidence["canary_so_far"]["look"] == 0
    world.count(Arm.CANARY, 49, errors=49)
    assert world.look(found).phase is Phase.TRYING, "no second look at so many"
    world.count(Arm.CANARY, 60, errors=50)
    assert world.look(found).rollout.state is RolloutState.REJECTED


@pytest.mark.parametrize(
    ("then", "ends"),
    [
        ("wait", (RolloutState.CANARY, Phase.TRYING)),
        ("ask", (RolloutState.CANDIDATE, Phase.ASKING)),
        ("promote", (RolloutState.CANARY, Phase.READY)),
        ("reject", (RolloutState.REJECTED, Phase.OVER)),
    ],
)
def test_when_time_is_over_the_contract_says_what_follows(
    trying: Make, then: str, ends: tuple[RolloutState, Phase]
) -> None:
    world = trying(canary=CANARY, on_inconclusive=then)
    found = in_canary(world)
    world.count(Arm.CANARY, 10)
    world.passes(hours=1.9)
    assert world.look(found).phase is Phase.TRYING
    world.passes(hours=0.2)
    assert state(world.look(found)) == ends
    assert state(world.look(found)) == ends, "looking again changes nothing"
    text = str(world.rollout().evidence)
    assert "not decided after 2.1 h" in text
    assert f"'then': '{then}'" in text


def test_who_waits_beyond_the_time_still_gets_a_verdict(trying: Make) -> None:
    world = trying(canary=CANARY, on_inconclusive="wait")
    found = in_canary(world)
    world.passes(hours=3)
    assert world.look(found).phase is Phase.TRYING
    world.count(Arm.CANARY, 3200)
    world.count(Arm.BASELINE, 3200)
    assert world.look(found).phase is Phase.READY


@pytest.mark.parametrize("then", ["wait", "promote", "ask", "reject"])
def test_without_live_traffic_the_contract_decides_at_once(trying: Make, then: str) -> None:
    world = trying(shadow=SHADOW, canary=CANARY, on_inconclusive=then)
    world.release(1, world.order(1))
    world.go_live(1)
    order = world.order(2)
    world.release(2, order)
    found = world.begin(2, order, has_traffic=False)
    expected = {"ask": Phase.ASKING, "reject": Phase.OVER}.get(then, Phase.READY)
    assert world.look(found).phase is expected
    assert world.rollout().evidence["shadow"]["text"] == delivery_module.NO_TRAFFIC


# Business


def test_worse_errors_on_the_same_rows_reject_a_canary(trying: Make) -> None:
    world = trying(shadow=SHADOW, canary={**CANARY, "business": True})
    found = shadowed(world)
    ids = world.shadow(60, off=3.0)
    assert world.look(found).rollout.state is RolloutState.CANARY
    world.outcomes(ids, off=0.1)
    world.count(Arm.CANARY, 1600)
    world.count(Arm.BASELINE, 1600)
    progress = world.look(found)
    assert progress.rollout.state is RolloutState.REJECTED
    assert "absolute error ×" in progress.rollout.note


@pytest.mark.parametrize(("canary_off", "phase"), [(0.1, Phase.READY), (3.0, Phase.OVER)])
def test_the_errors_of_the_two_arms_decide_where_there_was_no_shadow(
    trying: Make, canary_off: float, phase: Phase
) -> None:
    world = trying(canary={**CANARY, "business": True})
    found = in_canary(world)
    world.outcomes(world.predict(60, arm="canary", version=2), off=canary_off)
    world.outcomes(world.predict(60, arm="baseline"), off=0.5)
    world.count(Arm.CANARY, 1600)
    world.count(Arm.BASELINE, 1600)
    assert world.look(found).phase is phase


def test_no_outcomes_leave_the_business_undecided(trying: Make) -> None:
    world = trying(canary={**CANARY, "business": True})
    found = in_canary(world)
    world.count(Arm.CANARY, 1600)
    world.count(Arm.BASELINE, 1600)
    assert world.look(found).phase is Phase.TRYING
    world.passes(hours=3)
    assert world.look(found).phase is Phase.ASKING
    assert "no reports and no outcomes yet" in world.rollout().note or "canary" in world.rollout().evidence


# Approval


def test_nothing_goes_live_before_a_person_agrees(trying: Make) -> None:
    world = trying(canary=CANARY, approval="required")
    found = in_canary(world)
    world.count(Arm.CANARY, 1600)
    world.count(Arm.BASELINE, 1600)
    assert state(world.look(found)) == (RolloutState.CANDIDATE, Phase.ASKING), "no request meets it meanwhile"
    progress = found.decide("Grace", approved=True, note="fine", now=world.now)
    assert progress.phase is Phase.READY
    assert world.rollout().evidence["approval"]["text"] == "approved by Grace: fine"


def test_a_person_who_says_no_rejects_it(trying: Make) -> None:
    world = trying(approval="required")
    found = world.challenger()
    assert world.look(found).phase is Phase.ASKING
    progress = found.decide("Grace", approved=False, note="not before the fair", now=world.now)
    assert state(progress) == (RolloutState.REJECTED, Phase.OVER)
    assert progress.rollout.note == "rejected by Grace: not before the fair"


def test_an_answer_that_nobody_waits_for_changes_nothing(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    assert found.decide("Grace", approved=False, note="", now=world.now).phase is Phase.READY


# What others do meanwhile


@pytest.mark.parametrize("when", ["before a look", "before the promotion"])
def test_another_release_that_went_live_aborts_it(trying: Make, when: str) -> None:
    world = trying()
    found = world.challenger()
    if when == "before the promotion":
        assert world.look(found).phase is Phase.READY
    world.release(3, world.order(2, attempt=2))
    world.go_live(3, "an emergency")
    progress = found.promote("better", world.now) if "promotion" in when else world.look(found)
    assert state(progress) == (RolloutState.ABORTED, Phase.OVER)
    assert progress.rollout.note == "release 3 became the live one meanwhile: an emergency"
    assert world.live() == Live(NAME, 3, 2)


def test_there_and_back_again_aborts_it_too(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    world.release(3, world.order(2, attempt=2))
    world.go_live(3)
    world.go_live(1, "back")
    assert world.look(found).rollout.state is RolloutState.ABORTED


def test_a_cycle_that_is_over_aborts_its_release(trying: Make) -> None:
    world = trying(shadow=SHADOW)
    found = shadowed(world)
    world.order(3)
    progress = world.look(found)
    assert state(progress) == (RolloutState.ABORTED, Phase.OVER)
    assert "is closed: made way" in progress.rollout.note


def test_a_new_release_ends_the_trial_of_another(trying: Make) -> None:
    world = trying(shadow=SHADOW)
    shadowed(world)
    order = world.order(3)
    world.release(3, order)
    world.begin(3, order)
    assert (world.rollout(2).state, world.rollout(2).note) == (
        RolloutState.ABORTED,
        "release 3 is tried instead",
    )
    assert world.rollout(3).state is RolloutState.CANDIDATE


def test_a_long_trial_keeps_its_cycle_alive(trying: Make) -> None:
    world = trying(shadow=SHADOW)
    found = shadowed(world)
    world.passes(seconds=KEEP_ALIVE.total_seconds() + 1)
    world.look(found)
    with world.store.read() as db:
        assert cycles.get_cycle(db, NAME, found.order.cycle_id).changed_at == world.now


def test_a_task_that_failed_ends_the_trial_until_it_is_repeated(trying: Make) -> None:
    world = trying(canary=CANARY)
    found = in_canary(world)
    world.count(Arm.CANARY, 30, errors=2)
    mark_failed(world.store, NAME, found.order.cycle_id, "out of memory", world.now)
    assert (world.rollout().state, world.rollout().note) == (RolloutState.ABORTED, "out of memory")
    with world.store.write() as db:
        cycles.set_state(db, cycles.get_cycle(db, NAME, found.order.cycle_id), State.ACTIVE, world.now)
    again = world.begin(2, found.order)
    assert state(world.look(again)) == (RolloutState.CANARY, Phase.TRYING)
    with world.store.read() as db:
        assert rollouts.counts_of(db, NAME, 2) == {}, "what was counted before does not count"


# Crashes and races


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("dies_at", range(6))
@pytest.mark.parametrize("after", [False, True], ids=["before it is written", "after it was written"])
def test_a_crash_at_any_change_is_made_good_by_looking_again(
    trying: Make, monkeypatch: pytest.MonkeyPatch, dies_at: int, after: bool
) -> None:
    world = trying(shadow=SHADOW, canary=CANARY, approval="required")
    writes = 0
    honest: dict[str, Any] = {name: getattr(rollouts, name) for name in ("move", "note_down")}

    def dying(name: str) -> Callable[..., Any]:
        def act(*given: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes - 1 == dies_at and not after:
                raise Crash
            result = honest[name](*given)
            if writes - 1 == dies_at:
                given[0].commit()
                raise Crash
            return result

        return act

    for name in honest:
        monkeypatch.setattr(rollouts, name, dying(name))
    found = world.challenger()
    crashes = 0
    for step in (
        lambda: world.look(found),
        lambda: (world.shadow(20), world.look(found)),
        lambda: (world.count(Arm.CANARY, 1600), world.count(Arm.BASELINE, 1600), world.look(found)),
        lambda: found.decide("Grace", approved=True, note="", now=world.now),
        lambda: found.promote("better", world.now),
    ):
        for _ in range(2):
            try:
                step()
                break
            except Crash:
                crashes += 1
    assert crashes == 1
    assert world.rollout().state is RolloutState.PROMOTED
    assert world.live() == Live(NAME, 2, 2)
    with world.store.read() as db:
        assert [change.version for change in live.promotions_of(db, NAME)] == [1, 2]


def test_a_promotion_that_dies_between_its_two_writes_has_done_neither(
    trying: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = trying()
    found = world.challenger()
    world.look(found)

    def die(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(live, "promote", die)
        found.promote("better", world.now)
    assert (world.rollout().state, world.live()) == (RolloutState.CANDIDATE, Live(NAME, 1, 1))
    assert found.promote("better", world.now).rollout.state is RolloutState.PROMOTED


def test_many_who_look_and_promote_at_once_promote_once(trying: Make) -> None:
    world = trying()
    found = world.challenger()

    def promote(_: int) -> RolloutState:
        found.look(world.now)
        return found.promote("better", world.now).rollout.state

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(promote, range(12))) == {RolloutState.PROMOTED}
    with world.store.read() as db:
        assert [change.version for change in live.promotions_of(db, NAME)] == [1, 2]


def test_two_releases_that_race_to_be_live_leave_one_and_tell_the_other(trying: Make) -> None:
    world = trying()
    found = world.challenger()
    order = found.order.model_copy(update={"attempt": 2})
    world.release(3, order)

    def rival(_: datetime) -> Progress:
        other = world.begin(3, order)
        other.look(world.now)
        return other.promote("rival", world.now)

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.submit(lambda: found.promote("mine", world.now)), pool.submit(rival, world.now)
        ends = (mine.result().rollout, theirs.result().rollout)
    assert len([one for one in ends if one.state is RolloutState.PROMOTED]) >= 1
    pointer = world.live()
    with world.store.read() as db:
        changes = live.promotions_of(db, NAME)
    assert pointer is not None
    assert pointer.version == changes[-1].version
    assert [after.previous for after in changes[1:]] == [before.version for before in changes[:-1]]
    promoted = {one.version for one in ends if one.state is RolloutState.PROMOTED}
    assert {change.version for change in changes[1:]} == promoted


def test_many_who_take_the_same_release_back_go_back_once(trying: Make) -> None:
    world = trying()
    for version in (1, 2, 3):
        world.release(version, world.order(version))
        world.go_live(version)
    taken = {Stage.DEPLOYMENT: "3"}
    orders = [world.order(10 + n, inputs=taken, reason="worse", started_by=BY_HAND) for n in range(8)]

    def said(order: WorkOrder) -> str:
        try:
            return roll_back(order, world.store, Settings()).text
        except ReleaseError as refusal:
            return refusal.what

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(said, orders))
    assert world.live() == Live(NAME, 2, 4)
    assert texts.count("rolled back to release 2: kreislauf: worse") == 1
    assert texts.count("release 3 had been taken back already: release 2 is live") == 7


def test_promotions_and_rollbacks_at_once_leave_one_champion_and_one_line_of_history(trying: Make) -> None:
    world = trying()
    world.release(1, world.order(1))
    world.go_live(1)
    order = world.order(2)
    for version in range(2, 10):
        world.release(version, order.model_copy(update={"attempt": version}))

    def act(version: int) -> None:
        if version % 2:
            rollback = order.model_copy(
                update={"cycle_id": f"c{version}", "reason": "worse", "started_by": BY_HAND}
            )
            try:
                roll_back(rollback, world.store, Settings())
            except ReleaseError as refusal:  # it came before any other release
                assert refusal.what == "nothing to roll back to: there was no release before"
            return
        found = world.begin(version, order.model_copy(update={"attempt": version}))
        if found.look(world.now).phase is Phase.READY:
            found.promote("better", world.now)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(2, 10)))
    with world.store.read() as db:
        changes, tried = live.promotions_of(db, NAME), rollouts.rollouts_of(db, NAME)
    pointer = world.live()
    assert pointer == Live(NAME, changes[-1].version, changes[-1].revision)
    assert [change.revision for change in changes] == list(range(1, len(changes) + 1))
    assert [after.previous for after in changes[1:]] == [before.version for before in changes[:-1]]
    promoted = {one.version for one in tried if one.state is RolloutState.PROMOTED}
    assert promoted == {change.version for change in changes if change.reason == "better"}
