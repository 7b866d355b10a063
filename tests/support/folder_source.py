"""A counted source over a folder of small text files, for tests of what is the same for every source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from include.kreislauf.collection.source import TOTAL, Count, CountedSource, Reading, Unit
from include.kreislauf.errors import SourceError
from include.kreislauf.periods import shift
from include.kreislauf.requirements.catalogue import Technology, Term
from include.kreislauf.requirements.sources import CountColumn, StackOverflowSource

TECHNOLOGIES = tuple(
    Technology(name=name, kind="language", tags=(name,), terms=(Term(text=name),))
    for name in ("ada", "basic", "cobol")
)


def config(**fields: Any) -> StackOverflowSource:
    """The contract's part: questions by tag, as share and as count."""
    columns = {
        "share": CountColumn(measure="questions", by="tag"),
        "count": CountColumn(measure="questions", by="tag", show="count"),
    }
    own = {"kind": "stackoverflow", "name": "folder", "since": date(2015, 1, 1), "columns": columns}
    return StackOverflowSource(**{**own, **fields})


class FolderSource(CountedSource[StackOverflowSource]):
    """One JSON file per month: ``2015-01.json`` with the questions of each tag."""

    kind = "folder"

    def __init__(
        self,
        folder: Path,
        technologies: Sequence[Technology] = TECHNOLOGIES,
        revision: str = "1",
        **fields: Any,
    ) -> None:
        self.revision = revision
        super().__init__(config(**fields), technologies, period="quarter", access=None, max_bad_lines=0.01)
        self.folder, self.reads = folder, list[str]()

    def units(self, start: datetime, end: datetime) -> Iterable[Unit]:
        """Every month that ended before ``end``."""
        month = start
        while (following := shift(month, "month", 1)) <= end:
            yield Unit(id=f"{month:%Y-%m}", start=month, end=following, revision=self.revision)
            month = following

    def read(self, unit: Unit) -> Reading:
        """A file that is not there is missing; ``busy`` and ``broken`` in it are what a server may say."""
        self.reads.append(unit.id)
        path = self.folder / f"{unit.id}.json"
        if not path.exists():
            return Reading(unit, missing="no such file")
        text = path.read_text()
        if text in ("busy", "broken"):
            raise SourceError(f"is {text}", where=str(path), transient=text == "busy")
        counts = json.loads(text)
        reading = Reading(unit, read=sum(counts.values()), kept=sum(counts.values()))
        reading.counts = [Count("tag", tag, "questions", number) for tag, number in counts.items()]
        reading.counts.append(Count(TOTAL, "", "questions", reading.kept))
        return reading

    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """Its tags."""
        return technology.tags if by == "tag" else ()


def write_months(
    folder: Path, months: Mapping[str, Mapping[str, int]] | Iterable[str], **counts: int
) -> None:
    """Write files, each with its own counts or all with the same."""
    folder.mkdir(parents=True, exist_ok=True)
    given = months if isinstance(months, Mapping) else dict.fromkeys(months, counts)
    for month, numbers in given.items():
        (folder / f"{month}.json").write_text(json.dumps(numbers))


def months_of(*years: int) -> list[str]:
    """``2015-01`` and so on."""
    return [f"{year}-{month:02d}" for year in years for month in range(1, 13)]


def at(text: str) -> datetime:
    """A day as a moment, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
