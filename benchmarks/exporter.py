"""What a scrape of the workflow exporter costs over a large store, in SQLite and in PostgreSQL.

Twenty use cases share 10,000 cycles with five handovers, two loops and four verdicts each, and 1 million predictions
with their outcomes. A first look may find nothing in memory; those after it are what Prometheus pays every 15 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Table, insert

from benchmarks.parts import WORK, Benchmark
from include.kreislauf.exporting.exporter import WorkflowCollector
from include.kreislauf.handovers import Edge, Reason, Role, Stage
from include.kreislauf.store.database import Store
from include.kreislauf.store.log_records import new_ids
from include.kreislauf.store.schema import (
    contracts,
    cycles,
    handovers,
    loops,
    outcomes,
    predictions,
    receipts,
    verdicts,
)
from tests.support.postgres import find_binaries, running_postgres

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TURNS, MATURITY_DAYS = 5, 30
DOCUMENT = "# A document\n\n" + "A line of it, as long as lines are.\n" * 60
STAGES = (
    (Stage.REQUIREMENTS, Role.DATA_ENGINEERING), (Stage.COLLECTION, Role.DATA_SCIENCE),
    (Stage.TRAINING, None), (Stage.EVALUATION, Role.MLOPS), (Stage.DEPLOYMENT, Role.MONITORING),
)  # fmt: skip
Row = dict[str, Any]
One = TypeVar("One")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    cycles: int
    outcomes: int
    use_cases: int = 20


def scrapes(size: Size) -> dict[str, Any]:
    """Milliseconds of looks at both databases."""
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK, prefix="exporter-") as folder:
        found = _measured("sqlite", Store(f"sqlite:///{Path(folder) / 'store.db'}"), size)
    if binaries := find_binaries():
        with running_postgres(binaries) as server, server.database() as url:
            found |= _measured("postgres", Store(url), size)
    return found


def _measured(database: str, store: Store, size: Size) -> dict[str, Any]:
    fill(store, size)
    registry = CollectorRegistry()
    collector = WorkflowCollector(store, lambda: NOW, kept=-1, patience=60)
    registry.register(collector)
    seconds, busy, lines = [], [], b""
    for _ in range(1 + TURNS):
        since, since_busy = time.perf_counter(), time.process_time()
        lines = generate_latest(registry)
        seconds.append(time.perf_counter() - since)
        busy.append(time.process_time() - since_busy)
    collector.close()
    store.engine.dispose()
    return {
        f"{database}_first_scrape_ms": round(seconds[0] * 1000), f"{database}_scrape_ms": round(median(seconds[1:]) * 1000),
        f"{database}_own_cpu_ms": round(median(busy[1:]) * 1000),
        "series": sum(not line.startswith(b"#") for line in lines.splitlines()),
    }  # fmt: skip


def fill(store: Store, size: Size) -> None:
    """Write the whole past into a store."""
    store.upgrade()
    names = [f"use_case_{number:03d}" for number in range(size.use_cases)]
    tables: dict[Table, list[Row]] = {table: [] for table in (cycles, handovers, receipts, loops, verdicts)}
    for number in range(size.cycles):
        _cycle(tables, names[number % len(names)], number, size)
    tables[contracts] = [
        {"use_case": name, "hash": "0" * 64, "decision": "signed", "decided_at": NOW, "first_seen": NOW,
         "body": {"business_metrics": [{"maturity_days": MATURITY_DAYS}]}}
        for name in names
    ]  # fmt: skip
    with store.write() as db:
        for table, rows in tables.items():
            for part in batched(rows, 5_000):
                db.execute(insert(table), part)
        for part in batched(_log(names, size), 20_000):
            db.execute(insert(predictions), [one for one, _ in part])
            db.execute(insert(outcomes), [other for _, other in part])
    # as the database does by itself after so many rows
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.exec_driver_sql("VACUUM ANALYZE" if db.dialect.name == "postgresql" else "ANALYZE")


def batched(rows: Iterable[One], number: int) -> Iterator[list[One]]:
    """The rows, so many at a time."""
    rest = iter(rows)
    while part := list(islice(rest, number)):
        yield part


def _cycle(tables: dict[Table, list[Row]], name: str, number: int, size: Size) -> None:
    at = NOW - timedelta(minutes=30 * (size.cycles - number))
    cycle_id, newest = f"c{number:05d}-{at:%Y-%m-%d}", number >= size.cycles - size.use_cases
    of = {"use_case": name, "cycle_id": cycle_id}
    tables[cycles].append({
        **of, "number": number, "origin": cycle_id, "started_by": "loop/x", "reason": "the metric fell " * 10,
        "state": "active" if newest else "closed", "as_of": at, "opened_at": at, "changed_at": at,
    })  # fmt: skip
    for minute, (stage, receiver) in enumerate(STAGES):
        message, then = f"{name}|{cycle_id}|{stage}|1", at + timedelta(minutes=minute)
        tables[handovers].append({
            **of, "id": message, "stage": stage, "attempt": 1, "run_id": "run", "output": "output", "created_at": then,
            "body": {"attempt": 1, "summary": {"text": DOCUMENT[:1000]}}, "document": DOCUMENT,
        })  # fmt: skip
        if receiver:
            tables[receipts].append(
                {"message_id": message, "role": receiver, "run_id": "run", "received_at": then + timedelta(seconds=3)}
            )  # fmt: skip
    for edge, state in ((Edge.MONITORING_TO_DATA_ENGINEERING, "closed"), (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, "refused")):  # fmt: skip
        tables[loops].append({
            **of, "id": f"{name}|{cycle_id}|{edge}|1", "edge": edge, "reason": Reason.BUSINESS_METRIC_FELL, "as_of": at,
            "body": {"attempt": 1, "text": DOCUMENT[:500]}, "created_at": at, "state": state, "helped": number % 3 > 0,
            "decision": "hop 1 of 4", "document": DOCUMENT[:1000],
        })  # fmt: skip
    for hour in range(4):
        tables[verdicts].append({
            **of, "metric": "uplift", "release": number, "as_of": at + timedelta(hours=hour), "verdict": "healthy",
            "threshold": 0.0, "periods": 3, "text": "a mean of 0.31 within 0.2 and 0.4 " * 3, "created_at": at,
        })  # fmt: skip


def _log(names: list[str], size: Size) -> Iterator[tuple[Row, Row]]:
    step = timedelta(days=200) / size.outcomes
    for number, prediction in enumerate(new_ids(size.outcomes)):
        at = NOW - timedelta(days=200) + number * step
        name = names[number % len(names)]
        yield (
            {"id": prediction, "use_case": name, "release": 1, "entity": f"e{number % 500}", "known": True,
             "value": 1.0, "period": at, "as_of": at, "created_at": at, "arm": "champion"},
            {"prediction_id": prediction, "value": 1.5, "observed_at": at, "created_at": at, "logged_at": at,
             "use_case": name},
        )  # fmt: skip


BENCHMARK = Benchmark(
    "exporter", {"scrapes": scrapes}, {"scrape_ms": 200}, Size(500, 20_000), Size(10_000, 1_000_000),
    ("sqlalchemy", "psycopg", "prometheus-client"),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
