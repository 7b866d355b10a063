"""Promotions and rollbacks by many processes at once: always one champion, and a history without a gap."""

from __future__ import annotations

from include.kreislauf.store.database import Store
from tests.support.promoting import promote_and_roll_back


def test_there_is_always_one_champion_and_its_history_is_one_line(store: Store):
    found = promote_and_roll_back(store.url, processes=8, rounds=25)
    assert (found["one_champion"], found["linear"]) == (True, True)
    assert found["looks"] > 100
    assert found["promotions"] > found["rollbacks"] > 0
