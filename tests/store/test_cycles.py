"""Cycles: opened once per origin, numbered without gaps, at most one of a use case at work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.kreislauf.errors import StoreError
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from tests.support import racers
from tests.support.examples import LATER, NOW, USE_CASE, open_cycle
from tests.support.racing import Race


def states(store: Store) -> dict[str, State]:
    with store.read() as db:
        return {cycle.origin: cycle.state for cycle in cycles.all_cycles(db, USE_CASE)}


def test_a_new_cycle_is_proposed_and_named_by_number_and_time(store: Store):
    cycle = open_cycle(store, "run-1")
    assert (cycle.cycle_id, cycle.number, cycle.state) == ("c0001-2016-01-01", 1, State.PROPOSED)
    assert cycle.key == "radar|c0001-2016-01-01"
    assert cycle.as_of == cycle.opened_at == cycle.changed_at == NOW


def test_the_same_origin_opens_no_second_cycle(store: Store):
    first = open_cycle(store, "run-1", reason="first")
    assert open_cycle(store, "run-1", reason="again", as_of=LATER) == first
    assert len(states(store)) == 1


def test_cycles_are_numbered_per_use_case(store: Store):
    assert [open_cycle(store, f"run-{i}").number for i in range(3)] == [1, 2, 3]
    with store.write() as db:
        other = cycles.open_cycle(
            db, "churn", origin="run-0", started_by="test", reason="test", as_of=NOW, now=NOW
        )
    assert other.number == 1


def test_an_id_of_the_callers_choice_is_kept_and_opened_once(store: Store):
    first = open_cycle(store, "loop-1", cycle_id="child-of-c1", parent_cycle_id="c1")
    assert (first.cycle_id, first.number, first.parent_cycle_id) == ("child-of-c1", 1, "c1")
    assert open_cycle(store, "loop-2", cycle_id="child-of-c1") == first
    assert open_cycle(store, "run-3").number == 2


def test_origins_that_open_at_once_get_a_cycle_each(store: Store, race: Race):
    origins = [f"run-{i}" for i in range(race.size)]
    opened = race(racers.open_by, store.url, origins)
    assert sorted(opened) == [f"c{i + 1:04d}-2016-01-01" for i in range(race.size)]


def test_one_origin_that_opens_at_once_gets_one_cycle(store: Store, race: Race):
    assert set(race(racers.open_by, store.url, ["run-1"])) == {"c0001-2016-01-01"}
    assert list(states(store)) == ["run-1"]


def test_only_one_cycle_of_a_use_case_becomes_active(store: Store):
    first, second = open_cycle(store, "run-1"), open_cycle(store, "run-2")
    with store.write() as db:
        assert cycles.set_state(db, first, State.ACTIVE, LATER)
        assert not cycles.set_state(db, second, State.ACTIVE, LATER)
        # the transaction goes on: a refusal is written down in it
        assert cycles.set_state(db, second, State.REFUSED, LATER, "another is at work")
    assert states(store) == {"run-1": State.ACTIVE, "run-2": State.REFUSED}


def test_a_cycle_that_ends_makes_way_for_the_next(store: Store):
    first, second = open_cycle(store, "run-1"), open_cycle(store, "run-2")
    with store.write() as db:
        assert cycles.set_state(db, first, State.ACTIVE, LATER)
        assert cycles.set_state(db, first, State.LIVE, LATER)
        assert cycles.set_state(db, second, State.ACTIVE, LATER)
    assert states(store) == {"run-1": State.LIVE, "run-2": State.ACTIVE}


def test_another_use_case_has_its_own_active_cycle(store: Store):
    mine = open_cycle(store, "run-1")
    with store.write() as db:
        theirs = cycles.open_cycle(
            db, "churn", origin="run-1", started_by="test", reason="test", as_of=NOW, now=NOW
        )
        assert cycles.set_state(db, mine, State.ACTIVE, LATER)
        assert cycles.set_state(db, theirs, State.ACTIVE, LATER)


def test_of_many_that_become_active_at_once_one_does(store: Store, race: Race):
    ids = [open_cycle(store, f"run-{i}").cycle_id for i in range(race.size)]
    assert sum(race(racers.activate, store.url, ids)) == 1
    assert list(states(store).values()).count(State.ACTIVE) == 1


@pytest.mark.parametrize("state", State)
def test_a_state_is_kept_with_its_note_and_time(store: Store, state: State):
    cycle = open_cycle(store, "run-1")
    with store.write() as db:
        assert cycles.set_state(db, cycle, state, LATER, "because")
        found = cycles.get_cycle(db, USE_CASE, cycle.cycle_id)
        assert cycles.in_state(db, USE_CASE, state) == [found]
        assert cycles.in_state(db, USE_CASE, *set(State) - {state}) == []
    assert found == replace(cycle, state=state, note="because", changed_at=LATER)


def test_lists_are_newest_first_by_state_and_oldest_first_in_all(store: Store):
    opened = [open_cycle(store, f"run-{i}") for i in range(3)]
    with store.read() as db:
        assert cycles.in_state(db, USE_CASE, State.PROPOSED) == opened[::-1]
        assert cycles.all_cycles(db, USE_CASE) == opened
        assert cycles.all_cycles(db, USE_CASE, limit=2) == opened[1:]


def test_a_cycle_that_does_not_exist_is_none_or_an_error_with_its_id(store: Store):
    with store.read() as db:
        assert cycles.find(db, USE_CASE, "c9") is None
        assert cycles.find_by_origin(db, USE_CASE, "nobody") is None
        with pytest.raises(StoreError, match="'c9'"):
            cycles.get_cycle(db, USE_CASE, "c9")
