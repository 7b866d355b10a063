"""How large the workflow store is, and how many predictions are too young for an outcome that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, literal, select, text, union_all

from include.kreislauf.exporting import metrics
from include.kreislauf.exporting.metrics import Sheet
from include.kreislauf.store import contracts
from include.kreislauf.store.schema import metadata, predictions

MOST_SELECTS = 100
"""Selects of one query: SQLite takes 500."""

Maturity = Callable[[Connection, str, str], timedelta | None]


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


def read_maturing(db: Connection, sheet: Sheet, now: datetime, maturity: Maturity) -> None:
    """Count the predictions younger than their contract's maturity, in the store's index.

    Parameters
    ----------
    maturity: of the contract with a hash; ``None``: no metric of it waits.
    """
    signed = contracts.signed_hashes(db)
    since = {name: now - wait for name, hash_ in signed.items() if (wait := maturity(db, name, hash_))}
    names = sorted(since)
    for start in range(0, len(names), MOST_SELECTS):
        parts = (_younger(name, since[name]) for name in names[start : start + MOST_SELECTS])
        for name, count in db.execute(union_all(*parts)):
            sheet.put(metrics.MATURING, count, name)


def _younger(name: str, since: datetime) -> Any:
    where = (predictions.c.use_case == name, predictions.c.as_of > since)
    return select(literal(name), func.count()).select_from(predictions).where(*where)


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


def _days(body: dict[str, Any]) -> Iterator[float]:
    for metric in body.get("business_metrics", ()):
        if isinstance(days := metric.get("maturity_days"), int | float):
            yield float(days)
