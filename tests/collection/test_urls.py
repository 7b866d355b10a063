"""Where a table may lie: any URL that Arrow or fsspec can open, and a clear answer for the others."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec

import fsspec
import pytest

from include.kreislauf.collection.table import read_table
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import Column, TableSource

AS_OF = datetime(2020, 1, 1, tzinfo=UTC)
PROBLEM = Problem(kind="regression", entity="name", time="start", period="quarter")
COLUMNS = {
    "name": Column(type="text", required=True), "start": Column(type="date", required=True), "n": Column(type="number"),
}  # fmt: skip


def source(url: str) -> TableSource:
    return TableSource(kind="table", name="panel", url=url, columns=COLUMNS)


def test_a_table_in_a_store_of_fsspec_is_read() -> None:
    with fsspec.open("memory://bucket/panel.csv", "w") as file:
        file.write("name,start,n\na,2019-01-01,1\na,2019-10-01,2\na,2020-01-01,3\n")
    frame = read_table(source("{data}/panel.csv"), PROBLEM, "memory://bucket/", AS_OF)
    assert frame["n"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("url", "said"), [
    ("memory://bucket/missing.csv", "file not found"),
    ("nonsense://bucket/panel.csv", "Protocol not known: nonsense"),
])  # fmt: skip
def test_a_url_that_leads_nowhere_is_named(url: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as found:
        read_table(source(url), PROBLEM, "", AS_OF)
    assert found.value.where == url


@pytest.mark.skipif(find_spec("aiohttp") is not None, reason="aiohttp is installed: http URLs can be read")
def test_a_scheme_whose_package_is_missing_says_which() -> None:
    with pytest.raises(SourceError, match=r"needs a package that is not installed: .*aiohttp"):
        read_table(source("http://127.0.0.1:9/panel.csv"), PROBLEM, "", AS_OF)
