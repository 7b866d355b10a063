"""What requests cost: CPU seconds of the service and of the database, bytes in the store and in the archive.

A service with keys, intervals and its log answers about rows with twenty features, no two alike, over one connection:
one row at a time, then a hundred at a time. Then it is told what happened to each. On SQLite the database is part of the
service's process; on PostgreSQL its processes are counted apart. Bytes of a store are those of its files, with indexes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import httpx
import numpy as np

from benchmarks import service_model
from benchmarks.parts import WORK
from benchmarks.service_servers import Rows, Running, cpu_of, running
from benchmarks.service_world import USE_CASE, World
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_archive import archive
from include.kreislauf.store.rollup import roll_up
from tests.support.postgres import find_binaries, running_postgres

BATCH = 100
NOTHING = 0.0


class Size(Protocol):
    """How much is measured."""

    @property
    def single(self) -> int:
        """Rows that are asked about one at a time."""

    @property
    def batched(self) -> int:
        """Rows that are asked about a hundred at a time."""


def log(size: Size) -> dict[str, Any]:
    """By database what a thousand predictions and outcomes cost."""
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK, prefix="log-") as folder:
        found = {"sqlite": _measured(World.new(Path(folder)), size, lambda: NOTHING)}
    if binaries := find_binaries():
        with (
            TemporaryDirectory(dir=WORK, prefix="log-") as folder,
            running_postgres(binaries) as server,
            server.database() as url,
        ):
            world = World.new(Path(folder), url)
            pid = int((server.socket / "data" / "postmaster.pid").read_text().split()[0])
            found["postgresql"] = _measured(world, size, lambda: cpu_of(pid))
    return {"log": {"features": len(service_model.COLUMNS), **found}}


def _measured(world: World, size: Size, database_cpu: Callable[[], float]) -> dict[str, Any]:
    world.promote(world.release(service_model.fitted()).version)
    begin = _bytes(world.store)
    with (
        running(world.server(), world.settings.home / "logs") as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1/{USE_CASE}", headers=world.headers, trust_env=False, timeout=60) as client,
    ):  # fmt: skip
        part = _Measuring(server, client, database_cpu)
        rows = rows_of(size.single + size.batched)
        ids, single = part.predictions(rows[: size.single], 1)
        more, batched = part.predictions(rows[size.single :], BATCH)
        predicted = _bytes(world.store)
        outcomes = part.outcomes(ids + more)
    told = _bytes(world.store)
    number = len(rows)
    found = {
        "rows": number, "features_json_bytes": round(np.mean([len(json.dumps(one)) for one in rows])),
        "cpu_seconds_per_1000": {"single": single, "in_hundreds": batched, "outcomes": outcomes},
        "bytes_per_prediction": round((predicted - begin) / number),
        "bytes_per_outcome": round((told - predicted) / number),
        "archived_bytes_per_row": round(_archived(world) / number),
    }  # fmt: skip
    world.store.engine.dispose()
    return found


def rows_of(number: int) -> Rows:
    """Rows as clients send them; no two are alike, so that nothing compresses better than in life."""
    draw = np.random.default_rng(1)
    frame = service_model.data()[0].sample(number, replace=True, random_state=1).reset_index(drop=True)
    frame[service_model.NUMERIC] += draw.normal(size=(number, len(service_model.NUMERIC)))
    text = frame.round(6).to_json(orient="records", double_precision=15)
    rows: Rows = json.loads(text)
    return rows


class _Measuring:
    """A running service that is asked, and what that costs.

    Parameters
    ----------
    database_cpu: CPU seconds of the database's own processes so far.
    """

    def __init__(self, server: Running, client: httpx.Client, database_cpu: Callable[[], float]) -> None:
        self._server, self._client, self._database_cpu = server, client, database_cpu
        self.predictions(rows_of(20), 1)

    def predictions(self, rows: Rows, at_once: int) -> tuple[list[str], dict[str, float]]:
        """Ask about rows, so many in a request."""
        ids: list[str] = []

        def ask() -> None:
            for start in range(0, len(rows), at_once):
                body = {"rows": [{"features": one} for one in rows[start : start + at_once]]}
                answer = self._client.post("/predictions", json=body).raise_for_status().json()
                ids.extend(one["prediction_id"] for one in answer["predictions"])

        return ids, self._cost(ask, len(rows))

    def outcomes(self, ids: Sequence[str]) -> dict[str, float]:
        """Tell what happened, a hundred at a time."""
        now = datetime.now(UTC).isoformat()

        def tell() -> None:
            for start in range(0, len(ids), BATCH):
                told = [{"prediction_id": one, "value": 1.5, "observed_at": now} for one in ids[start : start + BATCH]]  # fmt: skip
                self._client.post("/outcomes", json={"outcomes": told}).raise_for_status()

        return self._cost(tell, len(ids))

    def _cost(self, work: Callable[[], None], number: int) -> dict[str, float]:
        service, database = self._server.cpu(), self._database_cpu()
        work()
        thousands = number / 1000
        return {
            "service": round((self._server.cpu() - service) / thousands, 3),
            "database": round((self._database_cpu() - database) / thousands, 3),
        }


def _bytes(store: Store) -> int:
    """Of the database's files."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        if db.dialect.name == "postgresql":
            db.exec_driver_sql("VACUUM")
            return int(db.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
        pages, size = (db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
        return int(pages or 0) * int(size or 0)


def _archived(world: World) -> int:
    """Bytes of the files of all that was logged, as if it were long ago."""
    later = datetime.now(UTC) + timedelta(days=2)
    roll_up(world.store, USE_CASE, later, later)
    folder = world.settings.home / "archive"
    return sum(
        one.path(folder).stat().st_size for one in archive(world.store, USE_CASE, later, folder, later)
    )
