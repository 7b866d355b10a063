"""How large the workflow store is, and how many predictions are too young for an outcome that counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, literal, select, text, union_all

from include.kreislauf.exporting import metrics
from include.kreislauf.exporting.metrics import Sheet
from include.kreislauf.store import contracts
from include.kreislauf.store.schema import metadata, predictions

MOST_SELECTS = 100
"""Selects of one query: SQLite takes 500."""

COUNTED_EVERY = timedelta(minutes=5)
"""Predictions are counted so often: the one look whose cost grows with them."""


def read_sizes(db: Connection, sheet: Sheet) -> None:
    """Write down the size of the database and of its tables."""
    size, rows = (_postgres if db.dialect.name == "postgresql" else _sqlite)(db)
    sheet.put(metrics.STORE_BYTES, size)
    for table, count in sorted(rows.items()):
        sheet.put(metrics.STORE_ROWS, count, table)


def _sqlite(db: Connection) -> tuple[float, dict[str, float]]:
    pages, page = (db.scalar(text(f"PRAGMA {name}")) or 0 for name in ("page_count", "page_size"))
    # counting would read every row; the highest row number is read off the tree
    parts = (f"SELECT '{name}', coalesce(max(rowid), 0) FROM {name}" for name in metadata.tables)  # noqa: S608 - our own names
    rows = db.execute(text(" UNION ALL ".join(parts)))
    return float(pages * page), {name: float(count) for name, count in rows}


def _postgres(db: Connection) -> tuple[float, dict[str, float]]:
    size = db.scalar(text("SELECT pg_database_size(current_database())"))
    query = text(
        "SELECT c.relname, greatest(c.reltuples, s.n_live_tup, 0) FROM pg_stat_user_tables s "
        "JOIN pg_class c ON c.oid = s.relid WHERE s.schemaname = current_schema()"
    )
    known = set(metadata.tables)
    return float(size or 0), {name: float(count) for name, count in db.execute(query) if name in known}


class Maturities:
    """The longest maturity of each version of a contract, read once: a version never changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], timedelta | None] = {}

    def __call__(self, db: Connection, use_case: str, contract_hash: str) -> timedelta | None:
        """That of the contract with a hash; ``None``: no metric of it waits for single outcomes."""
        key = (use_case, contract_hash)
        if key not in self._known:
            body = contracts.body_of(db, use_case, contract_hash) or {}
            days = max(_days(body), default=None)
            self._known[key] = timedelta(days=days) if days else None
        return self._known[key]


class Maturing:
    """Counts the predictions younger than their contract's maturity, in the store's index, and not every time."""

    def __init__(self) -> None:
        self._maturities = Maturities()
        self._counted: dict[str, int] = {}
        self._at: datetime | None = None

    def read(self, db: Connection, sheet: Sheet, now: datetime) -> None:
        """Write the counts down, as they are now or were a few minutes ago."""
        if self._at is None or not timedelta(0) <= now - self._at < COUNTED_EVERY:
            self._counted, self._at = self._count(db, now), now
        for name, count in self._counted.items():
            sheet.put(metrics.MATURING, count, name)

    def _count(self, db: Connection, now: datetime) -> dict[str, int]:
        signed = contracts.signed_hashes(db)
        waits = {name: self._maturities(db, name, hash_) for name, hash_ in sorted(signed.items())}
        since = [(name, now - wait) for name, wait in waits.items() if wait]
        found: dict[str, int] = {}
        for start in range(0, len(since), MOST_SELECTS):
            parts = (_younger(*one) for one in since[start : start + MOST_SELECTS])
            found |= {row.use_case: row.times for row in db.execute(union_all(*parts))}
        return found


def _younger(name: str, since: datetime) -> Any:
    where = (predictions.c.use_case == name, predictions.c.as_of > since)
    return (
        select(literal(name).label("use_case"), func.count().label("times"))
        .select_from(predictions)
        .where(*where)
    )


def _days(body: dict[str, Any]) -> Iterator[float]:
    for metric in body.get("business_metrics", ()):
        if isinstance(days := metric.get("maturity_days"), int | float):
            yield float(days)
