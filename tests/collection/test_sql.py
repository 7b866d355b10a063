"""Source kind ``sql``, on SQLite and on PostgreSQL: one SELECT, which cannot write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.sources.sql import read_sql
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import Column, SqlSource
from include.kreislauf.settings import ROOT
from tests.conftest import BOTH

AS_OF = datetime(2016, 7, 1, tzinfo=UTC)
PROBLEM = Problem(kind="regression", entity="tech", time="quarter", period="quarter")
COLUMNS = {
    "tech": Column(type="text", required=True), "quarter": Column(type="date", required=True),
    "stars": Column(type="number", minimum=0), "share": Column(type="number"),
}  # fmt: skip
QUERY = "SELECT tech, quarter, stars, share, known_at FROM panel"
SETUP = """
CREATE TABLE panel (tech VARCHAR(20), quarter DATE, stars INTEGER, share NUMERIC(10, 4), known_at TIMESTAMP {zone});
INSERT INTO panel VALUES ('python', '2016-01-01', 10, 0.25, '2016-04-02 00:00:00{utc}');
INSERT INTO panel VALUES ('go', '2016-01-01', NULL, 0.5, '2016-04-02 00:00:00{utc}');
INSERT INTO panel VALUES ('python', '2016-04-01', 20, 0.125, '2016-06-30 23:00:00{utc}');
INSERT INTO panel VALUES ('python', '2016-07-01', 30, 1, '2016-07-01 01:00:00{utc}')
"""
Read = Callable[..., pd.DataFrame]


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with a table."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database(migrated=False) as url:
            _execute(url, SETUP.format(zone="WITH TIME ZONE", utc="+00:00"))
            yield url
    else:
        url = f"sqlite:///{tmp_path / 'data.db'}"
        _execute(url, SETUP.format(zone="", utc=""))
        yield url


@pytest.fixture
def read(url: str) -> Read:
    return reading(url)


def reading(url: str) -> Read:
    def read(query: str = QUERY, as_of: datetime = AS_OF, **fields: Any) -> pd.DataFrame:
        source = SqlSource(
            kind="sql", name="panel", connection="warehouse", query=query, **({"columns": COLUMNS} | fields)
        )
        return read_sql(source, PROBLEM, Access(AccessRules(), connections={"warehouse": url}.get), as_of)

    return read


def _execute(url: str, statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement))
    engine.dispose()


def _number(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        number = connection.execute(text("SELECT count(*) FROM panel")).scalar_one()
    engine.dispose()
    return int(number)


def test_rows_have_the_contracts_types_and_are_of_periods_that_ended(read: Read):
    expected = pd.DataFrame({
        "tech": pd.Series(["go", "python", "python"], dtype="str"),
        "quarter": pd.to_datetime(["2016-01-01", "2016-01-01", "2016-04-01"]).as_unit("us"),
        "stars": [float("nan"), 10.0, 20.0], "share": [0.5, 0.25, 0.125],
    })  # fmt: skip
    pd.testing.assert_frame_equal(read(), expected, check_dtype=False)
    assert list(map(str, read().dtypes[["stars", "share"]])) == ["float64", "float64"]


def test_the_query_knows_the_time(read: Read):
    query = f"{QUERY} WHERE known_at <= :as_of"
    assert len(read(query, datetime.fromisoformat("2016-07-01T00:59:00+02:00"))) == 2
    assert len(read(query, datetime.fromisoformat("2016-07-01T01:30:00+02:00"))) == 2
    assert len(read(query)) == 3


def test_the_sessions_zone_does_not_matter(read: Read, url: str):
    day = "date(known_at)" if url.startswith("sqlite") else "date_trunc('day', known_at)"
    query = f"SELECT tech, {day} AS quarter, stars, share FROM panel WHERE stars = 20"
    assert read(query, datetime(2020, 1, 1, tzinfo=UTC))["quarter"].tolist() == [pd.Timestamp("2016-06-30")]


@pytest.mark.parametrize("query", [
    f"{QUERY};", f"  \n{QUERY} ; ", f"-- all of it\n{QUERY} /* really */", f"WITH p AS ({QUERY}) SELECT * FROM p",
    f"{QUERY} WHERE tech <> 'insert into' AND tech <> 'it''s' -- delete", f"select{QUERY[6:]}",
    f"{QUERY} WHERE tech LIKE '%o%'", 'SELECT tech AS "update", panel.* FROM panel',
])  # fmt: skip
def test_one_select_is_run(query: str, read: Read):
    assert len(read(query)) == 3


@pytest.mark.parametrize(("query", "said"), [
    ("DELETE FROM panel", "does not begin with SELECT or WITH"),
    ("", "does not begin"), ("-- SELECT", "does not begin"), ("/* SELECT */ DROP TABLE panel", "does not begin"),
    ("SELECTED", "does not begin"), ("PRAGMA writable_schema = 1", "does not begin"), ("EXPLAIN SELECT 1", "does not begin"),
    ("SELECT 1; DROP TABLE panel", "semicolon"), ("SELECT '; DROP TABLE panel --'", "semicolon"), (f"{QUERY};;", "semicolon"),
    (r"SELECT E'\'; DROP TABLE panel; --'", "semicolon"),
    ("WITH gone AS (DELETE FROM panel RETURNING *) SELECT * FROM gone", "holds DELETE"),
    ("SELECT * INTO copy FROM panel", "holds INTO"), (f"{QUERY} FOR UPDATE", "holds UPDATE"),
    ("WITH x AS (SELECT 1) INSERT INTO panel SELECT 'a', NULL, 1, 1, NULL", "holds INSERT"),
])  # fmt: skip
def test_anything_else_is_refused(query: str, said: str, tmp_path: Path):
    with pytest.raises(SourceError, match=said) as found:
        reading(f"sqlite:///{tmp_path}/none.db")(query or " ")
    assert found.value.where == "panel (connection warehouse)"


@pytest.mark.parametrize("query", [
    "SELECT setval('numbers', 5) AS tech", "SELECT nextval('numbers') AS tech",
])  # fmt: skip
@pytest.mark.postgres
def test_what_looks_like_reading_cannot_write_either(query: str, postgres: Any):
    with postgres.database(migrated=False) as url:
        _execute(url, "CREATE SEQUENCE numbers")
        with pytest.raises(SourceError, match="read-only transaction"):
            reading(url)(query)


def test_the_database_itself_refuses_to_write(read: Read, url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("include.kreislauf.collection.selecting.one_select", lambda select: select.query)
    with pytest.raises(SourceError, match=r"refuses the query: .*(read-?only|DECLARE)"):
        read("DELETE FROM panel")
    assert _number(url) == 4


def test_a_query_that_never_ends_is_cut_off_by_sqlite(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'data.db'}"
    _execute(url, SETUP.format(zone="", utc=""))
    endless = "WITH RECURSIVE n(tech) AS (SELECT 1 UNION ALL SELECT tech + 1 FROM n) SELECT max(tech) FROM n"
    source = SqlSource(kind="sql", name="panel", connection="w", query=endless, columns=COLUMNS)
    access = Access(AccessRules(deadline=0.2), connections=lambda _: url)
    with pytest.raises(SourceError, match=r"refuses the query: interrupted: it takes longer than 0.2 s"):
        read_sql(source, PROBLEM, access, AS_OF)


def test_a_query_that_never_ends_is_cut_off_by_postgres(postgres: Any):
    with postgres.database(migrated=False) as url:
        source = SqlSource(
            kind="sql", name="panel", connection="w", query="SELECT pg_sleep(60) AS tech", columns=COLUMNS
        )
        access = Access(AccessRules(deadline=0.2), connections=lambda _: url)
        with pytest.raises(SourceError, match="statement timeout"):
            read_sql(source, PROBLEM, access, AS_OF)


@pytest.mark.parametrize(("query", "said"), [
    ("SELECT tech, quarter, share FROM panel", "column stars is missing; the file has tech, quarter, share"),
    (f"{QUERY} WHERE 1 = 0", "has columns but no rows"),
    (f"{QUERY} UNION ALL {QUERY}", "duplicate rows"),
    ("SELECT tech, quarter, -stars AS stars, share FROM panel", "stars: fails greater_than_or_equal_to"),
    ("SELECT tech, quarter, tech AS stars, share FROM panel ORDER BY quarter, stars DESC", "'python' in row 1 is not a number"),
    ("SELECT tech, tech, quarter, stars, share FROM panel", "gives tech twice"),
    ("SELECT nothing FROM panel", "refuses the query: .*nothing"),
    ("SELECT tech FROM nowhere", "refuses the query: .*nowhere"),
    ("SELECT (", "refuses the query"),
    (f"{QUERY} WHERE tech = :other", "cannot be run: .*other"),
])  # fmt: skip
def test_what_the_contract_does_not_allow_is_told(query: str, said: str, read: Read):
    with pytest.raises(SourceError, match=said) as found:
        read(query)
    assert not found.value.transient


def test_more_rows_than_a_panel_has_are_not_fetched(read: Read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("include.kreislauf.collection.sources.sql.MAX_ROWS", 3)
    with pytest.raises(SourceError, match="more than 3 rows"):
        read()


@pytest.mark.parametrize(("url", "said", "transient"), [
    ("postgresql+psycopg://me:s3cret@127.0.0.1:1/db", "cannot be reached", True),
    ("postgresql+psycopg://me:s3cret@127.0.0.1:1/db?sslmode=s3cret", "s3cret|\\*\\*\\*", True),
    ("mysql+nodriver://me:s3cret@host/db", "driver that is not installed", False),
    ("nonsense s3cret", "is no SQLAlchemy URL", False),
    ("sqlite:////missing/orders.db", "there is no SQLite file /missing/orders.db", False),
    ("postgres://me:s3cret@host/db", r"next: write postgresql\+psycopg://", False),
])  # fmt: skip
def test_a_connection_that_leads_nowhere_says_so_without_its_password(url: str, said: str, transient: bool):
    with pytest.raises(SourceError, match=said) as found:
        reading(url)()
    assert "s3cret" not in found.value.text
    assert found.value.transient is transient


def test_a_missing_connection_names_the_variable():
    source = SqlSource(kind="sql", name="panel", connection="ware-house", query=QUERY, columns=COLUMNS)
    with pytest.raises(SourceError, match="KREISLAUF_CONNECTION_WARE_HOUSE"):
        read_sql(source, PROBLEM, Access(AccessRules()), AS_OF)


def test_nothing_heavy_is_loaded_before_it_is_needed():
    code = "import sys, include.kreislauf.collection.sources.sql; assert not {'pandas', 'numpy', 'pandera'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
