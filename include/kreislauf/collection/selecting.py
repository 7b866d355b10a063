"""One SELECT against a relational database: it cannot write, has an end, and never shows the password.

It runs in a transaction that cannot write, where the database has such (PostgreSQL, SQLite), and is rolled back in any
case.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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

from include.kreislauf.errors import SourceError

ROWS_AT_ONCE = 10_000
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
_SQLITE_STEPS = 10_000
"""Between two looks at the clock, in instructions of SQLite's machine: some tenths of a millisecond."""


@dataclass(frozen=True)
class Select:
    """A query of a contract and what it may take.

    Parameters
    ----------
    connection: name of the connection, for messages.
    where: what an error is about, such as ``panel (connection warehouse)``.
    times: what is bound to ``:name`` in the query, where it is named there.
    seconds: deadline of the statement; PostgreSQL and SQLite hold to it.
    """

    query: str
    connection: str
    where: str
    times: Mapping[str, datetime]
    seconds: float
    max_rows: int


def select_rows(
    select: Select, url: str, hide: Callable[[str], str]
) -> tuple[list[str], list[tuple[object, ...]]]:
    """Names of the columns, and the rows, of a query.

    Parameters
    ----------
    url: SQLAlchemy URL of the database.
    hide: takes the secrets out of a text.

    Raises
    ------
    SourceError: not one SELECT; no such database; unreachable (transient); the database refuses the query; a column
        twice, or too many rows.
    """
    query = one_select(select)
    parsed = _parsed(url, select)
    with _reported(select, parsed, hide), _engine(parsed, select) as engine:
        return _fetch(engine, query, select)


def one_select(select: Select) -> str:
    """The query, without a semicolon at its end.

    Raises
    ------
    SourceError: it is no SELECT, more than one statement, or might write.
    """
    query = select.query.strip().removesuffix(";").rstrip()
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
        f"the query {what}", where=select.where, allowed="one SELECT; column names like keywords in quotes",
        next_step="correct the contract's query",
    )  # fmt: skip


def _parsed(text_of_url: str, select: Select) -> URL:
    try:
        url = make_url(text_of_url)
    except ArgumentError:
        raise SourceError(
            "is no SQLAlchemy URL", where=select.connection, allowed="such as postgresql+psycopg://user:password@host/database",
            next_step="correct the connection",
        ) from None  # fmt: skip
    file = url.database if url.get_backend_name() == "sqlite" else None
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise SourceError(
            f"there is no SQLite file {Path(file).absolute()}",
            where=select.where,
            next_step="correct the connection",
        )
    return url


@contextmanager
def _engine(url: URL, select: Select) -> Iterator[Engine]:
    try:
        engine = create_engine(url, poolclass=NullPool)
    except (ImportError, NoSuchModuleError) as error:
        old = url.drivername == "postgres"  # as many tools write it
        raise SourceError(
            f"needs a driver that is not installed: {error}", where=select.where,
            next_step="write postgresql+psycopg://… in the connection" if old else "install it for every worker",
        ) from error  # fmt: skip
    try:
        yield engine
    finally:
        engine.dispose()


def _fetch(engine: Engine, query: str, select: Select) -> tuple[list[str], list[tuple[object, ...]]]:
    with engine.connect() as connection:
        _forbid_writing(connection, select.seconds)
        result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(_bound(query, select.times))
        names = list(result.keys())
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SourceError(
                f"the query gives {', '.join(repeated)} twice",
                where=select.where,
                next_step="name each column once",
            )
        rows: list[tuple[object, ...]] = []
        for some in result.partitions():
            rows += map(tuple, some)
            if len(rows) > select.max_rows:
                raise SourceError(
                    f"the query gives more than {select.max_rows} rows",
                    where=select.where,
                    next_step="ask for less",
                )
        connection.rollback()
    return names, rows


def _forbid_writing(connection: Connection, seconds: float) -> None:
    name = connection.dialect.name
    if name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    for statement in READ_ONLY.get(name, ()):
        connection.exec_driver_sql(statement.format(milliseconds=int(seconds * 1000)))
    if name == "sqlite":
        end = time.monotonic() + seconds
        driver = connection.connection.dbapi_connection
        if driver is not None:
            driver.set_progress_handler(lambda: time.monotonic() > end, _SQLITE_STEPS)


def _bound(query: str, times: Mapping[str, datetime]) -> TextClause:
    statement = text(query)
    named = statement.compile().params
    bound = [
        bindparam(name, moment.astimezone(UTC), DateTime(timezone=True))
        for name, moment in times.items()
        if name in named
    ]
    return statement.bindparams(*bound)


@contextmanager
def _reported(select: Select, url: URL, hide: Callable[[str], str]) -> Iterator[None]:
    """What the database says, without the password."""

    def shown(error: BaseException) -> str:
        said = " ".join(str(error).split())[:300]
        if said == "interrupted":  # SQLite's word for it
            said = f"interrupted: it takes longer than {select.seconds:g} s"
        return hide(said.replace(str(url.password), "***") if url.password else said)

    try:
        yield
    except DBAPIError as error:
        connected = error.statement is not None and not error.connection_invalidated
        raise SourceError(
            f"the database {'refuses the query' if connected else 'cannot be reached'}: {shown(error.orig or error)}",
            where=select.where, transient=not connected,
            next_step="correct the contract's query" if connected else "try again later, or correct the connection",
        ) from None  # fmt: skip
    except SQLAlchemyError as error:
        raise SourceError(
            f"the query cannot be run: {shown(error)}", where=select.where,
            allowed=f"as parameters only {', '.join(f':{name}' for name in select.times)}",
            next_step="correct the contract's query",
        ) from None  # fmt: skip
