"""What history costs: bytes that each cycle and each check of a live release leave behind.

Two shipped use cases live through cycles of their simulated worlds, tracked by MLflow; what the last cycle added is told,
when tables, schemas and first versions are there already. Databases are weighed without free pages. Many plants are then
checked hourly, as monitoring does; one of twenty has a stale model: what a check costs and leaves when nothing is new.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from benchmarks.generality_many import register, settings_of
from benchmarks.generality_reuse import AFTER, FULL, MAIN_LOOP, installed_around
from benchmarks.parts import WORK
from benchmarks.sizing_parts import kept
from include.kreislauf.feedback.monitor import check_all, due_orders
from include.kreislauf.store.database import Store
from tests.support.plant import END

HOURS = 24
STORE, TRACKED = "kreislauf.db", "mlflow.db"


class Size(Protocol):
    """How much is measured."""

    @property
    def lived(self) -> Sequence[str]:
        """Shipped use cases that live through cycles."""

    @property
    def plants(self) -> int:
        """Use cases that are checked hourly."""


def history(size: Size) -> dict[str, Any]:
    """By use case the bytes of one more cycle; and what checks cost."""
    WORK.mkdir(parents=True, exist_ok=True)
    return {
        "history": {name: _lived(name) for name in size.lived},
        "checks": _checked(size.plants),
    }


def _lived(use_case: str) -> dict[str, Any]:
    with (
        TemporaryDirectory(dir=WORK, prefix="history-") as folder,
        installed_around(use_case, Path(folder), tracking_url="") as installed,
    ):
        home, world = Path(folder), installed.world
        times, changes = world.times(), world.changes() or []
        later = [one for one in times[1:] if one >= changes[0]]
        weights = []
        for at in (times[0], later[AFTER], later[AFTER + 1]):
            installed.cycle(at, FULL, "benchmark" if at == times[0] else MAIN_LOOP)
            weights.append(_weights(home))
    return {
        "first_cycle": weights[0],
        "one_more_cycle": {name: weights[-1][name] - weights[-2][name] for name in weights[-1]},
    }


def _weights(home: Path) -> dict[str, int]:
    folders = kept(home)
    return {
        "store_bytes": _compact(home / STORE),
        "tables_bytes": folders["tables"],
        "artefacts_bytes": folders["artefacts"],
        "mlflow_database_bytes": _compact(home / TRACKED),
        "mlflow_rows": sum(rows_by_table(home / TRACKED).values()),
        "mlflow_artefacts_bytes": folders["mlflow-artefacts"],
    }


def _compact(database: Path) -> int:
    """Bytes of a SQLite database without free pages."""
    with TemporaryDirectory(dir=WORK) as folder, closing(sqlite3.connect(database)) as db:
        copy = Path(folder) / "copy.db"
        db.execute("VACUUM INTO ?", (str(copy),))
        return copy.stat().st_size


def rows_by_table(database: Path) -> dict[str, int]:
    """Rows of each table of a SQLite database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def _checked(plants: int) -> dict[str, Any]:
    with TemporaryDirectory(dir=WORK, prefix="checks-") as folder:
        settings = settings_of(Path(folder))
        register(settings, plants)
        store = Store(settings.store)
        for now in (END, END + timedelta(hours=1)):  # afterwards everything has been seen
            check_all(
                due_orders(store, settings.use_cases, "seen", now), store=store, now=now, settings=settings
            )
        before, began = _compact(settings.home / STORE), time.process_time()
        for hour in range(2, 2 + HOURS):
            now = END + timedelta(hours=hour)
            orders = due_orders(store, settings.use_cases, f"hour{hour}", now)
            check_all(orders, store=store, now=now, settings=settings)
        number = HOURS * len(orders)
        used = time.process_time() - began
        store.engine.dispose()
        return {
            "checks": number,
            "cpu_seconds_per_check": round(used / number, 4),
            "store_bytes_per_check": round((_compact(settings.home / STORE) - before) / number),
        }
