"""For all tests: a PostgreSQL server, a fresh workflow store on each database, races.

Tests with a ``store`` run twice, on SQLite and on PostgreSQL; ``-m "not postgres"`` leaves the second out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from include.kreislauf.store.database import Store
from tests.support.missing import missing
from tests.support.postgres import PostgresServer, find_binaries, running_postgres
from tests.support.racing import ProcessRace, Race, ThreadRace, processes
from tests.support.sharing import OneStackAtATime, place

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


# tests share the CPUs already: processes of a training's own would cost seconds each, most of them imports.
# Parallel training has its tests, and tests/ring/test_run.py takes what ships.
os.environ["KREISLAUF_TRAINING_JOBS"] = "1"
# a busy machine makes everything slow: what takes too long is for benchmarks/ to say
settings.register_profile("kreislauf", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kreislauf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stacks come first."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests: one real stack at a time."""
    return OneStackAtATime(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole session."""
    if (binaries := find_binaries()) is None:
        missing("PostgreSQL", "postgresql")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the store's schema, to be copied."""
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.engine.dispose()
    return path


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty workflow store with its schema."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            yield from _disposed(Store(url))
    else:
        path = tmp_path / "kreislauf.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield from _disposed(Store(f"sqlite:///{path}"))


@pytest.fixture(params=BOTH)
def bare_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store whose database has no schema yet; on SQLite not even its folder exists."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database(migrated=False) as url:
            yield from _disposed(Store(url))
    else:
        yield from _disposed(Store(f"sqlite:///{tmp_path / 'new' / 'kreislauf.db'}"))


@pytest.fixture(scope="session")
def process_race() -> Iterator[ProcessRace]:
    """Three processes for races."""
    with processes(3) as race:
        yield race


@pytest.fixture(params=["threads", "processes"])
def race(request: pytest.FixtureRequest) -> Race:
    """A race of threads, then one of processes."""
    return ThreadRace(8) if request.param == "threads" else request.getfixturevalue("process_race")


def _disposed(store: Store) -> Iterator[Store]:
    yield store
    store.engine.dispose()
