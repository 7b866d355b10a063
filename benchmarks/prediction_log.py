"""The prediction log at ten million rows: what monitoring's read costs, and what one durable row does.

Run with ``python -m benchmarks.prediction_log``; writes ``results/prediction_log.json``. Needs 6 GB of disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from include.kreislauf.service.journal import Journal, LoggedPrediction, new_id, stamp
from include.kreislauf.service.metrics import Metrics
from include.kreislauf.store import observations
from include.kreislauf.store.database import Store
from include.kreislauf.store.rollup import roll_up

RESULTS = Path(__file__).parent / "results" / "prediction_log.json"
USE_CASE = "radar"
ENTITIES = 200
DAYS = 250
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CLIENTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--appends", type=int, default=40_000)
    parser.add_argument("--folder", default=None, help="default: a temporary one")
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.folder) as folder:
        found = {
            "machine": {
                "cpus": os.cpu_count(),
                "load": os.getloadavg()[0],
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
            },
            "appends": appends(Path(folder), options.appends),
            "reads": reads(Path(folder), options.rows),
        }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def appends(folder: Path, number: int) -> dict[str, Any]:
    """Durable appends of one row each by 16 clients that wait for each one; the median of three runs."""
    runs = sorted((asyncio.run(_append(folder / f"append_{turn}", number)) for turn in range(3)), key=_rate)
    return {
        "clients": CLIENTS,
        "rows": number,
        **runs[1],
        "runs_rows_per_second": [_rate(one) for one in runs],
    }


async def _append(folder: Path, number: int) -> dict[str, Any]:
    folder.mkdir()
    store = Store(f"sqlite:///{folder / 'kreislauf.db'}")
    store.upgrade()
    journal = Journal(store, folder / "spool", Metrics())
    journal.start()
    seconds: list[float] = []
    left = iter(range(number))

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            at = stamp(datetime.now(UTC))
            row = LoggedPrediction(
                new_id(), USE_CASE, 1, "python", True, 0.5, at, at, at, 0.1, 0.9, '{"stars": 1}'
            )
            await journal.write_predictions([row])
            seconds.append(time.perf_counter() - began)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await journal.stop()
    with store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM predictions").scalar() == number
    store.engine.dispose()
    seconds.sort()
    return {
        "rows_per_second": round(number / wall), "cpu_us_per_row": round(cpu / number * 1e6, 1),
        "p50_ms": round(median(seconds) * 1e3, 3), "p99_ms": round(seconds[int(number * 0.99)] * 1e3, 3),
    }  # fmt: skip


def reads(folder: Path, number: int) -> dict[str, Any]:
    """Monitoring's read before and after the roll-up, of a database with the cache of the disk warm."""
    path = folder / "kreislauf.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.engine.dispose()
    filled = _timed(lambda: _fill(path, number))
    until = START + DAYS * DAY
    before, rows = _read(store, until, 1)
    rolling = _timed(lambda: roll_up(store, USE_CASE, until, until))
    after, again = _read(store, until, 9)
    assert rows == again, "the roll-up changed what is read"
    store.engine.dispose()
    return {
        "rows": number, "entities": ENTITIES, "days": DAYS, "rows_read": len(rows), "fill_seconds": round(filled, 1),
        "database_mib": path.stat().st_size >> 20, "read_before_seconds": round(before, 3),
        "read_after_seconds": round(after, 3), "ratio": round(before / after, 1),
        "roll_up_seconds": round(rolling, 1), "roll_up_seconds_per_day": round(rolling / DAYS, 4),
    }  # fmt: skip


def _read(store: Store, until: datetime, turns: int) -> tuple[float, list[tuple[Any, ...]]]:
    """The median time of reading one release, and what was read."""
    seconds, rows = [], []
    for _ in range(turns):
        with store.read() as db:
            began = time.perf_counter()
            found = observations.observed(db, USE_CASE, until, release=1)
            seconds.append(time.perf_counter() - began)
        rows = [tuple(row) for row in found]
    return median(seconds), rows


def _fill(path: Path, number: int) -> None:
    """Predictions of every entity through every day, in the order of their time, one outcome in ten."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("BEGIN")
    marks = ", ".join("?" * len(LoggedPrediction._fields))
    db.executemany(f"INSERT INTO predictions ({', '.join(_quoted())}) VALUES ({marks})", _rows(number))
    chosen = "SELECT id, use_case, value + 0.1, as_of, created_at FROM predictions WHERE rowid % 10 = 0"
    db.execute(f"INSERT INTO outcomes (prediction_id, use_case, value, observed_at, created_at) {chosen}")
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _rows(number: int) -> Iterator[tuple[Any, ...]]:
    per_day = number // DAYS
    times = [stamp(START + place * (DAY / per_day))[10:] for place in range(per_day)]
    names = [f"entity_{number:03d}" for number in range(ENTITIES)]
    places = [
        (f"{place:012x}", names[place % ENTITIES], place / per_day, times[place]) for place in range(per_day)
    ]
    for day in range(DAYS):
        date, prefix, period = f"{START + day * DAY:%Y-%m-%d}", f"{day:020x}-", stamp(START + day * DAY)
        for place, entity, value, clock in places:
            at = date + clock
            yield (
                prefix + place,
                USE_CASE,
                1,
                entity,
                1,
                value,
                period,
                at,
                at,
                None,
                None,
                None,
                "champion",
            )


def _quoted() -> list[str]:
    return [f'"{name}"' for name in LoggedPrediction._fields]


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _rate(run: dict[str, Any]) -> int:
    return int(run["rows_per_second"])


if __name__ == "__main__":
    main()
