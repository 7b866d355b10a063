"""Writes batches of the prediction log to the store, over one connection that it keeps."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import StoreError
from include.kreislauf.service.group_commit import Result
from include.kreislauf.service.log_entries import Records, write
from include.kreislauf.store.database import Store

CHECKPOINT_PAGES = 4_000
"""Pages (16 MB) of SQLite's write-ahead log that are copied to the database at once."""


class AwayError(Exception):
    """The store cannot be written now: locked for too long, unreachable, full; nothing was stored, or all of it."""


class StoreWriter:
    """Not to be shared between threads.

    Parameters
    ----------
    patience: seconds to wait for other writers' locks.
    """

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self._patience = patience
        self._db: Connection | None = None
        driver: Any = store.engine.dialect.loaded_dbapi
        self._refusals: tuple[type[Exception], ...] = (driver.Error, TypeError, ValueError, OverflowError)
        self._errors: tuple[type[Exception], ...] = (driver.Error, SQLAlchemyError, StoreError)

    def write(self, found: Sequence[Records]) -> list[Result]:
        """Write records in one transaction; where one of them is refused, each in a transaction of its own.

        Returns
        -------
        Per item the answers to its outcomes or reports, or the error for which the database refuses it.

        Raises
        ------
        AwayError: the store cannot be written now. It may have been lost at the end: then the records are stored,
            and writing them again changes nothing.
        """
        try:
            return self._commit(found)
        except AwayError:
            raise
        except self._refusals as error:
            if len(found) == 1:
                return [error]
            return [result for one in found for result in self.write([one])]

    def close(self) -> None:
        """Give the connection back."""
        if self._db is not None:
            self._db.invalidate()  # its settings are not those of the others
            self._db.close()
            self._db = None

    def _commit(self, found: Sequence[Records]) -> list[Result]:
        was_open = self._db is not None
        try:
            db = self._connected()
            with _transaction(db, quick=not any(one.reports for one in found)):
                return list(write(db, found))
        except self._errors as error:
            if is_refusal(error):
                raise
            lost = self._is_lost()
            self.close()
            if was_open and lost:  # the server was started anew: what waits in line need not go to the spool
                return self._commit(found)
            raise AwayError(" ".join(str(error).split())[:300]) from error

    def _is_lost(self) -> bool:
        if self._db is None or self._db.invalidated:
            return True
        driver: Any = self._db.connection.driver_connection
        return bool(getattr(driver, "closed", False))

    def _connected(self) -> Connection:
        if self._db is None:
            db = self._store.engine.connect().execution_options(kreislauf_write=True)
            try:
                _prepare(db, self._patience)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db


@contextmanager
def _transaction(db: Connection, *, quick: bool) -> Iterator[None]:
    """Quick ones, on SQLite, do without SQLAlchemy: its events and states cost as much as the rows of a small batch.

    Parameters
    ----------
    quick: whether all that follows goes to the driver itself.
    """
    if not quick or db.dialect.name != "sqlite":
        with db.begin():
            yield
        return
    driver: Any = db.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        driver.execute("COMMIT")
    except BaseException:
        if driver.in_transaction:
            driver.execute("ROLLBACK")
        raise


def is_refusal(error: BaseException) -> bool:
    """Whether the database refuses what it was given, and would do so again."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.InterfaceError | sqlite3.ProgrammingError):
        return "binding" in str(original)
    names = {kind.__name__ for kind in type(original).__mro__}
    return bool(names & {"DataError", "IntegrityError"})


def _prepare(db: Connection, patience: float) -> None:
    driver: Any = db.connection.driver_connection
    milliseconds = int(patience * 1000)
    if db.dialect.name == "sqlite":
        driver.execute(f"PRAGMA busy_timeout={milliseconds}")
        driver.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return
    driver.execute(f"SET statement_timeout={milliseconds}")
    driver.execute(f"SET lock_timeout={milliseconds}")
    driver.commit()
    _give_up_silent_server(driver.fileno(), milliseconds)


def _give_up_silent_server(descriptor: int, milliseconds: int) -> None:
    """A server whose machine is gone answers nothing, and nobody but the kernel would notice."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None:
        return
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as connection, suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, option, milliseconds)  # a Unix socket has no such option
