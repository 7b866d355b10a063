"""Gathering: what a collection still has to read, and reading it, a few units at a time.

Reading is mapped over Airflow's workers in chunks; whatever they leave undone, the collection's end reads itself. So a
chunk that was killed, or never started, costs time and nothing else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from include.kreislauf.collection.counts import CountTable, asked_at, observation_time, wanted
from include.kreislauf.collection.coverage import REJECTED
from include.kreislauf.collection.crash_points import crash_point
from include.kreislauf.collection.source import CountedSource, Reading, Unit
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Frozen
from include.kreislauf.periods import shift, start_of
from include.kreislauf.store.tables import Tables

log = logging.getLogger(__name__)

CHUNK_WEIGHT = 8.0
"""Weight of the units that one task reads: about two minutes of GH Archive."""
COMMIT_WEIGHT = 4.0
"""Weight of the units after which what was read is kept: a kill costs no more than that."""
SAME_AGE = timedelta(days=1)
HOPELESS = 3
"""After so many units in a row that failed for the same reason, a source is given up."""


MOST_CHUNKS = 500
"""Airflow maps a task 1,024 times at the most; a long backfill has larger portions instead."""


class Chunk(Frozen):
    """Units of one source, by their ids, that are read by one task."""

    source: str
    units: tuple[str, ...]


class Gathering:
    """The reading of counted sources up to one time.

    Parameters
    ----------
    as_of: nothing that ended (plus the source's delay) after it is read.
    now: the clock, for counts that change with every request; equal to ``as_of`` in a replay.
    say: receives a line of progress now and then.
    """

    def __init__(
        self, sources: dict[str, CountedSource[Any]], tables: Tables, *, as_of: datetime, now: datetime,
        say: Callable[[str], None] = log.info,
    ) -> None:  # fmt: skip
        self.sources, self.tables, self.as_of, self.now, self._say = sources, tables, as_of, now, say
        self._units: dict[str, list[Unit]] = {}

    def units(self, name: str) -> list[Unit]:
        """Every unit of a source up to ``as_of``, whether read before or not."""
        if name not in self._units:
            source = self.sources[name]
            since = datetime.combine(source.config.since, datetime.min.time(), UTC)
            end = self.as_of - timedelta(hours=source.config.available_after_hours)
            self._units[name] = list(source.units(since, end))
        return self._units[name]

    def left(self, name: str) -> list[Unit]:
        """The units of a source that still have to be read."""
        source, known = self.sources[name], self._table(name).known()
        revisit = source.config.revisit_periods if source.revisable else 0
        period: Any = source.period
        border = shift(start_of(self.as_of, period), period, -revisit) if revisit else None
        missing = wanted(self.units(name), known, self.as_of, border)
        if any(one.total for one in missing):
            return self._with_totals(missing, self.units(name), known)
        return missing

    def _with_totals(self, missing: list[Unit], units: list[Unit], known: pd.DataFrame) -> list[Unit]:
        """Totals are counted again with what is a share of them: of counts that shrink, both must be of one age."""
        asked = pd.Timestamp(asked_at(self.as_of, self.now))
        fresh = (
            set(known.loc[(known["observed_at"] - asked).abs() <= SAME_AGE, "unit"]) if len(known) else set()
        )
        there = {one.id for one in missing} | fresh
        needed = {one.total for one in missing if one.total} - there
        return [*(one for one in units if one.id in needed), *missing]

    def chunks(self) -> list[Chunk]:
        """What is left, in portions for one task each."""
        left = {name: self.left(name) for name in self.sources}
        weight = sum(one.weight for units in left.values() for one in units)
        most = max(CHUNK_WEIGHT, weight / MOST_CHUNKS)
        made = [
            Chunk(source=name, units=tuple(one.id for one in some))
            for name, units in left.items()
            for some in _portions(units, most if self.sources[name].parallel else math.inf)
        ]
        crash_point("planned")
        return made

    def read(self, chunk: Chunk) -> None:
        """Read those units of a portion that were not read yet, and keep what they give every few units.

        Raises
        ------
        SourceError: the source cannot be reached for now (``transient``), or gives nothing usable at all. What was
            read before stays.
        """
        asked = set(chunk.units)
        self._read(chunk.source, [one for one in self.left(chunk.source) if one.id in asked])

    def _read(self, name: str, units: Sequence[Unit]) -> None:
        source, table = self.sources[name], self._table(name)
        gone = _missing(table)
        failed: list[str] = []
        done = 0
        for some in _portions(units, COMMIT_WEIGHT):
            kept: list[tuple[Reading, datetime]] = []
            try:
                for unit in some:
                    reading = _read_whole(source, unit, failed)
                    kept.append((reading, self._observed_at(source, reading, unit.id in gone)))
                    crash_point("a unit was read")
            finally:
                if kept:
                    table.append(kept)
            done += len(some)
            self._say(f"{name}: {done} of {len(units)} units read")

    def read_all(self) -> None:
        """Read everything that is left, one source after the other."""
        for name in self.sources:
            if left := self.left(name):
                self._say(f"{name}: {len(left)} of {len(self.units(name))} units are still to be read")
                self._read(name, left)
        crash_point("all units were read")

    def _table(self, name: str) -> CountTable:
        return CountTable(self.tables, name)

    def _observed_at(self, source: CountedSource[Any], reading: Reading, late: bool) -> datetime:
        delay = timedelta(hours=source.config.available_after_hours)
        return observation_time(
            reading, self.as_of, self.now, revisable=source.revisable, delay=delay, late=late
        )


def _missing(table: CountTable) -> set[str]:
    known = table.known()
    return set(known.loc[known["missing"].astype(bool), "unit"]) if len(known) else set()


def _read_whole(source: CountedSource[Any], unit: Unit, failed: list[str]) -> Reading:
    """A unit, or the reason why it is as good as missing; ``failed`` collects the reasons of units in a row."""
    try:
        reading = source.read(unit)
    except SourceError as error:
        if error.transient:
            raise
        log.warning("%s %s is left out: %s", source.config.name, unit.id, error.text)
        failed.append(error.what)
        if len(failed) >= HOPELESS and len(set(failed[-HOPELESS:])) == 1:
            raise
        return Reading(unit, missing=f"{REJECTED}{error.text}")
    failed.clear()
    return reading


def _portions(units: Sequence[Unit], weight: float) -> Iterable[list[Unit]]:
    """Units in their order, in portions of about a weight."""
    portion: list[Unit] = []
    for unit in units:
        if portion and sum(one.weight for one in portion) + unit.weight > weight:
            yield portion
            portion = []
        portion.append(unit)
    if portion:
        yield portion
