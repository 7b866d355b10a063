"""A rollback waits for nothing: by hand, by command, from monitoring, while others are at work, and twice at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.kreislauf.deployment import delivery
from include.kreislauf.deployment.promotion import roll_back
from include.kreislauf.errors import ContractError, ReleaseError
from include.kreislauf.feedback.by_command import nobodys_loops, promote_now, roll_back_now
from include.kreislauf.feedback.receipt import Refused
from include.kreislauf.handovers import Edge, Loop, Reason, Role
from include.kreislauf.store import live, rollouts
from include.kreislauf.store.cycles import State
from include.kreislauf.store.rollouts import RolloutState
from tests.support.lap import Lap
from tests.support.script import release

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def two_live(scripted: Lap) -> Lap:
    """Release 2 is live, after release 1."""
    for _ in range(2):
        scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return scripted


def version(lap: Lap) -> int | None:
    row = lap.live()
    return row.version if row else None


def changes(lap: Lap) -> list[tuple[int, int | None]]:
    with lap.store.read() as db:
        return [(one.version, one.previous) for one in live.promotions_of(db, lap.use_case)]


def test_one_click_flips_back_and_asks_data_science_for_a_better_one(two_live: Lap) -> None:
    sent = two_live.manual(Role.MLOPS, roll_back=True, by="Ada", reason="it is worse")
    first = sent[0]
    assert isinstance(first, Loop)
    assert (first.edge, first.reason) == (Edge.MLOPS_TO_DATA_SCIENCE, Reason.ROLLED_BACK)
    assert first.text == "rolled back to release 1: Ada: it is worse"
    assert changes(two_live)[:3] == [(1, None), (2, 1), (1, 2)]
    assert version(two_live) == 3, "the loop led to a better one"
    assert two_live.cycles()[-1].state is State.LIVE


def test_a_rollback_does_not_wait_for_the_cycle_at_work_nor_end_it(two_live: Lap) -> None:
    busy = two_live.receive(two_live.by_hand(Role.DATA_ENGINEERING))
    two_live.manual(Role.MLOPS, roll_back=True, by="Ada", reason="it is worse")
    assert version(two_live) == 1
    assert [cycle.cycle_id for cycle in two_live.cycles(State.ACTIVE)] == [busy.cycle_id]
    (loop,) = two_live.loops()
    assert (loop.state, two_live.cycles()[-1].state) == ("refused", State.CLOSED)
    assert f"cycle {busy.cycle_id} is at work" in (loop.decision or "")


def test_a_loop_from_monitoring_rolls_back_while_a_cycle_is_at_work(two_live: Lap) -> None:
    busy = two_live.receive(two_live.by_hand(Role.DATA_ENGINEERING))
    two_live.manual(Role.MONITORING, loop=Edge.MONITORING_TO_MLOPS, by="Ada", reason="it is worse")
    assert version(two_live) == 1
    assert [cycle.cycle_id for cycle in two_live.cycles(State.ACTIVE)] == [busy.cycle_id]


def test_a_rollback_repeated_flips_nothing_twice(two_live: Lap) -> None:
    incoming = two_live.by_hand(Role.MLOPS, roll_back=True)
    for _ in range(2):
        order = two_live.receive(incoming)
        roll_back(order, two_live.store, two_live.settings)
    assert changes(two_live) == [(1, None), (2, 1), (1, 2)]


def test_two_who_take_the_same_release_back_go_back_once(two_live: Lap) -> None:
    two_live.manual(Role.REQUIREMENTS, as_of=AS_OF)
    orders = [
        two_live.receive(two_live.by_hand(Role.MLOPS, roll_back=True, by=name)) for name in ("Ada", "Bob")
    ]
    roll_back(orders[0], two_live.store, two_live.settings)
    with pytest.raises(ReleaseError, match="release 3 had been taken back already: release 2 is live"):
        roll_back(orders[1], two_live.store, two_live.settings)
    assert version(two_live) == 2
    assert [one.state for one in two_live.cycles()[-2:]] == [State.PROPOSED, State.REFUSED]


def test_what_is_tried_is_aborted_by_a_rollback(two_live: Lap) -> None:
    order = two_live.receive(two_live.by_hand(Role.MLOPS, override=True, by="Ada"))
    number = release(order, two_live.store, go_live=False)
    with two_live.store.read() as db:
        row = live.find_release(db, two_live.use_case, number)
    assert row is not None
    delivery.begin(two_live.store, row, two_live.contract, two_live.now())
    two_live.manual(Role.MLOPS, roll_back=True, reason="it is worse")
    with two_live.store.read() as db:
        tried = rollouts.find(db, two_live.use_case, number)
    assert tried is not None
    assert (tried.state, tried.note) == (RolloutState.ABORTED, "rolled back: a person: it is worse")
    assert version(two_live) == 1


def test_before_anything_is_live_there_is_nothing_to_take_back(scripted: Lap) -> None:
    scripted.order(AS_OF)  # signs the contract
    scripted.manual(Role.MLOPS, roll_back=True)
    assert scripted.refused[0].startswith("radar: nothing is live yet")


# By command


def test_a_command_flips_at_once_and_leaves_a_loop_for_the_next_run(two_live: Lap) -> None:
    loop = roll_back_now(
        two_live.store, two_live.settings, "radar", by="Ada", reason="it is worse", now=two_live.now()
    )
    assert version(two_live) == 1
    assert (loop.text, loop.by) == ("rolled back to release 1: Ada: it is worse", "Ada")
    with two_live.store.read() as db:
        assert nobodys_loops(db, "radar") == [loop]
    two_live.event(loop)  # what the next run of mlops emits
    with two_live.store.read() as db:
        assert nobodys_loops(db, "radar") == []
    assert version(two_live) == 3


def test_a_rollback_that_changes_nothing_leaves_no_loop_and_no_open_cycle(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    with pytest.raises(ReleaseError, match="nothing to roll back to: there was no release before"):
        roll_back_now(
            scripted.store, scripted.settings, "radar", by="Ada", reason="it is worse", now=scripted.now()
        )
    assert scripted.loops() == []
    assert [one.state for one in scripted.cycles()] == [State.LIVE, State.REFUSED]
    assert changes(scripted) == [(1, None)]


def test_by_click_too_a_rollback_that_changes_nothing_leaves_no_open_cycle(scripted: Lap) -> None:
    scripted.manual(Role.REQUIREMENTS, as_of=AS_OF)
    with pytest.raises(ReleaseError, match="nothing to roll back to: there was no release before"):
        scripted.manual(Role.MLOPS, roll_back=True, by="Ada")
    assert scripted.loops() == []
    assert [one.state for one in scripted.cycles()] == [State.LIVE, State.REFUSED]


def test_where_time_comes_with_events_a_command_is_of_the_newest(two_live: Lap) -> None:
    loop = roll_back_now(two_live.store, two_live.settings, "radar", by="Ada", reason="?", now=two_live.now())
    assert loop.as_of == AS_OF
    promote_now(two_live.store, two_live.settings, "radar", 2, by="Ada", reason="?", now=two_live.now())
    with two_live.store.read() as db:
        assert [one.as_of for one in live.promotions_of(db, "radar")] == [AS_OF] * 4


def test_on_the_wall_clock_a_command_is_of_now(two_live: Lap) -> None:
    now, watched = two_live.now(), two_live.settings.model_copy(update={"clock": "wall"})
    loop = roll_back_now(two_live.store, watched, "radar", by="Ada", reason="?", now=now)
    assert loop.as_of == now


def test_a_command_says_what_it_lacks(scripted: Lap) -> None:
    with pytest.raises(ContractError, match="has no signed contract"):
        roll_back_now(scripted.store, scripted.settings, "radar", by="Ada", reason="?", now=scripted.now())
    scripted.order(AS_OF)
    with pytest.raises(Refused, match="nothing is live yet"):
        roll_back_now(scripted.store, scripted.settings, "radar", by="Ada", reason="?", now=scripted.now())


# The same candidate again


def test_the_candidate_that_is_live_is_not_released_again_by_hand(two_live: Lap) -> None:
    assert two_live.manual(Role.MLOPS) == []
    assert "the newest candidate is what is live: release 2" in two_live.refused[-1]
    assert two_live.manual(Role.MLOPS, override=True, by="Ada") != []
    assert version(two_live) == 3
