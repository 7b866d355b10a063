"""The three databases: dumped from one snapshot each, loaded, and counted so that both can be compared."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import IO

from deploy.stack.archive import Hashing, Tee, pipe
from deploy.stack.errors import Failed
from deploy.stack.stack import Stack

DATABASES = ("airflow", "kreislauf", "mlflow")
Tables = dict[str, dict[str, str]]
"""Table -> number of rows, and a sum of the hashes of all rows, whatever their order."""
_NAMES = """
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""
# what a row's text depends on besides the row
_SAME = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1; SET bytea_output = 'hex'; "


def client(container: str, *words: str) -> list[str]:
    """A command of PostgreSQL's inside its container; the password never leaves it."""
    shell = 'export PGPASSWORD="$POSTGRES_PASSWORD"; exec "$@"'
    return ["docker", "exec", "-i", container, "sh", "-c", shell, "sh", *words]


class Snapshot:
    """A session that sees one moment of a database, as long as it is open.

    Raises
    ------
    Failed: the server does not answer, or refuses a query.
    """

    def __init__(self, stack: Stack, container: str, database: str) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        self._where = f"database {database}"
        command = client(
            container, "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database
        )
        self._process = subprocess.Popen(command, env=dict(stack.environ), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._errors, text=True)  # fmt: skip

    def __enter__(self) -> Snapshot:
        self.query(_SAME + "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            pipe(self._process.stdin).close()
        if kind:
            self._process.kill()
        self._process.wait()
        pipe(self._process.stdout).close()
        self._errors.close()

    @property
    def name(self) -> str:
        """By which `pg_dump` sees the same moment."""
        return self.query("SELECT pg_export_snapshot();")[0]

    def query(self, text: str) -> list[str]:
        """Lines of an answer, columns with `|` between."""
        with suppress(BrokenPipeError):  # what psql says is the cause
            pipe(self._process.stdin).write(f"{text}\n\\echo end-of-answer\n")
            pipe(self._process.stdin).flush()
        found: list[str] = []
        for line in pipe(self._process.stdout):
            if line == "end-of-answer\n":
                return found
            found.append(line.rstrip("\n"))
        self._errors.seek(0)
        raise Failed(self._errors.read().decode("utf-8", "replace").strip()[-500:], where=self._where)

    def tables(self) -> Tables:
        """Rows and sum of hashes of every table."""
        counted = (
            "SELECT '{0}', count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {1} t;"
        )
        found: Tables = {}
        for name in self.query(_NAMES + ";"):
            quoted = name.replace("'", "''")
            table, rows, total = self.query(counted.format(quoted, name))[0].rsplit("|", 2)
            found[table] = {"rows": rows, "sum": total}
        return found


def dump(stack: Stack, container: str, database: str, snapshot: str, target: Hashing) -> None:
    """Write one database, as a snapshot sees it.

    Raises
    ------
    Failed: it cannot be read, or not be written.
    """
    words = (
        "pg_dump",
        "-U",
        "postgres",
        "--format=custom",
        "--compress=3",
        f"--snapshot={snapshot}",
        database,
    )
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(client(container, *words), env=dict(stack.environ), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=errors) as process:  # fmt: skip
            tee = Tee(pipe(process.stdout), target, f"database {database}")
            while tee.read():
                pass
        errors.seek(0)
        _require(stack, process.returncode, errors.read(), database)


def load(stack: Stack, container: str, database: str, source: IO[bytes]) -> None:
    """Bring a dump into an empty database, all of it or nothing.

    Raises
    ------
    Failed: the server refuses it.
    """
    words = ("pg_restore", "-U", "postgres", "--exit-on-error", "--single-transaction", "-d", database)
    done = subprocess.run(client(container, *words), env=dict(stack.environ), stdin=source,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)  # fmt: skip
    _require(stack, done.returncode, done.stderr, database)


def _require(stack: Stack, code: int, told: bytes, database: str) -> None:
    if code:
        raise Failed(
            stack.redact(told.decode("utf-8", "replace").strip()[-1000:]), where=f"database {database}"
        )


def bytes_of(stack: Stack, container: str) -> int:
    """Size of all databases."""
    query = "SELECT sum(pg_database_size(datname)) FROM pg_database"
    return int(
        stack.run(client(container, "psql", "-XqAt", "-U", "postgres", "-c", query)).stdout.strip() or 0
    )
