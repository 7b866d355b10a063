"""The live release: one pointer per use case, moved only by who saw it where it is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy.exc import IntegrityError

from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import Live
from tests.support import racers
from tests.support.examples import NOW, USE_CASE, release
from tests.support.racing import Race

ROUNDS = 10


def save(store: Store, *versions: int) -> None:
    with store.write() as db:
        for version in versions:
            assert live.save_release(db, release(version))


def promote(store: Store, version: int, expected: Live | None) -> bool:
    with store.write() as db:
        return live.promote(
            db, USE_CASE, version, expected=expected, cycle_id="c1", reason="test", as_of=NOW, now=NOW
        )


def pointer(store: Store) -> Live | None:
    with store.read() as db:
        return live.live(db, USE_CASE)


def test_nothing_is_live_before_the_first_release(store: Store):
    with store.read() as db:
        assert live.live(db, USE_CASE) is None
        assert live.live_use_cases(db) == []
        assert live.next_version(db, USE_CASE) == 1


def test_the_first_release_becomes_live_once(store: Store):
    save(store, 1, 2)
    assert promote(store, 1, expected=None)
    assert not promote(store, 2, expected=None)
    assert pointer(store) == Live(USE_CASE, 1, revision=1)


def test_a_pointer_that_moved_since_it_was_seen_is_not_moved_again(store: Store):
    save(store, 1, 2, 3)
    promote(store, 1, None)
    seen = pointer(store)
    assert promote(store, 2, seen)
    assert not promote(store, 3, seen)
    assert pointer(store) == Live(USE_CASE, 2, revision=2)


def test_going_back_and_forth_is_told_apart_by_the_revision(store: Store):
    save(store, 1, 2)
    promote(store, 1, None)
    seen = pointer(store)
    promote(store, 2, seen)
    promote(store, 1, pointer(store))
    assert not promote(store, 2, seen), "the same version is live as was seen, but two changes later"


def test_a_release_that_does_not_exist_never_becomes_live(store: Store):
    save(store, 1)
    promote(store, 1, None)
    with pytest.raises(IntegrityError):
        promote(store, 9, pointer(store))
    assert pointer(store) == Live(USE_CASE, 1, revision=1)


def test_each_revision_has_one_winner_and_the_history_is_one_line(store: Store, race: Race):
    save(store, *range(1, race.size + 1))
    won = race(racers.promote, store.url, ROUNDS)
    with store.read() as db:
        history = live.promotions_of(db, USE_CASE)
        now = live.live(db, USE_CASE)
    revisions = sorted(revision for mine in won for revision in mine)
    assert revisions == list(range(1, len(revisions) + 1))
    assert [row.revision for row in history] == revisions
    assert [row.version for row in history] == [
        next(number + 1 for number, mine in enumerate(won) if revision in mine) for revision in revisions
    ]
    assert history[0].previous is None
    assert all(after.previous == before.version for before, after in pairwise(history))
    assert now == Live(USE_CASE, history[-1].version, history[-1].revision)


def test_releases_are_found_by_version_and_by_attempt(store: Store):
    save(store, 1, 2)
    with store.read() as db:
        assert live.find_release(db, USE_CASE, 2) == release(2)
        assert live.release_of(db, USE_CASE, release(2).cycle_id, 1) == release(2)
        assert live.releases_of(db, USE_CASE) == [release(1), release(2)]
        assert live.next_version(db, USE_CASE) == 3
        assert live.find_release(db, USE_CASE, 3) is None
        assert live.release_of(db, USE_CASE, release(2).cycle_id, 2) is None
        assert live.next_version(db, "churn") == 1


@pytest.mark.parametrize(
    "taken", [{"version": 1, "cycle_id": "other"}, {"version": 2, "cycle_id": "c0001"}], ids=str
)
def test_a_version_or_an_attempt_that_has_a_release_gets_no_second(store: Store, taken: dict[str, object]):
    save(store, 1)
    with store.write() as db:
        assert not live.save_release(db, release(**taken))
        assert live.releases_of(db, USE_CASE) == [release(1)]


def test_use_cases_have_their_own_pointers(store: Store):
    save(store, 1)
    promote(store, 1, None)
    with store.write() as db:
        live.save_release(db, release(1, use_case="churn"))
        assert live.promote(db, "churn", 1, expected=None, cycle_id="c1", reason="", as_of=NOW, now=NOW)
        assert {one.use_case for one in live.live_use_cases(db)} == {USE_CASE, "churn"}
