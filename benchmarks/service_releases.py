"""Releases and their pointer under attack: tampered folders, and many processes that promote and roll back at once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.kreislauf.store.database import Store
from tests.support.postgres import find_binaries, running_postgres
from tests.support.promoting import promote_and_roll_back
from tests.support.tampering import tamper_and_load

PATIENCE_SECONDS = 600.0
"""SQLite's lock is not fair: of a hundred that write all the time one may wait for long."""


def tampered(count: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Tamper with signed releases in every known way, and load what came of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = tamper_and_load(count, seed, folder)
    shutil.rmtree(folder)
    return found


def race(processes: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Promote and roll back from many processes, on SQLite and, where it is installed, on PostgreSQL."""
    found = {}
    for kind in ("sqlite", "postgresql"):
        if kind == "postgresql" and find_binaries() is None:
            print("PostgreSQL is not installed: the race is run on SQLite alone", flush=True)
            continue
        since = time.perf_counter()
        with _database(kind, folder) as url:
            found[kind] = promote_and_roll_back(url, processes, rounds, busy_seconds=PATIENCE_SECONDS)
        print(f"race on {kind}: {time.perf_counter() - since:.0f} s", flush=True)
    return found


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    """An empty store with its schema."""
    if kind == "postgresql":
        binaries = find_binaries()
        assert binaries
        with running_postgres(binaries) as server, server.database() as url:
            yield url
        return
    shutil.rmtree(folder, ignore_errors=True)
    store = Store(f"sqlite:///{folder / 'kreislauf.db'}")
    store.upgrade()
    store.engine.dispose()
    yield store.url
