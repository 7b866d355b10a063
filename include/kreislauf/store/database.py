"""The workflow store's connection: SQLite (embedded) or PostgreSQL, transactions, migrations.

Functions of this package take a :class:`sqlalchemy.Connection`, so that a caller can join several in one transaction::

    with store.write() as db:
        cycles.open_cycle(db, ...)
        messages.save_loop(db, ...)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.sql.schema import Table
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from include.kreislauf.errors import StoreError
from include.kreislauf.settings import get_settings
from include.kreislauf.store.schema import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SECONDS = 30
UPGRADE_LOCK = 0x6B726569
"""Number of the advisory lock that an upgrade takes on PostgreSQL."""


class Store:
    """One workflow store; cheap to share between threads.

    Raises
    ------
    StoreError: the URL is none, or of a database without a driver here.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = _engine(url)
        except (ArgumentError, ImportError, NoSuchModuleError) as error:
            # SQLAlchemy's own text may hold the whole address
            raise StoreError(
                "is no address of a workflow store", where="KREISLAUF_STORE_URL",
                allowed="sqlite:////folder/file.db, or postgresql+psycopg://user:password@host/database",
                next_step="correct the variable",
            ) from error  # fmt: skip

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on an exception."""
        with self.engine.connect().execution_options(kreislauf_write=True) as db, db.begin():
            yield db

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as db:
            yield db

    def upgrade(self) -> None:
        """Bring the schema to the revision this code needs. Several processes may call it at once: one does the work.

        Raises
        ------
        StoreError: the database cannot be reached, or its schema is newer than this code.
        """
        if self.revision() == HEAD:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.write() as db:
            if db.dialect.name == "postgresql":  # on SQLite the transaction itself is the lock
                db.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            config.attributes["connection"] = db
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreError(
                    f"the schema cannot be upgraded: {error}", where=self.engine.url.render_as_string(),
                    allowed=f"revisions up to {HEAD}", next_step="use the code that made this store, or a newer one",
                ) from error  # fmt: skip

    def revision(self) -> str | None:
        """The schema's revision; ``None`` when the store is empty.

        Raises
        ------
        StoreError: the database cannot be reached, or is none.
        """
        if self._file and not self._file.exists():
            return None  # looking must not make it
        try:
            with self.read() as db:
                if not inspect(db).has_table("alembic_version"):
                    return None
                version: str | None = db.scalar(text("SELECT version_num FROM alembic_version"))
                return version
        except DBAPIError as error:
            raise StoreError(
                f"the workflow store cannot be reached: {error.orig}", where=self.engine.url.render_as_string(),
                next_step="start the database, or correct KREISLAUF_STORE_URL",
            ) from error  # fmt: skip

    @property
    def _file(self) -> Path | None:
        url = self.engine.url
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    def require(self) -> Store:
        """This store, when its schema is the one the code needs.

        Raises
        ------
        StoreError: the schema is missing, older or newer.
        """
        if (found := self.revision()) != HEAD:
            raise StoreError(
                f"the schema is at revision {found or '(none)'}", where=self.engine.url.render_as_string(),
                allowed=HEAD, next_step="run: python -m include.kreislauf store upgrade",
            )  # fmt: skip
        return self


def insert_once(db: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one of its unique keys exists already; tells whether it was inserted."""
    statement = _insert_of(db, table).values(**values).on_conflict_do_nothing()
    # Without preserve_rowcount psycopg answers -1: every duplicate would count as inserted.
    return db.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def put(db: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert a row, or put it in place of the one with the same primary key."""
    key = [column.name for column in table.primary_key]
    others = {name: value for name, value in values.items() if name not in key}
    statement = _insert_of(db, table).values(**values)
    db.execute(statement.on_conflict_do_update(index_elements=key, set_=others))


def _insert_of(db: Connection, table: Table) -> Any:
    """An insert that knows what to do about a conflict."""
    dialects: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    make = dialects.get(db.dialect.name)
    if make is None:
        raise StoreError(f"database {db.dialect.name!r} is not supported", allowed=dialects)
    return make(table)


def insert_rows(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert many rows; does nothing for none."""
    if rows:
        db.execute(insert(table), rows)


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    made = make_url(url)
    if made.get_backend_name() == "postgresql" and made.drivername == "postgresql":
        made = made.set(drivername="postgresql+psycopg")
    if made.get_backend_name() != "sqlite":
        # an unreachable host must not hold a request for the system's own time-out of minutes
        return create_engine(made, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    engine = create_engine(made, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    _use_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


# While another process writes to a file that is not in WAL mode yet, this fails at once, whatever the busy time-out.
@retry(
    retry=retry_if_exception(_is_busy), stop=stop_after_delay(BUSY_TIMEOUT_SECONDS), wait=wait_random(0, 0.05),
    reraise=True,
)  # fmt: skip
def _use_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(db: Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock in the middle fails instead of waiting.
    writes = db.get_execution_options().get("kreislauf_write", False)
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def get_store() -> Store:
    """The store that the settings name."""
    return Store(get_settings().store)
