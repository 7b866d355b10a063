"""Gathering: whole units once, resumed where it stopped, and looked for again where something was missing."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from include.kreislauf.collection.counts import CountTable
from include.kreislauf.collection.gathering import MOST_CHUNKS, Chunk, Gathering
from include.kreislauf.errors import SourceError
from include.kreislauf.store.tables import Tables
from tests.support.folder_source import FolderSource, at, months_of, write_months


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=6, basic=3, cobol=1)
    return FolderSource(tmp_path / "source")


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"), "radar")


def gathering(source: FolderSource, tables: Tables, as_of: str, now: datetime | None = None) -> Gathering:
    moment = at(as_of)
    return Gathering({"folder": source}, tables, as_of=moment, now=now or moment)


def units_in(tables: Tables) -> list[str]:
    """Units of the table, as often as they stand in it."""
    rows = CountTable(tables, "folder").known()
    return sorted(rows["unit"])


def test_everything_up_to_the_time_is_read_once(source: FolderSource, tables: Tables) -> None:
    gathering(source, tables, "2016-01-01").read_all()
    assert units_in(tables) == months_of(2015)
    gathering(source, tables, "2016-01-01").read_all()
    assert source.reads == months_of(2015)


def test_a_later_collection_reads_only_what_is_new(source: FolderSource, tables: Tables) -> None:
    gathering(source, tables, "2016-01-01").read_all()
    source.reads.clear()
    gathering(source, tables, "2016-04-15").read_all()
    assert source.reads == ["2016-01", "2016-02", "2016-03"]
    assert units_in(tables) == [*months_of(2015), "2016-01", "2016-02", "2016-03"]


def test_portions_hold_every_unit_once(source: FolderSource, tables: Tables) -> None:
    chunks = gathering(source, tables, "2017-01-01").chunks()
    assert [unit for chunk in chunks for unit in chunk.units] == months_of(2015, 2016)
    assert {len(chunk.units) for chunk in chunks} == {8}
    assert [Chunk.model_validate_json(chunk.model_dump_json()) for chunk in chunks] == chunks


def test_the_end_reads_what_the_portions_left_undone(source: FolderSource, tables: Tables) -> None:
    planned = gathering(source, tables, "2017-01-01")
    planned.read(planned.chunks()[1])
    assert units_in(tables) == months_of(2015, 2016)[8:16]
    gathering(source, tables, "2017-01-01").read_all()
    assert units_in(tables) == months_of(2015, 2016)


def test_a_portion_that_runs_twice_adds_nothing(source: FolderSource, tables: Tables) -> None:
    chunks = gathering(source, tables, "2016-01-01").chunks()
    for chunk in (*chunks, *chunks):
        gathering(source, tables, "2016-01-01").read(chunk)
    assert units_in(tables) == source.reads == months_of(2015)


def test_a_portion_that_was_interrupted_goes_on_where_it_stood(source: FolderSource, tables: Tables) -> None:
    (chunk, _) = gathering(source, tables, "2016-01-01").chunks()
    (source.folder / "2015-07.json").write_text("busy")
    with pytest.raises(SourceError):
        gathering(source, tables, "2016-01-01").read(chunk)
    write_months(source.folder, ["2015-07"], ada=1)
    source.reads.clear()
    gathering(source, tables, "2016-01-01").read(chunk)
    assert source.reads == ["2015-07", "2015-08"]


def test_a_long_backfill_has_larger_portions_and_not_more_than_can_be_mapped(
    source: FolderSource, tables: Tables
) -> None:
    chunks = gathering(source, tables, "2515-01-01").chunks()
    assert sum(len(chunk.units) for chunk in chunks) == 500 * 12
    assert len(chunks) <= MOST_CHUNKS


def test_what_was_read_before_a_busy_server_stays(source: FolderSource, tables: Tables) -> None:
    (source.folder / "2015-07.json").write_text("busy")
    with pytest.raises(SourceError, match="is busy") as caught:
        gathering(source, tables, "2016-01-01").read_all()
    assert caught.value.transient
    assert units_in(tables) == months_of(2015)[:6]
    write_months(source.folder, ["2015-07"], ada=1)
    gathering(source, tables, "2016-01-01").read_all()
    assert units_in(tables) == months_of(2015)


def test_a_damaged_unit_is_missing_with_its_reason_and_looked_for_again(
    source: FolderSource, tables: Tables
) -> None:
    (source.folder / "2015-07.json").write_text("broken")
    gathering(source, tables, "2016-01-01").read_all()
    known = CountTable(tables, "folder").known()
    assert known.loc[known["missing"], "unit"].tolist() == ["2015-07"]
    write_months(source.folder, ["2015-07"], ada=1)
    source.reads.clear()
    gathering(source, tables, "2016-01-01").read_all()
    assert source.reads == ["2015-07"]
    known = CountTable(tables, "folder").known()
    assert known.loc[known["unit"] == "2015-07", "missing"].tolist() == [True, False]
    gathering(source, tables, "2016-02-01").read_all()
    assert source.reads == ["2015-07", "2016-01"]


def test_that_something_is_missing_is_written_down_once(source: FolderSource, tables: Tables) -> None:
    (source.folder / "2015-07.json").unlink()
    for as_of in ("2016-01-01", "2016-01-01", "2016-02-01", "2016-03-01"):
        gathering(source, tables, as_of).read_all()
    known = CountTable(tables, "folder").known()
    assert known["missing"].sum() == 1
    assert source.reads.count("2015-07") == 4


def test_what_was_delivered_late_is_not_known_earlier(source: FolderSource, tables: Tables) -> None:
    (source.folder / "2015-07.json").unlink()
    gathering(source, tables, "2016-01-01").read_all()
    write_months(source.folder, ["2015-07"], ada=1)
    gathering(source, tables, "2016-02-01").read_all()
    table = CountTable(tables, "folder")
    before = table.rows(table.version() or "", at("2016-01-15"), ["tag"])
    after = table.rows(table.version() or "", at("2016-02-01"), ["tag"])
    assert "2015-07" not in set(before["unit"])
    assert "2015-07" in set(after["unit"])


def test_a_source_that_gives_nothing_usable_is_given_up(source: FolderSource, tables: Tables) -> None:
    for path in source.folder.iterdir():
        path.write_text("broken")
    with pytest.raises(SourceError, match="is broken"):
        gathering(source, tables, "2016-01-01").read_all()
    assert source.reads == ["2015-01", "2015-02", "2015-03"]


def test_counts_that_change_are_taken_again_for_the_periods_to_revisit(
    tmp_path: Path, tables: Tables
) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=10)
    source = FolderSource(tmp_path / "source", revisit_periods=2)
    source.revisable = True
    gathering(source, tables, "2016-01-01").read_all()
    source.reads.clear()
    gathering(source, tables, "2016-04-01").read_all()
    assert source.reads == [*months_of(2015)[9:], "2016-01", "2016-02", "2016-03"]
    source.reads.clear()
    gathering(source, tables, "2016-04-01").read_all()
    assert source.reads == []


def test_a_count_that_changes_is_known_only_from_when_it_was_taken(
    source: FolderSource, tables: Tables
) -> None:
    source.revisable = True
    gathering(source, tables, "2016-01-01", now=at("2016-01-03")).read_all()  # tried again for two days
    table = CountTable(tables, "folder")
    assert len(table.rows(table.version() or "", at("2016-01-01"), ["tag"]))
    other = Tables(tables.base_url, "later")
    gathering(source, other, "2016-01-01", now=at("2026-01-01")).read_all()  # a backfill, ten years late
    late = CountTable(other, "folder")
    assert len(late.rows(late.version() or "", at("2016-01-01"), ["tag"])) == 0
    assert len(late.rows(late.version() or "", at("2026-01-01"), ["tag"])) == 36


def test_two_collections_at_once_add_every_unit_once(source: FolderSource, tables: Tables) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def read_one(chunk: Chunk) -> None:
        gathering(FolderSource(source.folder), tables, "2017-01-01").read(chunk)

    chunks = gathering(source, tables, "2017-01-01").chunks()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read_one, chunks * 2))
    assert units_in(tables) == months_of(2015, 2016)


def test_an_earlier_begin_fills_the_past_in(tmp_path: Path, source: FolderSource, tables: Tables) -> None:
    late = FolderSource(source.folder, since=date(2016, 1, 1))
    gathering(late, tables, "2017-01-01").read_all()
    assert units_in(tables) == months_of(2016)
    gathering(source, tables, "2017-01-01").read_all()
    assert source.reads == months_of(2015)
    table = CountTable(tables, "folder")
    assert set(table.rows(table.version() or "", at("2016-01-01"), ["tag"])["unit"]) == set(months_of(2015))


def test_a_unit_of_which_more_is_asked_is_read_anew(source: FolderSource, tables: Tables) -> None:
    gathering(source, tables, "2016-01-01").read_all()
    other = FolderSource(source.folder, revision="2")
    gathering(other, tables, "2016-01-01").read_all()
    assert other.reads == months_of(2015)
