"""Source kind ``sql``: the rows of one SELECT, checked against the contract's columns.

The query may name ``:as_of``, the time that the data may know of. It runs in a transaction that cannot write, where the
database has such (PostgreSQL, SQLite), and is rolled back in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Engine,
    NullPool,
    TextClause,
    bindparam,
    create_engine,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from include.kreislauf.collection.access import Access
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import SqlSource

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 10_000
MAX_ROWS = 5_000_000
"""More than a panel of entities and periods ever has; a query without its WHERE has them soon."""
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]")
_WRITES = re.compile(
    r"\b(insert|update|delete|merge|into|drop|alter|create|truncate|grant|revoke|call|lock)\b", re.IGNORECASE
)
READ_ONLY: dict[str, tuple[str, ...]] = {
    "sqlite": ("PRAGMA query_only = ON",),
    "postgresql": ("SET LOCAL TIME ZONE 'UTC'", "SET LOCAL statement_timeout = {milliseconds}"),
}
"""What is set before the query; on PostgreSQL the transaction itself is read-only."""


def read_sql(source: SqlSource, problem: Problem, access: Access, as_of: datetime) -> pd.DataFrame:
    """The rows of the query that were available at ``as_of``, as
    :func:`~include.kreislauf.collection.table.read_table` returns them.

    Raises
    ------
    SourceError: no such connection; not one SELECT; unreachable (transient); the database refuses the query; missing
        column, wrong type, value out of range, duplicate rows. Never shows the password.
    """
    from include.kreislauf.collection.table import checked

    query = one_select(source)
    url = _url(source, access)
    with _reported(source, url, access), _engine(url, source) as engine:
        frame = _fetch(engine, query, source, access, as_of)
    return checked(frame, source, problem, _where(source), as_of, first_row=1)


def one_select(source: SqlSource) -> str:
    """The query, without a semicolon at its end.

    Raises
    ------
    SourceError: it is no SELECT, more than one statement, or might write.
    """
    query = source.query.strip().removesuffix(";").rstrip()
    bare = _QUOTED.sub(" ", _COMMENT.sub(" ", query))
    found = _WRITES.search(bare)
    if ";" in query:
        # looked for in texts and comments as well: where these end, each database sees differently
        what = "holds a semicolon"
    elif not re.match(r"\s*\(*\s*(select|with)\b", bare, re.IGNORECASE):
        what = "does not begin with SELECT or WITH"
    elif found:
        what = f"holds {found[0].upper()}, which might write"
    else:
        return query
    raise SourceError(
        f"the query {what}", where=_where(source), allowed="one SELECT; column names like keywords in quotes",
        next_step="correct the contract's query",
    )  # fmt: skip


def _url(source: SqlSource, access: Access) -> URL:
    try:
        url = make_url(access.connection(source.connection))
    except ArgumentError:
        raise SourceError(
            "is no SQLAlchemy URL", where=source.connection, allowed="such as postgresql+psycopg://user:password@host/database",
            next_step="correct the connection",
        ) from None  # fmt: skip
    file = url.database if url.get_backend_name() == "sqlite" else None
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise SourceError(
            "there is no such SQLite file", where=_where(source), next_step="correct the connection"
        )
    return url


@contextmanager
def _engine(url: URL, source: SqlSource) -> Iterator[Engine]:
    try:
        engine = create_engine(url, poolclass=NullPool)
    except (ImportError, NoSuchModuleError) as error:
        raise SourceError(
            f"needs a driver that is not installed: {error}", where=_where(source), next_step="install it for every worker"
        ) from error  # fmt: skip
    try:
        yield engine
    finally:
        engine.dispose()


def _fetch(engine: Engine, query: str, source: SqlSource, access: Access, as_of: datetime) -> pd.DataFrame:
    import pandas as pd

    with engine.connect() as connection:
        _forbid_writing(connection, access.rules.deadline)
        result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(_bound(query, as_of))
        names = list(result.keys())
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SourceError(
                f"the query gives {', '.join(repeated)} twice",
                where=_where(source),
                next_step="name each column once",
            )
        rows: list[tuple[object, ...]] = []
        for some in result.partitions():
            rows += map(tuple, some)
            if len(rows) > MAX_ROWS:
                raise SourceError(
                    f"the query gives more than {MAX_ROWS} rows",
                    where=_where(source),
                    next_step="ask for less",
                )
        connection.rollback()
    return pd.DataFrame(rows, columns=names)


def _forbid_writing(connection: Connection, seconds: float) -> None:
    name = connection.dialect.name
    if name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    for statement in READ_ONLY.get(name, ()):
        connection.exec_driver_sql(statement.format(milliseconds=int(seconds * 1000)))


def _bound(query: str, as_of: datetime) -> TextClause:
    statement = text(query)
    if "as_of" not in statement.compile().params:
        return statement
    return statement.bindparams(bindparam("as_of", as_of.astimezone(UTC), DateTime(timezone=True)))


@contextmanager
def _reported(source: SqlSource, url: URL, access: Access) -> Iterator[None]:
    """What the database says, without the password."""

    def shown(error: BaseException) -> str:
        said = " ".join(str(error).split())[:300]
        return access.hide(said.replace(str(url.password), "***") if url.password else said)

    try:
        yield
    except DBAPIError as error:
        connected = error.statement is not None and not error.connection_invalidated
        raise SourceError(
            f"the database {'refuses the query' if connected else 'cannot be reached'}: {shown(error.orig or error)}",
            where=_where(source), transient=not connected,
            next_step="correct the contract's query" if connected else "try again later, or correct the connection",
        ) from None  # fmt: skip
    except SQLAlchemyError as error:
        raise SourceError(
            f"the query cannot be run: {shown(error)}", where=_where(source), allowed=":as_of is the only parameter",
            next_step="correct the contract's query",
        ) from None  # fmt: skip


def _where(source: SqlSource) -> str:
    return f"{source.name} (connection {source.connection})"
