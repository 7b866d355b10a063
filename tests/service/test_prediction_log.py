"""The journal against real databases: what it returns from is stored, in few transactions, in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from include.kreislauf.service.journal import Journal, LoggedPrediction, LoggedShadow, new_id, stamp
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.problems import RefusedError
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import moment_of
from include.kreislauf.store.schema import outcomes, predictions, shadow_predictions
from tests.support.examples import NOW, USE_CASE

AT = stamp(NOW)
FIRST, LAST = (NOW.replace(year=year, tzinfo=None) for year in (1901, 2199))


def row(**fields: Any) -> LoggedPrediction:
    usual = LoggedPrediction(new_id(), USE_CASE, 1, "python", True, 0.5, AT, AT, AT)
    return usual._replace(**fields)


def sent(prediction_id: str, value: float = 1.5) -> Any:
    return SimpleNamespace(prediction_id=prediction_id, value=value, observed_at=NOW)


def run(store: Store, folder: Path, use: Callable[[Journal], Coroutine[Any, Any, Any]]) -> Any:
    async def live() -> Any:
        journal = Journal(store, folder / "spool", Metrics())
        journal.start()
        try:
            return await use(journal)
        finally:
            await journal.stop()

    return asyncio.run(live())


def stored(store: Store, table: Any = predictions) -> list[Any]:
    with store.read() as db:
        return list(db.execute(select(table)))


def test_every_column_comes_back_as_it_was_given(store: Store, tmp_path: Path):
    rows = [
        row(value=0.1 + 0.2, low=-1e300, high=5e-324, features='{"kind": "ä\\u0000 \\" ☃"}', arm="canary"),
        row(entity=None, known=False, value=None),
    ]
    shadow = LoggedShadow(rows[0].id, 2, USE_CASE, 0.7, AT)
    run(store, tmp_path, lambda journal: journal.write_predictions(rows, [shadow]))
    found = {one.id: one for one in stored(store)}
    for one in rows:
        times = {name: moment_of(getattr(one, name)) for name in ("period", "as_of", "created_at")}
        assert found[one.id]._asdict() == {**one._asdict(), **times}
    assert [tuple(one) for one in stored(store, shadow_predictions)] == [(*shadow[:4], NOW)]


def test_requests_that_wait_together_share_a_transaction(store: Store, tmp_path: Path):
    commits: list[int] = []
    event.listen(store.engine, "commit", lambda _db: commits.append(1))

    async def use(journal: Journal) -> None:
        await asyncio.gather(*(journal.write_predictions([row()]) for _ in range(500)))

    run(store, tmp_path, use)
    assert len(stored(store)) == 500
    assert len(commits) < 10


def test_outcomes_of_many_requests_are_answered_one_by_one(store: Store, tmp_path: Path):
    a, b = row(), row()

    async def use(journal: Journal) -> list[list[str]]:
        _, *answers = await asyncio.gather(
            journal.write_predictions([a, b]),
            journal.write_outcomes(USE_CASE, [sent(a.id), sent(a.id), sent(a.id, 2), sent("nobody")], NOW),
            journal.write_outcomes("churn", [sent(b.id)], NOW),
            journal.write_outcomes(USE_CASE, [sent(b.id), sent(a.id)], NOW),
        )
        return [[one.result for one in found] for found in answers]

    assert run(store, tmp_path, use) == [
        ["stored", "duplicate", "conflict", "unknown"], ["unknown"], ["stored", "duplicate"],
    ]  # fmt: skip
    assert {one.prediction_id: one.value for one in stored(store, outcomes)} == {a.id: 1.5, b.id: 1.5}


def test_a_record_that_the_database_refuses_fails_alone(store: Store, tmp_path: Path):
    good, bad, other = row(), row(value="much"), row()  # type: ignore[arg-type]
    if store.engine.dialect.name == "sqlite":
        bad = bad._replace(value=object())  # SQLite takes any text for a number

    async def use(journal: Journal) -> list[Any]:
        waiting = [journal.write_predictions([one]) for one in (good, bad, other)]
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = run(store, tmp_path, use)
    assert [found[0], found[2]] == [None, None]
    assert isinstance(found[1], Exception)
    assert {one.id for one in stored(store)} == {good.id, other.id}


def test_after_the_end_nothing_is_acknowledged(store: Store, tmp_path: Path):
    async def use(journal: Journal) -> None:
        await journal.stop()
        with pytest.raises(RefusedError, match="closed"):
            await journal.write_predictions([row()])

    run(store, tmp_path, use)
    assert stored(store) == []


def test_ids_are_unique_and_in_the_order_of_their_time():
    before = datetime.now(UTC)
    ids = [new_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert {(len(one), one[14], one[19] in "89ab") for one in ids} == {(36, "7", True)}
    after = datetime.now(UTC)
    made = [datetime.fromtimestamp(int(one[:8] + one[9:13], 16) / 1000, UTC) for one in (ids[0], ids[-1])]
    assert before - timedelta(milliseconds=1) <= made[0] <= made[1] <= after
    ticks = [one[:18] for one in ids]  # in one tick of 0.24 us their order is left to chance
    assert ticks == sorted(ticks)


@given(st.datetimes(FIRST, LAST, timezones=st.timezones()))
def test_law_a_stamp_is_the_time_in_utc(moment: datetime):
    assert moment_of(stamp(moment)) == moment.astimezone(UTC)
    assert len(stamp(moment)) == 26
