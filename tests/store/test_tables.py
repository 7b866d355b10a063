"""Data versions: one per commit, whole or not at all, readable for good."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from include.kreislauf.errors import StoreError
from include.kreislauf.store.tables import Snapshot, Tables
from tests.support.killing import kill_when
from tests.support.racing import ThreadRace

FRAME = pd.DataFrame({
    "tech": ["python", "größe", None],
    "period": pd.to_datetime(["2016-01-01", "2016-04-01", "2016-07-01"]),
    "share": [0.3, np.nan, 0.1],
})  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "tables"), "radar")


def numbered(value: int) -> pd.DataFrame:
    return pd.DataFrame({"value": [value]})


def test_a_version_is_read_as_it_was_written(tables: Tables):
    version = tables.write("raw", FRAME, "c1|1")
    assert version == "raw@0"
    pd.testing.assert_frame_equal(tables.read(version), FRAME, check_dtype=False)


def test_every_version_stays_readable_also_when_columns_change(tables: Tables):
    frames = [numbered(1), FRAME, numbered(3)]
    versions = [tables.write("raw", frame, f"c{number}|1") for number, frame in enumerate(frames)]
    assert versions == ["raw@0", "raw@1", "raw@2"]
    for version, frame in zip(versions, frames, strict=True):
        pd.testing.assert_frame_equal(tables.read(version), frame, check_dtype=False)


def test_the_same_commit_twice_is_one_version_with_the_first_rows(tables: Tables):
    first = tables.write("raw", numbered(1), "c1|1")
    tables.write("raw", numbered(2), "c2|1")
    assert tables.write("raw", numbered(3), "c1|1") == first
    assert tables.read(first)["value"].tolist() == [1]
    assert tables.find("raw", "c2|1") == "raw@1"


def test_a_commit_of_another_table_or_use_case_is_not_found(tables: Tables, tmp_path: Path):
    tables.write("raw", numbered(1), "c1|1")
    assert tables.find("raw", "c1|2") is None
    assert tables.find("features", "c1|1") is None
    assert Tables(str(tmp_path / "tables"), "churn").find("raw", "c1|1") is None


def test_looking_for_a_table_does_not_make_it(tables: Tables, tmp_path: Path):
    assert tables.find("raw", "c1|1") is None
    assert list(tmp_path.iterdir()) == []


def write_numbered(number: int, tables: Tables) -> str:
    return tables.write("raw", numbered(number), f"c{number}|1")


def write_same(number: int, tables: Tables) -> str:
    return tables.write("raw", numbered(number), "c1|1")


def test_writers_at_once_each_get_their_own_rows(tables: Tables):
    race = ThreadRace(4)
    for _ in range(2):  # a table that is new, then one that stands
        versions = race(write_numbered, tables)
        assert [tables.read(version)["value"].tolist() for version in versions] == [[0], [1], [2], [3]]


@pytest.mark.parametrize("new", [True, False], ids=["new table", "existing table"])
def test_writers_of_the_same_commit_at_once_get_the_same_version(tables: Tables, new: bool):
    if not new:
        tables.write("raw", FRAME, "c0|1")
    (version,) = set(ThreadRace(4)(write_same, tables))
    assert len(tables.read(version)) == 1


def test_a_version_is_found_by_its_number_while_others_are_written(tables: Tables):
    versions = {f"c{number}|1": tables.write("raw", numbered(number), f"c{number}|1") for number in range(3)}

    def write_or_find(number: int) -> None:
        if number == 0:
            for later in range(10, 20):
                tables.write("raw", numbered(later), f"c{later}|1")
        else:
            for _ in range(40):
                assert {commit: tables.find("raw", commit) for commit in versions} == versions

    ThreadRace(3)(write_or_find)


# Large and of low priority: there is time to kill it between its first file and its commit.
WRITER = """
import os, sys
os.nice(19)
import numpy as np, pandas as pd
from include.kreislauf.store.tables import Snapshot, Tables
frame = pd.DataFrame(np.random.default_rng(0).normal(size=(2_000_000, 4)), columns=list("abcd"))
Tables(sys.argv[1], "radar").write("raw", frame, "c2|1")
"""


def test_a_killed_writer_leaves_no_version(tables: Tables, tmp_path: Path):
    tables.write("raw", FRAME, "c1|1")
    folder = tmp_path / "tables" / "radar" / "raw"
    before = set(folder.iterdir())
    kill_when(lambda: set(folder.iterdir()) != before, WRITER, str(tmp_path / "tables"))
    assert tables.find("raw", "c2|1") is None
    assert DeltaTable(str(folder)).version() == 0
    pd.testing.assert_frame_equal(tables.read("raw@0"), FRAME, check_dtype=False)
    assert tables.write("raw", numbered(2), "c2|1") == "raw@1"


UNKNOWN = [
    "raw@1",
    "raw@99",
    "features@0",
    "raw",
    "raw@",
    "raw@-1",
    "raw@x",
    "../raw@0",
    "raw/../raw@0",
    "raw@0\n",
    "",
]


@pytest.mark.parametrize("version", UNKNOWN)
def test_a_version_that_does_not_exist_is_a_store_error_with_its_name(tables: Tables, version: str):
    tables.write("raw", FRAME, "c1|1")
    with pytest.raises(StoreError) as caught:
        tables.read(version)
    assert version in caught.value.what or repr(version) in caught.value.what


def test_a_version_with_a_lost_file_is_a_store_error(tables: Tables, tmp_path: Path):
    version = tables.write("raw", FRAME, "c1|1")
    next((tmp_path / "tables" / "radar" / "raw").glob("*.parquet")).unlink()
    with pytest.raises(StoreError, match="raw@0 cannot be opened"):
        tables.read(version)


# Tables that are appended to


SCHEMA = pa.schema([("period", pa.string()), ("value", pa.int64())])


def lacking(*values: int) -> Callable[[Snapshot], pa.Table]:
    """Those of the values that a snapshot lacks."""

    def still_new(snapshot: Snapshot) -> pa.Table:
        there = set(snapshot.rows()["value"].to_pylist())
        rows = [{"period": "2015-01", "value": value} for value in values if value not in there]
        return pa.Table.from_pylist(rows, SCHEMA)

    return still_new


def appended(tables: Tables, *values: int) -> str:
    return tables.append("counts", lacking(*values), SCHEMA, ["period"])


def values_of(tables: Tables, version: str) -> list[int]:
    return sorted(tables.read(version)["value"])


def test_rows_are_added_and_earlier_versions_stay(tables: Tables):
    first, second = appended(tables, 1, 2), appended(tables, 2, 3)
    assert values_of(tables, first) == [1, 2]
    assert values_of(tables, second) == [1, 2, 3]
    assert appended(tables, 1, 3) == second


def test_nothing_can_be_taken_out_of_an_append_only_table(tables: Tables):
    appended(tables, 1)
    with pytest.raises(CommitFailedError, match="append-only"):
        write_deltalake(
            f"{tables.base_url}/counts", pa.table({"period": ["x"], "value": [1]}), mode="overwrite"
        )


@pytest.mark.parametrize("attempt", range(8))
def test_writers_that_begin_a_table_together_add_every_row_once(tables: Tables, attempt: int):
    ThreadRace(8)(lambda number: appended(tables, number % 4, number % 4 + 100))
    newest = tables.snapshot("counts")
    assert newest is not None
    assert values_of(tables, newest.version) == [0, 1, 2, 3, 100, 101, 102, 103]


def test_small_files_are_put_together_without_changing_a_row(tables: Tables):
    versions = [appended(tables, value) for value in range(30)]
    compacted = tables.compact("counts")
    assert compacted not in (None, versions[-1])
    assert values_of(tables, compacted or "") == list(range(30))
    assert values_of(tables, versions[4]) == list(range(5))
    newest = tables.snapshot("counts")
    assert newest is not None
    assert newest.table.get_add_actions(flatten=True).num_rows == 1
    assert appended(tables, 7, 30) == f"counts@{newest.number + 1}"


def test_few_files_are_left_as_they_are(tables: Tables):
    version = appended(tables, 1)
    assert tables.compact("counts") == version
    assert tables.compact("nothing") is None


def test_the_versions_that_a_version_was_made_from_stand_in_its_commit(tables: Tables):
    tables.write("raw", numbered(1), "c1|1", {"github": "counts_github@7"})
    (commit,) = DeltaTable(f"{tables.base_url}/raw").history()
    assert json.loads(commit["kreislauf.inputs"]) == {"github": "counts_github@7"}
