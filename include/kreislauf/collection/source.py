"""What a source is: units that are read whole or not at all, and the counts that they give.

A *unit* is the smallest piece that a source can deliver: an hour's file, a window of one tag, a month's thread. A
reading of a unit counts its lines (or items) completely: read = kept + ignored + quarantined. Nothing of a unit counts
before its end was reached.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import AwareDatetime

from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Frozen
from include.kreislauf.periods import Period
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import Counted

TOTAL = "total"
"""Subject kind of the number that shares are taken of."""
SHOWN_BYTES = 200
MAX_SHOWN_FAULTS = 20


class Unit(Frozen):
    """The smallest piece of a source that is read at once, and counted once.

    Parameters
    ----------
    id: the same for the same piece, unique within the source (such as ``2015-02-01-15``).
    start, end: the time it is about, end excluded.
    weight: how long it takes to read, about; 1 is an hour's file of GH Archive (15 s).
    revision: changes when the unit has to be read anew, because more is asked of it.
    snapshot: shows how things stand at its end, such as counts since ever; no part of any period.
    total: the unit that holds what this one is a share of, where that is another; it is counted again with this one.
    """

    id: str
    start: AwareDatetime
    end: AwareDatetime
    weight: float = 1.0
    revision: str = "1"
    snapshot: bool = False
    total: str = ""


class Count(NamedTuple):
    """So many things of one subject in one unit.

    Parameters
    ----------
    by: kind of subject: language, repository, topic, tag, term, or :data:`TOTAL`.
    subject: its name in the source; empty for a total. A technology's term is counted under the technology's
        name, with ``by`` = technology_term.
    measure: what was counted, such as stars.
    """

    by: str
    subject: str
    measure: str
    value: int


class Fault(NamedTuple):
    """A line (or item) that was set aside."""

    line: int
    why: str
    shown: str


@dataclass
class Reading:
    """What one unit gave.

    Parameters
    ----------
    read: lines or items seen; equals ``kept`` + all of ``ignored`` + ``quarantined``.
    ignored: why -> how many: sound, but not counted (a bot's event, a deleted advertisement, a repeated id).
    quarantined: lines that could not be read; ``faults`` shows the first of them.
    missing: why the unit does not exist at its source (a file that was never made); then nothing was read.
    observed_at: when it was counted, where the source itself says so (the day of a data dump); ``None``: now.
    facts: further numbers for the data sheet, such as ``language.from_event``.
    warnings: what changed in the format without breaking it.
    """

    unit: Unit
    counts: list[Count] = field(default_factory=list)
    read: int = 0
    kept: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    faults: list[Fault] = field(default_factory=list)
    missing: str = ""
    observed_at: datetime | None = None
    facts: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def quarantine(self, line: int, why: str, content: bytes) -> None:
        """Set one line aside."""
        self.quarantined += 1
        if len(self.faults) < MAX_SHOWN_FAULTS:
            self.faults.append(Fault(line, why, content[:SHOWN_BYTES].decode("utf-8", "backslashreplace")))

    def check(self, where: str, max_bad_share: float) -> None:
        """Every line is accounted for, and few enough are bad.

        Raises
        ------
        SourceError: more than ``max_bad_share`` of the lines were set aside; names file and lines.
        """
        accounted = self.kept + self.ignored.total() + self.quarantined
        if accounted != self.read:
            raise SourceError(f"{self.read} lines were read, {accounted} are accounted for", where=where)
        if self.quarantined > max_bad_share * self.read:
            lines = "; ".join(f"line {fault.line}: {fault.why}" for fault in self.faults[:3])
            raise SourceError(
                f"{self.quarantined} of {self.read} lines cannot be read ({lines})", where=where,
                allowed=f"a share of {max_bad_share:.2%} (quality.max_bad_lines)",
                next_step="have the file delivered again, or raise quality.max_bad_lines in the contract",
            )  # fmt: skip


Config = TypeVar("Config", bound=Counted)


class CountedSource(ABC, Generic[Config]):
    """A source that is counted per technology: four hooks, one file per kind.

    ``units`` says what there is to read, ``read`` reads one of them, ``names`` says which subjects of the source stand
    for a technology, ``notes`` tells the data sheet what a reader must know of this source.

    Parameters
    ----------
    config: the source's part of the contract.
    technologies: the catalogue, with the technologies that were adopted since.
    period: length of the contract's periods.
    access: how remote and local files are reached (:class:`~include.kreislauf.collection.access.Access`).
    max_bad_lines: share of the lines of one unit that may be unreadable.
    """

    kind: ClassVar[str]
    revisable: bool = False
    """Whether a count can change after it was taken: then its unit may be read again."""
    parallel: bool = True
    """Whether several tasks may read at the same time; not where a server counts and slows down its clients."""
    memory_url: str = ""
    """SQLAlchemy URL of the database in which a source may remember what it has looked up; empty: none."""
    adopted: frozenset[str] = frozenset()
    """Names of the technologies that are not in the signed catalogue, but were found and taken in."""

    def __init__(
        self,
        config: Config,
        technologies: Sequence[Technology],
        *,
        period: Period,
        access: Any,
        max_bad_lines: float,
    ) -> None:
        self.config, self.technologies, self.period = config, tuple(technologies), period
        self.access, self.max_bad_lines = access, max_bad_lines

    @abstractmethod
    def units(self, start: datetime, end: datetime) -> Iterable[Unit]:
        """Every unit that lies within a time, whether read before or not, oldest first.

        Raises
        ------
        SourceError: the source's own list cannot be had.
        """

    @abstractmethod
    def read(self, unit: Unit) -> Reading:
        """One unit, whole; a unit that does not exist at the source is ``missing``.

        Raises
        ------
        SourceError: it cannot be reached (``transient``), is damaged, or has too many bad lines.
        """

    @abstractmethod
    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """Subjects of this source, of one kind, that stand for a technology; none: the source does not know it."""

    def notes(self, facts: Counter[str]) -> list[str]:  # noqa: ARG002
        """What the data scientist must know of this source, from all facts of its readings."""
        return []
