"""The plant's database: machines, shifts and failures, as far as they are known at a time.

On SQLite beside the embedded stack, on PostgreSQL in production: the tables are the same, and so is the query over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    select,
)

from include.kreislauf.simulation.plant import SENSORS, SHIFT, TYPES, WINDOW_SHIFTS, Plant

PLANT = MetaData()
MACHINES = Table(
    "machines", PLANT,
    Column("machine", Text, primary_key=True),
    Column("machine_number", Integer, nullable=False),
    Column("machine_type", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("commissioned", DateTime(timezone=True), nullable=False),
)  # fmt: skip
SHIFTS = Table(
    "shifts", PLANT,
    Column("machine", ForeignKey(MACHINES.c.machine), primary_key=True),
    Column("shift_start", DateTime(timezone=True), primary_key=True),
    Column("shift_end", DateTime(timezone=True), nullable=False, index=True),
    Column("shift_number", Integer, nullable=False, index=True),
    # end of the time in which a failure counts for the shift: both databases add days in ways of their own
    Column("window_end", DateTime(timezone=True), nullable=False),
    Column("age_days", Float, nullable=False),
    Column("hours_since_maintenance", Float, nullable=False),
    Column("load", Float, nullable=False),
    *(Column(name, Float) for name in SENSORS),
)  # fmt: skip
FAILURES = Table(
    "failures", PLANT,
    Column("machine", ForeignKey(MACHINES.c.machine), primary_key=True),
    Column("failed_at", DateTime(timezone=True), primary_key=True),
)  # fmt: skip
Row = dict[str, Any]


def grow(plant: Plant, engine: Engine, now: datetime) -> None:
    """Write down what has happened since the last time, up to ``now``: whole shifts, and the machines in them.

    The same call twice writes nothing twice.
    """
    PLANT.create_all(engine)
    with engine.begin() as connection:
        last = connection.scalar(select(func.max(SHIFTS.c.shift_number)))
        first, end = 0 if last is None else last + 1, plant.over_by(now)
        known = set(connection.scalars(select(MACHINES.c.machine)))
        _write(connection, MACHINES, [row for row in _machines(plant, end) if row["machine"] not in known])
        _write(connection, SHIFTS, [row for shift in range(first, end) for row in shift_rows(plant, shift)])
        _write(connection, FAILURES, [row for shift in range(first, end) for row in _failures(plant, shift)])


def shift_rows(plant: Plant, shift: int) -> Iterator[Row]:
    """The rows of every machine that works in a shift."""
    machines, shifts = plant.machines, plant.shifts
    start = plant.starts(shift)
    days = machines.age + (shift - machines.first_shift) * (SHIFT / timedelta(days=1))
    sensors = np.where(np.isnan(shifts.sensors[shift]), None, shifts.sensors[shift])
    for number in np.flatnonzero(plant.works(shift)).tolist():
        yield {
            "machine": plant.names[number], "shift_start": start, "shift_end": start + SHIFT, "shift_number": shift,
            "window_end": start + (1 + WINDOW_SHIFTS) * SHIFT, "age_days": round(float(days[number]), 2),
            "hours_since_maintenance": float(shifts.since_maintenance[shift, number]),
            "load": round(float(shifts.load[shift, number]), 3),
            **dict(zip(SENSORS, sensors[number].tolist(), strict=True)),
        }  # fmt: skip


def line_of(plant: Plant, number: int) -> str:
    """Name of the line in which a machine stands."""
    return f"line {plant.machines.lines[number] + 1}"


def type_of(plant: Plant, number: int) -> str:
    """Type of a machine."""
    return TYPES[plant.machines.types[number]]


def _machines(plant: Plant, end: int) -> Iterator[Row]:
    """Those that work in the last shift that is over."""
    for number in np.flatnonzero(plant.works(end - 1)).tolist() if end else ():
        began = plant.starts(int(plant.machines.first_shift[number]))
        yield {
            "machine": plant.names[number], "machine_number": number, "machine_type": type_of(plant, number),
            "line": line_of(plant, number), "commissioned": began - timedelta(days=float(plant.machines.age[number])),
        }  # fmt: skip


def _failures(plant: Plant, shift: int) -> Iterator[Row]:
    part = plant.shifts.failed[shift]
    for number in np.flatnonzero(np.isfinite(part)).tolist():
        yield {
            "machine": plant.names[number],
            "failed_at": plant.starts(shift) + float(part[number]) * SHIFT,
        }


def _write(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)
