"""What tidying deletes, on both databases; tests/canary/test_use_case.py has the files of real passes."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from include.kreislauf.canary.tidying import KEPT, tidy
from include.kreislauf.handovers import Role
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import cycles, live, messages, observations, receipts, schema
from include.kreislauf.store.database import Store, insert_rows
from tests.support.examples import NOW, USE_CASE, handover, prediction, release

PASSES = KEPT + 2
LEFT = (
    schema.handovers,
    schema.receipts,
    schema.releases,
    schema.promotions,
    schema.predictions,
    schema.outcomes,
)


def go_through(store: Store, use_case: str, number: int) -> None:
    with store.write() as db:
        cycle = cycles.open_cycle(
            db, use_case, origin=str(number), started_by="a test", reason="a test", as_of=NOW, now=NOW
        )
        message = handover(use_case=use_case, cycle_id=cycle.cycle_id)
        messages.save_handover(db, message, "", NOW)
        receipts.record_receipt(db, message, Role.MLOPS, "run", NOW)
        live.save_release(db, release(number, use_case=use_case, cycle_id=cycle.cycle_id))
        live.promote(
            db, use_case, number, expected=live.live(db, use_case), cycle_id=cycle.cycle_id, reason="a test", as_of=NOW, now=NOW
        )  # fmt: skip
        row = prediction(use_case=use_case, release=number)
        insert_rows(db, schema.predictions, [row])
        observations.save_outcome(db, row["id"], 1.0, NOW, NOW)


def test_rows_of_old_canaries_go_and_those_of_people_stay(store: Store, tmp_path: Path) -> None:
    for number in range(1, PASSES + 1):
        go_through(store, CANARY, number)
        go_through(store, USE_CASE, number)
    settings = Settings(home=tmp_path, tracking_url="none", tables_url="")
    for _ in range(2):
        tidy(store, settings)
    with store.read() as db:
        counts = [db.scalar(select(func.count()).select_from(table)) for table in LEFT]
        numbers = {name: [row.version for row in live.releases_of(db, name)] for name in (CANARY, USE_CASE)}
        now_live = live.live(db, CANARY)
    assert counts == [KEPT + PASSES] * len(LEFT)
    assert numbers == {CANARY: [3, 4, 5], USE_CASE: [1, 2, 3, 4, 5]}
    assert now_live
    assert now_live.version == PASSES
    go_through(store, CANARY, PASSES + 1)


def test_the_release_that_answers_stays_however_old_it_is(store: Store, tmp_path: Path) -> None:
    """Canaries that failed before their release leave the one of long ago live."""
    go_through(store, CANARY, 1)
    with store.write() as db:
        for number in range(2, PASSES + 2):
            cycles.open_cycle(
                db, CANARY, origin=str(number), started_by="a test", reason="a test", as_of=NOW, now=NOW
            )
    tidy(store, Settings(home=tmp_path, tracking_url="none", tables_url=""))
    with store.read() as db:
        assert live.live_release(db, CANARY) is not None
