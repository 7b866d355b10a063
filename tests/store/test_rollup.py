"""Rolling days up, and archiving them, changes nothing of what monitoring reads."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from include.kreislauf.errors import StoreError
from include.kreislauf.store import log_archive, observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_archive import archive, archives_of, read_archive
from include.kreislauf.store.log_records import new_id
from include.kreislauf.store.rollup import roll_up
from include.kreislauf.store.schema import log_counts, log_newest, outcomes, predictions, shadow_predictions
from tests.support.examples import LATER, NOW, USE_CASE, prediction

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
END = NOW + 5 * DAY
NUMBERS = count()

PREDICTIONS = st.fixed_dictionaries({
    "release": st.integers(1, 2),
    "entity": st.sampled_from(["a", "b", None]),
    "arm": st.sampled_from(["champion", "baseline"]),
    "known": st.booleans(),
    "period": st.sampled_from([NOW, NOW + DAY]),
    "value": st.sampled_from([0.5, 1.5, None]),
    "as_of": st.integers(0, 14).map(lambda parts: NOW + parts * 8 * HOUR),
    "created_at": st.integers(0, 4).map(lambda days: NOW + days * DAY),
})  # fmt: skip
OUTCOMES = st.none() | st.tuples(st.floats(-1, 1), st.integers(0, 4).map(lambda days: NOW + days * DAY))
HAPPENED = st.lists(st.tuples(PREDICTIONS, OUTCOMES), max_size=8)
STEPS = st.lists(
    st.tuples(HAPPENED, st.sampled_from(["nothing", "roll", "archive"]), st.integers(0, 6)),
    min_size=1,
    max_size=4,
)


def log(store: Store, use_case: str, happened: Any, ids: Any = None) -> None:
    with store.write() as db:
        for number, (fields, outcome) in enumerate(happened):
            own = {"id": f"{ids[number]}-{use_case[:1]}"} if ids else {}
            row = prediction(use_case=use_case, **fields, **own)
            observations.save_predictions(db, [row])
            if outcome:
                assert observations.save_outcome(db, row["id"], *outcome, LATER) == "stored"


def views(store: Store, use_case: str, until: datetime) -> list[Any]:
    filters: list[dict[str, Any]] = [
        {},
        {"release": 1},
        {"arm": "baseline"},
        {"release": 2, "arm": "champion"},
    ]
    with store.read() as db:
        return [set(map(tuple, observations.observed(db, use_case, until, **one))) for one in filters]


def total(store: Store, use_case: str) -> int:
    with store.read() as db:
        return db.scalar(select(func.sum(log_counts.c.rows)).where(log_counts.c.use_case == use_case)) or 0


def number_of(store: Store, table: Any) -> int:
    with store.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


@given(STEPS, st.integers(0, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_what_is_observed_does_not_depend_on_what_was_rolled_up_or_archived(
    store: Store, tmp_path: Path, steps: Any, days: int
):
    plain, rolled = f"plain_{next(NUMBERS)}", f"rolled_{next(NUMBERS)}"
    rows, archived_until = 0, NOW
    for happened, what, ends in steps:
        ids = [new_id()[2:] for _ in happened]  # of rows of the same time, the smaller id counts
        log(store, plain, happened, ids)
        log(store, rolled, happened, ids)
        rows += len(happened)
        until = NOW + ends * DAY
        if what != "nothing":
            roll_up(store, rolled, until, LATER)
        if what == "archive":
            archive(store, rolled, until, tmp_path, LATER)
            archived_until = max(archived_until, until)
        for moment in {max(archived_until, NOW + days * DAY - HOUR), max(archived_until, END)}:
            assert views(store, rolled, moment) == views(store, plain, moment)
    roll_up(store, rolled, END + DAY, LATER)
    assert total(store, rolled) == rows


def test_a_rolled_up_day_is_read_from_the_roll_up(store: Store):
    log(store, USE_CASE, [({"created_at": NOW + number * HOUR}, None) for number in range(20)])
    assert roll_up(store, USE_CASE, NOW + DAY, LATER) == ["2016-01-01"]
    assert number_of(store, log_newest) == 1
    before = views(store, USE_CASE, END)
    with store.write() as db:
        db.execute(predictions.delete())
    assert views(store, USE_CASE, END) == before


def test_a_late_prediction_opens_its_day_until_the_next_roll_up(store: Store):
    log(store, USE_CASE, [({}, None)])
    assert roll_up(store, USE_CASE, END, LATER) == ["2016-01-01"]
    assert roll_up(store, USE_CASE, END, LATER) == []
    log(store, USE_CASE, [({"entity": "late"}, None)])
    with store.read() as db:
        assert observations.covered_days(db, USE_CASE, END) == []
        assert {one.entity for one in observations.observed(db, USE_CASE, END)} == {"python", "late"}
    assert roll_up(store, USE_CASE, END, LATER) == ["2016-01-01"]
    assert number_of(store, log_newest) == 2


def test_a_day_that_has_not_ended_is_not_rolled_up(store: Store):
    log(store, USE_CASE, [({}, None)])
    assert roll_up(store, USE_CASE, NOW + DAY - HOUR, LATER) == []


def test_writers_and_a_roll_up_at_once_lose_nothing(store: Store):
    ends = threading.Event()

    def write(number: int) -> None:
        for turn in range(25):
            log(store, USE_CASE, [({"entity": f"{number}-{turn}", "as_of": NOW + (turn % 3) * DAY}, None)])

    def roll() -> None:
        while not ends.is_set():
            roll_up(store, USE_CASE, END, LATER)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    roller = threading.Thread(target=roll)
    for thread in (*writers, roller):
        thread.start()
    for thread in writers:
        thread.join()
    ends.set()
    roller.join()
    with store.read() as db:
        assert len(observations.observed(db, USE_CASE, END)) == 100
    roll_up(store, USE_CASE, END, LATER)
    assert (number_of(store, log_newest), total(store, USE_CASE)) == (100, 100)


def test_an_archive_holds_every_row_and_the_store_only_what_is_rolled_up(store: Store, tmp_path: Path):
    happened = [
        ({"created_at": NOW + number * HOUR, "value": number / 3}, (0.25, NOW)) for number in range(5)
    ]
    log(store, USE_CASE, happened)
    with store.write() as db:
        ids = list(db.scalars(select(predictions.c.id)))
        shadow = {
            "prediction_id": ids[0],
            "release": 2,
            "use_case": USE_CASE,
            "value": 0.7,
            "created_at": NOW,
        }
        db.execute(shadow_predictions.insert(), shadow)
    roll_up(store, USE_CASE, END, LATER)
    [made] = archive(store, USE_CASE, END, tmp_path, LATER)
    found = read_archive(made.path(tmp_path), made.sha256).to_pylist()
    assert {row["id"] for row in found} == set(ids)
    assert sorted(row["value"] for row in found) == [number / 3 for number in range(5)]
    assert {(row["outcome"], row["observed_at"], row["as_of"]) for row in found} == {(0.25, NOW, NOW)}
    assert {row["id"]: row["shadows"] for row in found if row["shadows"]} == {ids[0]: '{"2": 0.7}'}
    tables = (predictions, outcomes, shadow_predictions, log_newest)
    assert [number_of(store, table) for table in tables] == [0, 1, 0, 1]
    assert made.path(tmp_path).parent.name == "day=2016-01-01"
    assert archive(store, USE_CASE, END, tmp_path, LATER) == []


def test_an_outcome_comes_to_an_archived_prediction_that_counts(store: Store, tmp_path: Path):
    row = prediction()
    with store.write() as db:
        observations.save_predictions(db, [row])
    roll_up(store, USE_CASE, END, LATER)
    archive(store, USE_CASE, END, tmp_path, LATER)
    with store.write() as db:
        assert observations.save_outcome(db, row["id"], 2.0, NOW, LATER) == "stored"
        assert [one.outcome for one in observations.observed(db, USE_CASE, END)] == [2.0]


def test_an_interrupted_deletion_is_taken_up(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log(store, USE_CASE, [({"entity": str(number)}, None) for number in range(10)])
    roll_up(store, USE_CASE, END, LATER)
    before = views(store, USE_CASE, END)
    monkeypatch.setattr(log_archive, "ROWS_PER_DELETION", 3)
    real, turns = Store.write, count()

    def failing(self: Store) -> Any:
        if next(turns) == 3:
            raise KeyboardInterrupt
        return real(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "write", failing)
        archive(store, USE_CASE, END, tmp_path, LATER)
    assert number_of(store, predictions) == 4
    log(store, USE_CASE, [({"entity": "late"}, None)])
    assert roll_up(store, USE_CASE, END, LATER) == []
    assert archive(store, USE_CASE, END, tmp_path, LATER) == []
    assert number_of(store, predictions) == 1
    assert roll_up(store, USE_CASE, END, LATER) == ["2016-01-01"]
    assert total(store, USE_CASE) == 11
    assert all(old < new for old, new in zip(before[:2], views(store, USE_CASE, END)[:2], strict=True))


def test_a_file_that_was_changed_deletes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log(store, USE_CASE, [({}, None)])
    roll_up(store, USE_CASE, END, LATER)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(log_archive, "_delete", interrupted)
        archive(store, USE_CASE, END, tmp_path, LATER)
    with store.read() as db:
        [made] = archives_of(db, USE_CASE)
    path = made.path(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="has changed"):
        archive(store, USE_CASE, END, tmp_path, LATER)
    assert number_of(store, predictions) == 1
