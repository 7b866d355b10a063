"""The spool: acknowledged records outlive a store that is away, full disks, torn writes and kill -9."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from include.kreislauf.service import journal as journal_module
from include.kreislauf.service import log_sink
from include.kreislauf.service.journal import Journal, LoggedPrediction, new_id, stamp
from include.kreislauf.service.log_entries import Records, decode, encode, marker
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.service.problems import RefusedError
from include.kreislauf.service.spool import REJECTED, SUFFIX, Spool, payloads
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import LoggedOutcome, moment_of
from include.kreislauf.store.schema import outcomes, predictions
from tests.service.test_prediction_log import row, sent, stored
from tests.support.examples import NOW, USE_CASE
from tests.support.killing import kill_when

AT = stamp(NOW)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(log_sink, "PAUSE_SECONDS", 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@contextmanager
def away(store: Store) -> Iterator[None]:
    """Nobody can write predictions or outcomes."""
    with store.write() as db:
        if db.dialect.name == "postgresql":
            db.execute(text("LOCK TABLE predictions, outcomes IN ACCESS EXCLUSIVE MODE"))
        yield


@contextmanager
def opened(store: Store, folder: Path, **options: Any) -> Iterator[tuple[Journal, Callable[..., Any]]]:
    """A running journal, and what calls it."""
    with asyncio.Runner() as runner:
        journal = Journal(store, folder, Metrics(), **options)

        async def start() -> None:
            journal.start()

        runner.run(start())
        yield journal, runner.run
        runner.run(journal.stop())


def wait(done: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_drained(folder: Path) -> bool:
    return all(path.stat().st_size == 0 for path in folder.glob(f"*{SUFFIX}"))


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def rejected(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in folder.glob(f"*{REJECTED}") for line in path.read_text().splitlines()
    ]


def count(journal: Journal, name: str) -> float | None:
    return journal._metrics.registry.get_sample_value(f"kreislauf_{name}")


def test_while_the_store_is_away_records_are_acknowledged_and_come_to_it_later(store: Store, folder: Path):
    rows = [row(features='{"a": "\\r\\n"}'), row(entity="ä☃"), row(entity=None, value=None)]
    with opened(store, folder) as (journal, run):
        with away(store):
            for one in rows:
                run(journal.write_predictions([one]))
            assert count(journal, "spool_waiting") == 3
        wait(lambda: is_drained(folder))
        run(journal.write_predictions([after := row()]))
        assert {one.id for one in stored(store)} == {one.id for one in [*rows, after]}
        assert (count(journal, "spooled_total"), count(journal, "drained_total")) == (3, 3)
    assert {one.features for one in stored(store)} == {None, '{"a": "\\r\\n"}'}
    assert list((folder).iterdir()) == []


def test_outcomes_are_accepted_and_checked_when_the_store_is_back(store: Store, folder: Path):
    old, new = row(), row()
    with opened(store, folder) as (journal, run):
        run(journal.write_predictions([old]))
        run(journal.write_outcomes(USE_CASE, [sent(old.id, 1.0)], NOW))
        with away(store):
            run(journal.write_predictions([new]))
            answers = run(
                journal.write_outcomes(USE_CASE, [sent(one) for one in (old.id, new.id, "nobody")], NOW)
            )
        assert {one.result for one in answers} == {"accepted"}
        wait(lambda: is_drained(folder))
        assert count(journal, "spool_rejected_total") == 2
    assert {one.prediction_id: one.value for one in stored(store, outcomes)} == {old.id: 1.0, new.id: 1.5}
    assert [(one["reason"], one["record"][1]) for one in rejected(folder)] == [
        ("conflict", old.id), ("unknown", "nobody"),
    ]  # fmt: skip


def test_an_outcome_whose_prediction_sits_in_another_process_spool_is_kept(store: Store, folder: Path):
    one, other = row(), row()
    living = Spool(folder, 10_000)
    living.append([encode(Records([one]))])
    with opened(store, folder) as (journal, run):
        [answer] = run(journal.write_outcomes("churn", [sent(one.id)], NOW))
        assert answer.result == "unknown"
        sends = [sent(one.id), sent(other.id)]
        answers = run(journal.write_outcomes(USE_CASE, sends, NOW))
        assert [found.result for found in answers] == ["accepted", "unknown"]
        size = folder_size(folder)
        time.sleep(0.2)
        assert folder_size(folder) == size
        assert stored(store) == stored(store, outcomes) == []
        living.close()  # its process has ended, and its file is anybody's
        wait(lambda: len(stored(store, outcomes)) == 1)
    assert [found.id for found in stored(store)] == [one.id]
    assert rejected(folder) == []


def test_a_full_spool_refuses_and_what_it_holds_is_not_lost(store: Store, folder: Path):
    held: list[LoggedPrediction] = []
    with opened(store, folder, spool_bytes=1000) as (journal, run):
        with away(store):
            with pytest.raises(RefusedError) as caught:
                while True:
                    run(journal.write_predictions([one := row()]))
                    held.append(one)
            assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
            assert "the spool is full" in caught.value.error
            assert held
            assert 0.5 < (count(journal, "spool_fill") or 0) <= 1
        wait(lambda: count(journal, "spool_waiting") == count(journal, "spool_fill") == 0)
        assert {one.id for one in stored(store)} == {one.id for one in held}
        run(journal.write_predictions([row()]))


def test_a_broken_disk_refuses_and_leaves_the_spool_as_it_was(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(store, folder) as (journal, run):
        with away(store):
            run(journal.write_predictions([held := row()]))
            with monkeypatch.context() as patch:
                patch.setattr(os, "fdatasync", broken)
                with pytest.raises(RefusedError, match="No space left"):
                    run(journal.write_predictions([row()]))
        wait(lambda: is_drained(folder))
    assert [one.id for one in stored(store)] == [held.id]


def test_what_the_database_refuses_is_kept_with_the_reason(store: Store, folder: Path):
    good, bad = row(), row(value="much")  # type: ignore[arg-type]
    spool = Spool(folder, 10_000)
    if store.engine.dialect.name == "sqlite":
        bad = row(release=10**30)
    spool.append([encode(Records([bad])), encode(Records([good]))])
    spool.close()
    with opened(store, folder) as (journal, _run):
        wait(lambda: count(journal, "spool_rejected_total") == 1)
        wait(lambda: is_drained(folder))
    assert [one.id for one in stored(store)] == [good.id]
    assert bad.id in json.dumps(rejected(folder))


def test_a_damaged_line_is_rejected_and_the_others_are_not(store: Store, folder: Path):
    rows = [row(), row(), row()]
    spool = Spool(folder, 10_000)
    spool.append([encode(Records([one])) for one in rows])
    spool.close()
    [path] = folder.iterdir()
    content = bytearray(path.read_bytes())
    content[content.index(rows[1].id.encode())] ^= 1
    path.write_bytes(content)
    with opened(store, folder):
        wait(lambda: is_drained(folder))
    assert {one.id for one in stored(store)} == {rows[0].id, rows[2].id}
    assert [one["reason"] for one in rejected(folder)] == ["damaged on the disk"]


@given(
    st.lists(st.binary(max_size=30).map(lambda data: json.dumps(data.hex()).encode()), min_size=1), st.data()
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_of_a_file_cut_anywhere_the_whole_lines_are_left(
    folder: Path, texts: list[bytes], data: st.DataObject
):
    folder = folder / new_id()
    spool = Spool(folder, 1 << 20)
    assert spool.append(texts) == len(texts)
    spool.close()
    [path] = folder.iterdir()
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    later = Spool(folder, 1 << 20)
    later.adopt()
    lines = [line for file in later.adopted for line in file.read()]
    assert list(payloads(lines)) == texts[: content[:cut].count(b"\n")]
    assert sum(file.lines for file in later.adopted) == len(lines)
    later.close()


def test_law_records_come_back_as_they_were(folder: Path):
    found = Records([row(value=0.1 + 0.2, entity='"["')], (), [LoggedOutcome("a", "b", 5e-324, AT, AT)])
    assert decode(encode(found)) == Records(*map(list, found))
    assert marker(USE_CASE, found.predictions[0].id) in encode(found)
    assert marker("a", "b") not in encode(found)
    assert moment_of(AT) == NOW


def test_records_of_an_older_version_are_read():
    text = b'[[],[],[["radar","one",1.5,"2016-01-01 00:00:00.000000","2016-01-01 00:00:00.000000"]],[]]'
    [found] = decode(text).outcomes
    assert found == LoggedOutcome("radar", "one", 1.5, AT, AT, client=None)


def test_many_processes_take_over_each_dead_file_once(folder: Path):
    for _ in range(20):
        spool = Spool(folder, 10_000)
        spool.append([b"{}"])
        spool.close()
    heirs = [Spool(folder, 10_000) for _ in range(3)]
    for _ in range(2):
        for heir in heirs:
            heir.adopt()
    assert sum(len(heir.adopted) for heir in heirs) == 20
    for heir in heirs:
        heir.close()


SPOOLER = """
import asyncio, sys
from pathlib import Path
from include.kreislauf.service.journal import Journal, LoggedPrediction, new_id
from include.kreislauf.service import journal
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.store.database import Store
from tests.service.test_prediction_log import row
journal.PATIENCE_SECONDS = 0.05
url, folder, said = sys.argv[1], Path(sys.argv[2]), open(sys.argv[3], "a")
async def main():
    log = Journal(Store(url), folder, Metrics())
    log.start()
    async def client():
        while True:
            one = row()
            await log.write_predictions([one])
            said.write(one.id + "\\n")
            said.flush()
    await asyncio.gather(*(client() for _ in range(8)))
asyncio.run(main())
"""


def test_killed_in_the_middle_of_spooling_nothing_acknowledged_is_lost(
    store: Store, folder: Path, tmp_path: Path
):
    said = tmp_path / "said"
    for number in range(3):
        said.touch()
        reached = said.stat().st_size + 37 * 100
        with away(store):
            kill_when(
                lambda enough=reached: said.stat().st_size > enough,  # type: ignore[misc]
                SPOOLER, store.url, str(folder), str(said),
            )  # fmt: skip
        assert number or stored(store) == []
    acknowledged = said.read_text().split("\n")
    with opened(store, folder):
        wait(lambda: is_drained(folder) and len(stored(store)) > 0)
    assert {one for one in acknowledged if len(one) == 36} <= {one.id for one in stored(store)}
    assert list(folder.iterdir()) == []


@pytest.mark.postgres
def test_a_server_that_was_started_anew_costs_no_spooling(postgres: Any, folder: Path):
    with postgres.database() as url:
        store = Store(url)
        with opened(store, folder) as (journal, run):
            run(journal.write_predictions([row()]))
            with store.write() as db:
                others = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )
                db.execute(text(f"{others} AND datname = current_database()"))
            run(journal.write_predictions([row()]))
            assert count(journal, "spooled_total") == 0
        assert len(stored(store, predictions)) == 2
        store.engine.dispose()
