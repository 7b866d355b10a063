"""The memory of repositories' languages as a table, in SQLite or PostgreSQL; it makes its table itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Engine, MetaData, String, Table, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from include.kreislauf.collection.github.repositories import Known
from include.kreislauf.errors import SourceError

BUSY_TIMEOUT_SECONDS = 30
ROWS_AT_ONCE = 500
Item = TypeVar("Item")

TABLE = Table(
    "repository_languages",
    MetaData(),
    Column("repository", String(255), primary_key=True, comment="owner/name in small letters"),
    Column("language", String(128), comment="null: none, or the repository is gone"),
    Column(
        "seen_at", String(32), nullable=False, comment="ISO 8601, UTC: as text it sorts by time everywhere"
    ),
    Column("etag", String(255), nullable=False),
)


class RepositoryTable:
    """Languages of repositories, kept between collections and shared by all readers.

    Parameters
    ----------
    url: SQLAlchemy URL of the database.
    """

    def __init__(self, url: str) -> None:
        waits = {"timeout": BUSY_TIMEOUT_SECONDS} if url.startswith("sqlite") else {}
        self._engine = create_engine(url, connect_args=waits)
        self._there = False

    def find(self, names: Collection[str]) -> dict[str, Known]:
        """See :class:`~include.kreislauf.collection.github.repositories.Repositories`.

        Raises
        ------
        SourceError: the database cannot be reached (transient).
        """
        found: dict[str, Known] = {}
        with self._database() as engine, engine.connect() as db:
            for some in _portions(sorted(map(str.lower, names))):
                rows = db.execute(select(TABLE).where(TABLE.c.repository.in_(some)))
                found.update({row.repository: _known(row) for row in rows})
        return found

    def remember(self, known: Mapping[str, Known]) -> None:
        """See :class:`~include.kreislauf.collection.github.repositories.Repositories`.

        Raises
        ------
        SourceError: the database cannot be reached (transient).
        """
        # In the order of their names: two writers never wait for one another in turn.
        rows = {name.lower(): _row(name.lower(), one) for name, one in known.items()}
        if rows:
            with self._database() as engine, engine.begin() as db:
                db.execute(self._upsert(), [rows[name] for name in sorted(rows)])

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _upsert(self) -> Any:
        dialect: Any = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(TABLE)
        return insert.on_conflict_do_update(
            index_elements=[TABLE.c.repository],
            set_={name: insert.excluded[name] for name in ("language", "seen_at", "etag")},
            where=insert.excluded.seen_at >= TABLE.c.seen_at,
        )

    @contextmanager
    def _database(self) -> Iterator[Engine]:
        """The engine, its table made; errors of the database become the source's."""
        try:
            self._make()
            yield self._engine
        except DBAPIError as error:
            raise SourceError(
                f"the table of repositories cannot be used: {error.orig}", where=str(self._engine.url),
                next_step="see that the database is up and may be written", transient=True,
            ) from error  # fmt: skip

    def _make(self) -> None:
        """Make the table. Of several processes that do so at once, PostgreSQL lets the slower ones fail."""
        if self._there:
            return
        for last in (False, True):
            try:
                with self._engine.begin() as db:
                    db.execute(CreateTable(TABLE, if_not_exists=True))
                break
            except DBAPIError:
                if last:
                    raise
        self._there = True


def _portions(items: Sequence[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, ROWS_AT_ONCE)):
        yield some


def _row(name: str, known: Known) -> dict[str, Any]:
    seen_at = known.seen_at.astimezone(UTC).isoformat(timespec="seconds")
    return {"repository": name, "language": known.language, "seen_at": seen_at, "etag": known.etag}


def _known(row: Any) -> Known:
    return Known(row.language, datetime.fromisoformat(row.seen_at), row.etag)
