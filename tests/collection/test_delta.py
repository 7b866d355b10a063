"""Source kind ``table`` on Delta tables, and on servers that the installation permits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from deltalake import write_deltalake

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.table import read_table
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import Column, TableSource
from tests.collection.web import reply, serving

AS_OF = datetime(2020, 1, 1, tzinfo=UTC)
PROBLEM = Problem(kind="regression", entity="name", time="start", period="quarter")
FRAME = pd.DataFrame(
    {
        "name": ["a", "a", "b"],
        "start": pd.to_datetime(["2019-01-01", "2019-10-01", "2020-01-01"]),
        "n": [1, 2, 3],
    }
)


def source(url: str) -> TableSource:
    columns = {
        "name": Column(type="text", required=True),
        "start": Column(type="date", required=True),
        "n": Column(type="number"),
    }
    return TableSource(kind="table", name="panel", url=url, columns=columns)


@pytest.mark.parametrize("url", ["{data}/panel", "{data}/panel/", "file://{data}/panel/"])
def test_a_delta_table_is_read_in_its_newest_version(url: str, tmp_path: Path):
    write_deltalake(tmp_path / "panel", FRAME.assign(n=0))
    write_deltalake(tmp_path / "panel", FRAME, mode="overwrite")
    frame = read_table(source(url), PROBLEM, str(tmp_path), AS_OF)
    assert frame["n"].tolist() == [1.0, 2.0]
    assert frame["start"].tolist() == FRAME["start"].tolist()[:2]


def test_a_folder_without_a_table_says_so(tmp_path: Path):
    with pytest.raises(SourceError, match="holds no Delta table") as found:
        read_table(source(f"{tmp_path}/"), PROBLEM, "", AS_OF)
    assert found.value.where == f"{tmp_path}/"


def test_a_damaged_table_says_so(tmp_path: Path):
    write_deltalake(tmp_path / "panel", FRAME)
    next((tmp_path / "panel").glob("*.parquet")).write_bytes(b"")
    with pytest.raises(SourceError, match="the Delta table cannot be read"):
        read_table(source(f"{tmp_path}/panel/"), PROBLEM, "", AS_OF)


def test_a_server_is_asked_as_the_installation_permits():
    with serving() as web:
        url = web.on("/panel.csv", reply(200, FRAME.to_csv(index=False)))
        access = Access(AccessRules.of([web.url]))
        assert len(read_table(source(url), PROBLEM, "", AS_OF, access)) == 2
        access.close()
        with pytest.raises(SourceError, match="not a permitted server"):
            read_table(source(url), PROBLEM, "", AS_OF, Access(AccessRules()))
        assert len(web.requests) == 1
