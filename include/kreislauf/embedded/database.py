"""Is the embedded metadata database up to date? Answered in a millisecond; Airflow takes four seconds."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path


def current_state(database: Path) -> dict[str, str]:
    """Airflow's version and the schema revision in the database; the revision is empty when there is none."""
    revision = ""
    if database.exists():
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                revision = str(row[0]) if row else ""
        except sqlite3.DatabaseError:  # no such table, or a creation that was interrupted
            revision = ""
    return {"airflow": version("apache-airflow-core"), "revision": revision}


def is_migrated(database: Path, record: Path) -> bool:
    """Whether this version of Airflow has finished migrating this database before."""
    state = current_state(database)
    try:
        return bool(state["revision"]) and state == json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return False


def record_migrated(database: Path, record: Path) -> None:
    """Remember a finished migration for :func:`is_migrated`."""
    record.write_text(json.dumps(current_state(database)) + "\n")
