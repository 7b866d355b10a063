"""Receipts, reminders, levels of metrics and the ledger's measurements, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.kreislauf.handovers import Role
from include.kreislauf.store import levels, messages, observations, receipts
from include.kreislauf.store.database import Store
from include.kreislauf.store.levels import Level
from include.kreislauf.store.messages import Measured
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.receipts import Reminder
from tests.support.examples import LATER, NOW, USE_CASE, handover, loop


def test_the_first_receipt_of_a_message_stands(store: Store) -> None:
    with store.write() as db:
        assert not receipts.is_received(db, handover().id)
        for run_id, at in (("first", NOW), ("second", LATER)):
            receipts.record_receipt(db, handover(), Role.MLOPS, run_id, at)
        assert receipts.is_received(db, handover().id)
        (one,) = receipts.newest_receipts(db, USE_CASE)
        assert (one.message_id, one.role, one.run_id, one.received_at) == (
            handover().id, Role.MLOPS, "first", NOW,
        )  # fmt: skip
        assert receipts.newest_receipts(db, "other") == []


def test_a_reminder_is_counted_on_and_forgotten_when_it_is_of_no_use(store: Store) -> None:
    ids = [handover(attempt=attempt).id for attempt in (1, 2)]
    with store.write() as db:
        for id_ in ids:
            for count in (1, 2):
                receipts.save_reminder(db, Reminder(id_, count, NOW, "paused"))
        assert {id_: one.count for id_, one in receipts.reminders_of(db, ids).items()} == dict.fromkeys(
            ids, 2
        )
        receipts.forget_reminders(db, keep=ids[:1])
        assert list(receipts.reminders_of(db, ids)) == ids[:1]
        receipts.forget_reminders(db, keep=[])
        assert receipts.reminders_of(db, ids) == {}


def test_the_last_message_of_a_run_is_when_it_ended(store: Store) -> None:
    raised = loop(run_id="run")
    with store.write() as db:
        messages.save_handover(db, handover(run_id="run"), "", NOW)
        messages.save_loop(db, raised, LATER)
        messages.save_handover(db, handover(run_id="other", attempt=2), "", NOW)
        found = messages.last_by_run(db, USE_CASE, {handover().cycle_id, raised.cycle_id})
        assert messages.last_by_run(db, USE_CASE, set()) == {}
    assert found[raised.cycle_id, "run"] == LATER
    assert found[handover().cycle_id, "other"] == NOW


def test_a_loop_is_closed_with_all_its_numbers(store: Store) -> None:
    measured = Measured(0.1, 0.3, 0.5, 0.4, 0.6, 0.1, 0.5, helped=True)
    with store.write() as db:
        messages.save_loop(db, loop(), NOW)
        messages.close_loop(db, loop().id, measured)
        row = messages.find_loop(db, loop().id)
    assert row is not None
    assert {name: getattr(row, name) for name in vars(measured)} == vars(measured)
    assert (row.state, row.sure) == ("closed", True)


@pytest.mark.parametrize(("limit", "expected"), [(1, [2]), (None, [1, 2])])
def test_the_newest_loops_come_oldest_first(store: Store, limit: int | None, expected: list[int]) -> None:
    with store.write() as db:
        for attempt in (1, 2):
            messages.save_loop(db, loop(attempt=attempt), NOW + timedelta(hours=attempt))
        assert [row.loop.attempt for row in messages.loops_of(db, USE_CASE, limit=limit)] == expected


def verdict(day: int, value: float | None, periods: int, *, breach: bool = False) -> Verdict:
    kind = "breach" if breach else "healthy"
    high = None if value is None else float("inf")
    return Verdict(
        USE_CASE, "rate", 2, NOW + timedelta(days=day), "c", kind, value, value, high, 0.5, periods, "t"
    )  # type: ignore[arg-type] # fmt: skip


def test_the_level_of_a_release_is_that_of_its_first_verdict_that_suffices(store: Store) -> None:
    rows = [verdict(1, None, 99), verdict(2, 0.6, 10), verdict(4, 0.7, 50), verdict(5, 0.8, 60)]

    def first(day: int, rows_until: int = 50) -> Level | None:
        until = NOW + timedelta(days=day)
        with store.read() as db:
            return levels.first_level(db, USE_CASE, "rate", 2, until, observations=rows_until)

    with store.write() as db:
        observations.save_verdicts(db, rows, NOW)
    assert first(3) is None
    assert first(4) == first(9) == Level(0.7, 0.7, None)
    with store.write() as db:
        observations.save_verdicts(db, [verdict(3, 0.4, 20, breach=True)], NOW)
    assert first(9) == Level(0.4, 0.4, None)


def test_the_level_at_a_time_has_the_interval_of_its_verdict_if_there_is_one(store: Store) -> None:
    with store.write() as db:
        observations.save_verdicts(db, [verdict(1, 0.6, 10)], NOW)
        at = NOW + timedelta(days=1)
        assert levels.level_at(db, USE_CASE, "rate", at, 0.6) == Level(0.6, 0.6, None)
        assert levels.level_at(db, USE_CASE, "rate", at, 0.7) == Level(0.7)
        assert levels.level_at(db, USE_CASE, "rate", NOW, 0.6) == Level(0.6)
