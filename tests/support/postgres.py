"""A PostgreSQL server of one's own: from Debian's binaries, in a temporary folder, on a Unix socket only."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from include.kreislauf.store.database import Store

USER = "kreislauf"
START_SECONDS = 60
STOP_SECONDS = 30
# Nobody needs these data after a power cut; the zone is none that a test could take for UTC.
FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=200",
    "max_wal_size=64MB",
    "timezone=Asia/Kathmandu",
)


@dataclass
class PostgresServer:
    """A running server; every test gets a database of its own."""

    socket: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.socket}"

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """URL of a new database, with the store's schema or empty; dropped at the end."""
        name = f"test_{next(self._numbers)}"
        template = self._migrated() if migrated else "template0"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _migrated(self) -> str:
        if not self._execute("SELECT 1 FROM pg_database WHERE datname = 'migrated'"):
            self._execute("CREATE DATABASE migrated TEMPLATE template0")
            store = Store(self.url("migrated"))
            store.upgrade()
            store.engine.dispose()  # a database in use cannot be a template
        return "migrated"

    def _execute(self, statement: str) -> list[Any]:
        with psycopg.connect(
            host=str(self.socket), user=USER, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


def find_binaries() -> Path | None:
    """Folder of the newest installed PostgreSQL, or ``None``."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def running_postgres(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server, stop it at the end and remove its data."""
    folder = Path(
        tempfile.mkdtemp(prefix="kreislauf-pg-")
    )  # short: a socket's path has at most 107 characters
    prefix = _as_ordinary_user(folder)
    data = folder / "data"
    try:
        initdb = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        subprocess.run([*prefix, *initdb, "--no-sync"], cwd=folder, check=True, capture_output=True)
        options = [part for option in FAST for part in ("-c", option)]
        with (folder / "log").open("wb") as log:
            command = [*prefix, binaries / "postgres", "-D", data, "-k", folder, *options]
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_ready(server, folder)
            yield PostgresServer(folder)
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_ordinary_user(folder: Path) -> list[str]:
    """What to put before a command: PostgreSQL refuses root, and must not outlive a killed test run."""
    prefix = ["setpriv", f"--pdeathsig={signal.SIGINT.name.removeprefix('SIG')}"]
    if os.geteuid() != 0:
        return prefix
    owner = pwd.getpwnam("postgres")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return [*prefix, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user=USER, dbname="postgres").close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text()}") from error
        time.sleep(0.02)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGQUIT)  # at once: what it has not written yet is thrown away anyway
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
