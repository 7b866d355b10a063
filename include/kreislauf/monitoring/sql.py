"""Observations of a live metric from a relational database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.selecting import Select, one_select, select_rows
from include.kreislauf.errors import QueryError
from include.kreislauf.requirements.monitoring import SqlQuery

MAX_ROWS = 1_000_000
COLUMNS = ("observed_at", "value")
PARAMETERS = ("since", "until")
SLACK = timedelta(days=1)
"""SQLite compares times as texts, each written as it likes: it is asked for so much more on both sides."""


def rows_of(
    source: SqlQuery, where: str, since: datetime, until: datetime, access: Access, seconds: float
) -> list[tuple[datetime, float]]:
    """Every row of the query with a value; rows whose value is NULL are no observations.

    On SQLite, rows up to :data:`SLACK` before and after the time come too.

    Parameters
    ----------
    where: what an error is about.
    since, until: bound to ``:since`` and ``:until``, where the query names them.
    seconds: deadline of the statement.

    Raises
    ------
    SourceError: no such connection, unreachable, or the database refuses the query.
    QueryError: other columns than :data:`COLUMNS`, or a row that is no time and number.
    """
    url = access.connection(source.connection)
    slack = SLACK if url.startswith("sqlite") else timedelta()
    times = dict(zip(PARAMETERS, (since - slack, until + slack), strict=True))
    select = Select(source.query, source.connection, where, times, seconds, MAX_ROWS)
    names, rows = select_rows(select, url, access.hide)
    if missing := [name for name in COLUMNS if name not in names]:
        raise QueryError(
            f"the query gives no column {' and no '.join(missing)}; it gives {', '.join(names)}", where=where,
            allowed=COLUMNS, next_step="name the columns in the contract's query, such as: SELECT at AS observed_at, …",
        )  # fmt: skip
    at, value = (names.index(name) for name in COLUMNS)
    return [(_time(row[at], where), _number(row[value], where)) for row in rows if row[value] is not None]


def check_query(source: SqlQuery, where: str) -> None:
    """What can be told of a query without a database.

    Raises
    ------
    SourceError: it is not one SELECT.
    QueryError: it names a parameter that is never bound.
    """
    query = one_select(Select(source.query, source.connection, where, {}, 0.0, MAX_ROWS))
    if unknown := sorted(text(query).compile().params.keys() - set(PARAMETERS)):
        raise QueryError(
            f"the query names {', '.join(f':{name}' for name in unknown)}", where=where,
            allowed=f"as parameters only {', '.join(f':{name}' for name in PARAMETERS)}",
            next_step="correct the contract's query; a colon that is no parameter is written \\:",
        )  # fmt: skip


def _time(found: object, where: str) -> datetime:
    """A time in UTC; one without zone is UTC."""
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            raise _wrong("observed_at", found, where) from None
    if isinstance(found, datetime):
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(found, date):
        return datetime(found.year, found.month, found.day, tzinfo=UTC)
    raise _wrong("observed_at", found, where)


def _number(found: object, where: str) -> float:
    if isinstance(found, int | float | Decimal):
        return float(found)
    raise _wrong("value", found, where)


def _wrong(column: str, found: object, where: str) -> QueryError:
    allowed = {
        "observed_at": "a timestamp, or ISO text such as 2026-01-31T12:00:00Z, in UTC where it has no zone; not a number "
        "(seconds since 1970: datetime(at, 'unixepoch') on SQLite, to_timestamp(at) on PostgreSQL)",
        "value": "a number, or NULL for none",
    }
    return QueryError(
        f"{column} is {str(found)[:50]!r}", where=where, allowed=allowed[column],
        next_step="correct the contract's query",
    )  # fmt: skip
