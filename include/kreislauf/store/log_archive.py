"""Retention of the prediction log: old days go to Parquet files and leave the store; what is rolled up stays.

The files lie under ``use_case=…/day=…/`` (Hive partitions, which DuckDB, Polars and Spark read as one table). A file is
verified and recorded before the first of its rows is deleted, and an interrupted deletion is taken up by the next run.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from include.kreislauf.errors import StoreError
from include.kreislauf.store.database import Store
from include.kreislauf.store.disk import fsync_folder
from include.kreislauf.store.observations import covered_days
from include.kreislauf.store.rollup import counts_of, in_day, replace_counts
from include.kreislauf.store.schema import (
    log_archives,
    log_counts,
    log_days,
    log_newest,
    outcome_conflicts,
    outcomes,
    predictions,
    shadow_predictions,
)

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_DELETION = 1_000
"""So many rows leave in one transaction: writers wait some milliseconds for it, not seconds."""


@dataclass(frozen=True)
class Archive:
    """One file of one day."""

    use_case: str
    day: str
    file: str
    rows: int
    sha256: str

    def path(self, folder: Path) -> Path:
        """Where it lies under the folder of all archives."""
        return folder / f"use_case={self.use_case}" / f"day={self.day}" / self.file


def archive(store: Store, use_case: str, before: datetime, folder: Path, now: datetime) -> list[Archive]:
    """Bring covered days that ended by a time to files, and delete their rows; returns what was archived.

    Raises
    ------
    StoreError: a file does not hold what was written to it; nothing of its day was deleted.
    """
    for unfinished in _unfinished(store, use_case):
        _delete(store, unfinished, folder, now)
    with store.read() as db:
        days = [day for day in covered_days(db, use_case, before) if _has_rows(db, use_case, day)]
    return [one for day in days if (one := _export(store, use_case, day, folder, now))]


def archives_of(db: Connection, use_case: str) -> list[Archive]:
    """All files of a use case, oldest day first."""
    query = select(*log_archives.c[tuple(Archive.__dataclass_fields__)])
    ordered = query.where(log_archives.c.use_case == use_case).order_by(
        log_archives.c.day, log_archives.c.file
    )
    return [Archive(**row._mapping) for row in db.execute(ordered)]


def read_archive(path: Path, expected: str) -> pa.Table:
    """The rows of a file.

    Raises
    ------
    StoreError: the file is missing, or not what was archived.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the archive cannot be read: {error}", where=str(path)) from error
    if (found := sha256(data).hexdigest()) != expected:
        raise StoreError(
            f"the archive has changed: its SHA-256 is {found}", where=str(path), allowed=expected,
            next_step="restore the file from a backup; the store keeps what was rolled up",
        )  # fmt: skip
    return pq.ParquetFile(pa.BufferReader(data)).read()


def _export(store: Store, use_case: str, day: str, folder: Path, now: datetime) -> Archive | None:
    with store.read() as db:
        table = _table(db, use_case, day)
    made = _write(table, use_case, day, folder)
    with store.write() as db:
        own = (log_days.c.use_case == use_case, log_days.c.day == day)
        state = db.execute(select(log_days.c.rolled, log_days.c.revision).where(*own).with_for_update()).one()
        if state.rolled != state.revision:  # a row came late: first it must be rolled up
            return None
        counts = [{**row, "part": made.file} for row in counts_of(db, use_case, day)]
        if sum(row["rows"] for row in counts) != made.rows:
            return None
        db.execute(insert(log_archives), {**vars(made), "created_at": now})
        replace_counts(db, use_case, day, [])
        db.execute(insert(log_counts), counts)
    _delete(store, made, folder, now)
    return made


def _table(db: Connection, use_case: str, day: str) -> pa.Table:
    import pyarrow as pa

    joined = predictions.outerjoin(outcomes, outcomes.c.prediction_id == predictions.c.id)
    columns = (*predictions.c, outcomes.c.value.label("outcome"), outcomes.c.observed_at)
    query = select(*columns).select_from(joined).where(*in_day(use_case, day)).order_by(predictions.c.id)
    unseen = select(*shadow_predictions.c["prediction_id", "release", "value"]).join(
        predictions, predictions.c.id == shadow_predictions.c.prediction_id
    )
    shadows: defaultdict[str, dict[str, float | None]] = defaultdict(dict)
    for row in db.execute(unseen.where(*in_day(use_case, day))):
        shadows[row.prediction_id][str(row.release)] = row.value
    rows = [
        {**row._mapping, "shadows": json.dumps(shadows[row.id]) if row.id in shadows else None}
        for row in db.execute(query)
    ]
    time = pa.timestamp("us", "UTC")
    kinds = {"release": pa.int32(), "known": pa.bool_()} | dict.fromkeys(
        ("value", "low", "high", "outcome"), pa.float64()
    )
    kinds |= dict.fromkeys(("period", "as_of", "created_at", "observed_at"), time)
    names = [*(one.name for one in columns), "shadows"]
    # the folders' names carry use case and day
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names if name != "use_case"])
    return pa.Table.from_pylist(rows, schema)


def _write(table: pa.Table, use_case: str, day: str, folder: Path) -> Archive:
    """Write a file whose name is its content's: what was interrupted before leaves no second one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    digest = sha256(data).hexdigest()
    made = Archive(use_case, day, f"{digest[:32]}.parquet", table.num_rows, digest)
    path = made.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_folder(path.parent)
    if not read_archive(path, digest).equals(table):
        raise StoreError("the archive does not hold what was written to it", where=str(path))
    return made


def _delete(store: Store, one: Archive, folder: Path, now: datetime) -> None:
    """Delete the rows of a file, and their outcomes but those of what is rolled up."""
    ids = read_archive(one.path(folder), one.sha256).column("id").to_pylist()
    for start in range(0, len(ids), ROWS_PER_DELETION):
        part = ids[start : start + ROWS_PER_DELETION]
        with store.write() as db:
            kept = set(db.scalars(select(log_newest.c.id).where(log_newest.c.id.in_(part))))
            gone = [row for row in part if row not in kept]
            db.execute(delete(outcomes).where(outcomes.c.prediction_id.in_(gone)))
            db.execute(delete(outcome_conflicts).where(outcome_conflicts.c.prediction_id.in_(gone)))
            db.execute(delete(shadow_predictions).where(shadow_predictions.c.prediction_id.in_(part)))
            db.execute(delete(predictions).where(predictions.c.id.in_(part)))
    with store.write() as db:
        own = (log_archives.c.use_case == one.use_case, log_archives.c.day == one.day)
        db.execute(update(log_archives).where(*own, log_archives.c.file == one.file).values(deleted_at=now))


def _unfinished(store: Store, use_case: str) -> list[Archive]:
    with store.read() as db:
        where = (log_archives.c.use_case == use_case, log_archives.c.deleted_at.is_(None))
        files = set(db.scalars(select(log_archives.c.file).where(*where)))
        return [one for one in archives_of(db, use_case) if one.file in files]


def _has_rows(db: Connection, use_case: str, day: str) -> bool:
    found: Any = db.execute(select(predictions.c.id).where(*in_day(use_case, day)).limit(1)).first()
    return found is not None
