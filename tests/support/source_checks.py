"""What holds for every counted source: checked on one example of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.access_rules import AccessRules
from include.kreislauf.collection.source import TOTAL, CountedSource, Reading, Unit
from include.kreislauf.requirements.catalogue import Technology, Term
from tests.support.folder_source import at

TECHNOLOGIES = (
    Technology(name="python", kind="language", languages=("Python",), repositories=("python/cpython",),
               tags=("python",), terms=(Term(text="Python"),)),
    Technology(name="go", kind="language", languages=("Go",), repositories=("golang/go",), tags=("go",),
               terms=(Term(text="Go", exact_case=True),)),
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A source of which it is known what it holds.

    Parameters
    ----------
    start, end: days between which there is something to read.
    counted: some sums over all units: (by, subject, measure) -> number.
    """

    source: CountedSource[Any]
    start: str
    end: str
    counted: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def units(self) -> list[Unit]:
        """All units of the example."""
        return list(self.source.units(at(self.start), at(self.end)))

    def readings(self) -> list[Reading]:
        """All units, read."""
        return [self.source.read(unit) for unit in self.units()]


def local_access(**rules: Any) -> Access:
    """The way to local files."""
    return Access(AccessRules(**rules))


def check_units(example: Example) -> None:
    """Units lie within the time, in its order, each once; a shorter time has fewer of them, and no others."""
    units = example.units()
    assert units
    assert len({one.id for one in units}) == len(units)
    assert all(at(example.start) <= one.start <= one.end <= at(example.end) for one in units)
    parts = [one for one in units if not one.snapshot]
    assert [one.end for one in parts] == sorted(one.end for one in parts)
    assert all(Unit.model_validate_json(one.model_dump_json()) == one for one in units)
    middle = units[len(parts) // 2].end
    earlier = [one for one in example.source.units(at(example.start), middle) if not one.snapshot]
    assert earlier == [one for one in parts if one.end <= middle]
    assert [
        one for one in example.source.units(at(example.start), at(example.start)) if not one.snapshot
    ] == []


def check_readings(example: Example) -> None:
    """Every line is accounted for, every count is positive and has a total, and reading again gives the same."""
    readings = example.readings()
    assert any(reading.kept for reading in readings)
    for reading, again in zip(readings, example.readings(), strict=True):
        assert reading.read == reading.kept + reading.ignored.total() + reading.quarantined
        assert sorted(reading.counts) == sorted(again.counts)
        keys = [(one.by, one.subject, one.measure) for one in reading.counts]
        assert len(set(keys)) == len(keys)
        assert all(isinstance(one.value, int) and one.value >= 0 for one in reading.counts)
    measures = {column.measure for column in example.source.config.columns.values()}
    assert measures <= {one.measure for reading in readings for one in reading.counts if one.by == TOTAL}


def check_counts(example: Example) -> None:
    """The sums are those that the example knows of."""
    sums: dict[tuple[str, str, str], int] = {}
    for reading in example.readings():
        for one in reading.counts:
            key = (one.by, one.subject, one.measure)
            sums[key] = sums.get(key, 0) + one.value
    assert example.counted
    assert {key: sums.get(key) for key in example.counted} == dict(example.counted)


def check_names(example: Example) -> None:
    """The columns' names lead to what was counted; a technology without names in the source has none."""
    for column in example.source.config.columns.values():
        found = {name for one in TECHNOLOGIES for name in example.source.names(one, column.by)}
        counted = {one.subject for reading in example.readings() for one in reading.counts}
        assert found & counted
    nameless = Technology(name="nameless", kind="web")
    assert list(example.source.names(nameless, "repository")) == []


def check_missing(example: Example) -> None:
    """A time of which the source has nothing is missing, or empty: never an error, and never a count."""
    unit = example.units()[0]
    long_ago = timedelta(days=365 * 40)
    absent = unit.model_copy(
        update={"start": unit.start - long_ago, "end": unit.end - long_ago, "id": _earlier(unit.id)}
    )
    reading = example.source.read(absent)
    assert reading.missing or not any(one.value for one in reading.counts if one.by != TOTAL)


def _earlier(name: str) -> str:
    """The name of a unit, forty years before."""
    year = str(datetime.strptime(name[:4], "%Y").year - 40)  # noqa: DTZ007 - only its year
    return year + name[4:]
