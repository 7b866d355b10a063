"""The append-only table of one source's counts: which units were read, and what they gave.

One commit holds whole units, their counts together with their account (lines read, kept, ignored, quarantined), so a
unit is in the table completely or not at all. Rows carry the time at which they were observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pds

from include.kreislauf.collection.crash_points import crash_point
from include.kreislauf.collection.source import Reading, Unit
from include.kreislauf.store.tables import Snapshot, Tables

ACCOUNT = "account"
FACT = "fact"
WARNING = "warning"
MISSING = "missing"
GRACE = timedelta(days=7)
"""How long after its time a collection may still count as made at that time: retries, and a person's sign-off."""

_TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema([
    ("period", pa.string()), ("unit", pa.string()), ("revision", pa.string()), ("start", _TIME), ("end", _TIME),
    ("observed_at", _TIME), ("by", pa.string()), ("subject", pa.string()), ("measure", pa.string()),
    ("value", pa.int64()),
])  # fmt: skip
"""One count, or one line of a unit's account; ``period`` is the month in which the unit begins."""


class CountTable:
    """The counts of one source of one use case."""

    def __init__(self, tables: Tables, source: str) -> None:
        self.tables, self.name = tables, f"counts_{source}"

    def version(self) -> str | None:
        """The newest version, if there is any; a table of many small files is put together first."""
        return self.tables.compact(self.name)

    def known(self) -> pd.DataFrame:
        """Every observation of a unit: columns unit, revision, observed_at, missing (bool)."""
        snapshot = self.tables.snapshot(self.name)
        if snapshot is None:
            return pd.DataFrame({name: [] for name in ("unit", "revision", "observed_at", "missing")})
        return _observations(snapshot)

    def append(self, readings: Iterable[tuple[Reading, datetime]]) -> str:
        """Add what units gave, each with the time of its observation; what is there already is not added again."""
        given = list(readings)

        def still_new(snapshot: Snapshot) -> pa.Table:
            there, gone = _keys(_observations(snapshot))
            new = [one for one in given if not _is_there(*one, there, gone)]
            return pa.Table.from_pylist([row for one in new for row in _rows(*one)], SCHEMA)

        crash_point("before the append")
        version = self.tables.append(self.name, still_new, SCHEMA, ["period"])
        crash_point("after the append")
        return version

    def rows(self, version: str, as_of: datetime, by: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows of a version that had been observed at a time, of some kinds of subject only where named."""
        snapshot = self.tables.snapshot(self.name, int(version.partition("@")[2]))
        if snapshot is None:
            return pd.DataFrame({name: [] for name in SCHEMA.names})
        where = pds.field("observed_at") <= pa.scalar(as_of, _TIME)
        if by is not None:
            where &= pds.field("by").isin(list(by))
        found: pd.DataFrame = snapshot.rows(where).to_pandas()
        return found


def observation_time(
    reading: Reading, as_of: datetime, now: datetime, *, revisable: bool, delay: timedelta, late: bool
) -> datetime:
    """When a reading counts as observed.

    What is counted anew with every request (``revisable``) is known from the request on: that is the collection's
    ``as_of``, or ``now`` where the collection runs long after the time it is made for. What never changes is known
    once its delay has passed, however much later it is read, unless it was missing when it was looked for (``late``).
    """
    asked = asked_at(as_of, now)
    if reading.observed_at is not None:
        return min(reading.observed_at, asked)
    if revisable or late or reading.missing:
        return asked
    return min(reading.unit.end + delay, asked)


def asked_at(as_of: datetime, now: datetime) -> datetime:
    """The time at which a collection's own requests count as made."""
    return now if now - as_of > GRACE else as_of


def wanted(
    units: Iterable[Unit], known: pd.DataFrame, as_of: datetime, revisit_from: datetime | None
) -> list[Unit]:
    """The units that have to be read: never read, missing whenever they were looked for, or to be counted again.

    Parameters
    ----------
    known: observations, see :meth:`CountTable.known`.
    revisit_from: units that end after this time are counted again, once for each ``as_of``; ``None``: none are.
    """
    seen = known[known["observed_at"] <= pd.Timestamp(as_of)] if len(known) else known
    latest = {
        (unit, revision): (at, missing)
        for unit, revision, at, missing in zip(
            seen["unit"], seen["revision"], seen["observed_at"], seen["missing"], strict=True
        )
    }  # observations come in the order of their time: the last one stays
    return [one for one in units if _is_wanted(one, latest.get((one.id, one.revision)), as_of, revisit_from)]


def _is_wanted(
    unit: Unit, latest: tuple[pd.Timestamp, bool] | None, as_of: datetime, revisit_from: datetime | None
) -> bool:
    if latest is None:
        return True
    at, missing = latest
    again = revisit_from is not None and unit.end > revisit_from
    return missing or (again and at < pd.Timestamp(as_of))


def _observations(snapshot: Snapshot) -> pd.DataFrame:
    columns = ["unit", "revision", "observed_at", "measure"]
    where = (pds.field("by") == ACCOUNT) & pds.field("measure").isin(["read", MISSING])
    found: pd.DataFrame = snapshot.rows(where, columns).to_pandas()
    rows = found.sort_values(["observed_at", "measure"], kind="stable")
    rows["missing"] = rows.pop("measure").eq(MISSING)
    return rows


def _keys(observations: pd.DataFrame) -> tuple[set[tuple[str, str, datetime]], set[tuple[str, str]]]:
    """Observations that gave something, and units that were missing once."""
    missing = observations["missing"].astype(bool)
    found, gone = observations[~missing], observations[missing]
    times = found["observed_at"].dt.to_pydatetime()
    return (
        set(zip(found["unit"], found["revision"], times, strict=True)),
        set(zip(gone["unit"], gone["revision"], strict=True)),
    )


def _is_there(reading: Reading, observed_at: datetime, there: set[Any], gone: set[Any]) -> bool:
    """A count is added once for each time; that something is missing is written down once."""
    key = (reading.unit.id, reading.unit.revision)
    return key in gone if reading.missing else (*key, observed_at) in there


def _rows(reading: Reading, observed_at: datetime) -> Iterator[dict[str, Any]]:
    unit = reading.unit
    own = {
        "period": f"{unit.start.astimezone(UTC):%Y-%m}", "unit": unit.id, "revision": unit.revision,
        "start": unit.start, "end": unit.end, "observed_at": observed_at,
    }  # fmt: skip
    for by, subject, measure, value in (*_account(reading), *reading.counts):
        yield {**own, "by": by, "subject": subject, "measure": measure, "value": value}


def _account(reading: Reading) -> Iterator[tuple[str, str, str, int]]:
    if reading.missing:
        yield ACCOUNT, reading.missing, MISSING, 1
        return
    yield ACCOUNT, "", "read", reading.read
    yield ACCOUNT, "", "kept", reading.kept
    for why, number in reading.ignored.items():
        yield ACCOUNT, why, "ignored", number
    yield ACCOUNT, "", "quarantined", reading.quarantined
    for fault in reading.faults:
        yield ACCOUNT, f"line {fault.line}: {fault.why}: {fault.shown}", "fault", 1
    for name, number in reading.facts.items():
        yield ACCOUNT, name, FACT, number
    for text in reading.warnings:
        yield ACCOUNT, text, WARNING, 1
