"""What a contract says of sources: days, URLs, columns and connections, valid and not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from include.kreislauf.requirements.sources import Counted, Source

SOURCES: TypeAdapter[Source] = TypeAdapter(Source)
TABLE = {"kind": "table", "name": "shops", "url": "{data}/shops.csv", "columns": {"shop": {"type": "text"}}}
SQL = {
    "kind": "sql",
    "name": "shops",
    "connection": "shops_db",
    "query": "SELECT 1",
    "columns": {"shop": {"type": "text"}},
}
ADS: dict[str, Any] = {
    "kind": "job_ads", "name": "jobs", "since": "2011-01-01", "columns": {"ads": {"measure": "ads", "by": "term"}},
}  # fmt: skip


def fault(content: dict[str, Any], **fields: Any) -> tuple[str, str]:
    """What is wrong, and what would be allowed."""
    with pytest.raises(ValidationError) as raised:
        SOURCES.validate_python({**content, **fields})
    [error] = raised.value.errors()
    return error["msg"], error.get("ctx", {}).get("expected", "")


@pytest.mark.parametrize("content", [TABLE, SQL, ADS], ids=lambda content: content["kind"])
def test_what_is_right_is_taken(content: dict[str, Any]) -> None:
    assert SOURCES.validate_python(content).name == content["name"]


def test_a_day_is_a_day() -> None:
    counted = SOURCES.validate_python(ADS)
    assert isinstance(counted, Counted)
    assert counted.since == date(2011, 1, 1)


def test_a_day_that_is_not_in_the_calendar_is_refused() -> None:
    assert fault(ADS, since="2011-02-30") == ("2011-02-30 is not in the calendar", "YYYY-MM-DD")


@pytest.mark.parametrize("since", ["1.1.2011", "2011-1-1", "20110101", 1293840000, "yesterday"])
def test_a_day_is_written_in_one_way(since: object) -> None:
    said, _ = fault(ADS, since=since)
    assert said == "Input should be a valid date"


@pytest.mark.parametrize(
    ("url", "found"), [("{date}/x.csv", "{date}"), ("{data/x.csv", "{data/x.csv"), ("x}.csv", "}")]
)
def test_only_data_is_filled_in(url: str, found: str) -> None:
    assert fault(TABLE, url=url) == (f"{found} is not filled in", "{data}")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"measure": "stars", "by": "term"}, "column ads: there are no stars by term"),
        ({"measure": "ads", "by": "tag"}, "column ads: there are no ads by tag"),
    ],
)
def test_a_kind_gives_what_it_counts(column: dict[str, str], said: str) -> None:
    assert fault(ADS, columns={"ads": column}) == (said, "ads by term")


@pytest.mark.parametrize("connection", ["", "a b", "x" * 129, "postgresql://host/db"])
def test_a_connection_is_a_name_and_no_address(connection: str) -> None:
    said, _ = fault(SQL, connection=connection)
    assert "should match pattern" in said


@pytest.mark.parametrize("name", ["with space", "it's", "🔥", "x; DROP TABLE shops; --", "größe"])
def test_a_column_may_have_any_name(name: str) -> None:
    source = SOURCES.validate_python({**TABLE, "columns": {name: {"type": "number", "feature": False}}})
    assert list(source.columns) == [name]


@pytest.mark.parametrize("columns", [{}, {"": {"type": "text"}}, {"x" * 129: {"type": "text"}}])
def test_a_source_has_columns_with_names(columns: dict[str, Any]) -> None:
    said, _ = fault(TABLE, columns=columns)
    assert "at least 1" in said or "at most 128" in said


def test_a_column_has_a_range_that_holds_something() -> None:
    upside_down = {"x": {"type": "number", "minimum": 5, "maximum": 1}}
    assert fault(TABLE, columns=upside_down) == ("minimum 5 is above maximum 1", "minimum <= maximum")
    assert SOURCES.validate_python({**TABLE, "columns": {"x": {"type": "number", "minimum": 0}}})
