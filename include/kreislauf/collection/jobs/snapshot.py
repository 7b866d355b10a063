"""A snapshot of the advertisements that a job board shows now: numbers per technology, no texts.

Job boards answer with how many advertisements a search finds. They look for words without regard to capitals, so terms
that need them (Go, R) are not asked for; nor can phrases be excluded. The past cannot be had: a snapshot stands for
the period that has just ended, and is refused when the board's own clock says that another one has ended since.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from include.kreislauf.collection.source import TOTAL, Count, Reading, Unit
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.catalogue import Technology

GRACE = timedelta(days=31)
"""So long after the end of a period a snapshot still stands for it."""
MAX_DAYS = 100
"""Advertisements older than that cannot be told apart at the Bundesagentur für Arbeit; Adzuna is asked alike."""


class Found(NamedTuple):
    """How many advertisements a search found, and when, by the board's clock (if it says so)."""

    number: int
    at: datetime | None


class JobBoard(Protocol):
    """Where advertisements are counted.

    Parameters
    ----------
    name: who it is, for messages.
    terms: so many terms of a technology are asked for; the largest number counts.
    requests: so many requests are allowed in a day; 0: as many as needed.
    seconds: how long a request takes, about, with the pause that the board asks for.
    """

    name: str
    terms: int
    requests: int
    seconds: float

    def count(self, term: str, days: int) -> Found:
        """Advertisements published in the last days that hold a term; an empty term: all of them.

        Raises
        ------
        SourceError: the board cannot be asked.
        """


class Snapshots:
    """Takes snapshots of a job board.

    Parameters
    ----------
    adopted: names of the technologies that are counted under their terms, see
        :class:`~include.kreislauf.collection.sources.job_ads.JobAds`.
    """

    def __init__(self, board: JobBoard, technologies: Sequence[Technology], adopted: frozenset[str]) -> None:
        self._board, self._technologies, self._adopted = board, technologies, adopted
        self._searched = {one.name: searched(one, board.terms) for one in technologies}
        self._shown: datetime | None = None

    def take(self, unit: Unit) -> Reading:
        """Count every technology's advertisements, and all; ``read`` are the searches. The past is missing.

        Raises
        ------
        SourceError: the board cannot be asked, or not often enough in a day.
        """
        self._check()
        reading, days = Reading(unit), min((unit.end - unit.start).days, MAX_DAYS)
        total = self._shown_now(unit, days)
        if total is None:
            reading.missing = f"{self._board.name} shows the advertisements of {self._shown:%Y-%m-%d} only"
            return reading
        reading.counts.append(Count(TOTAL, "", "ads", total))
        for one in self._technologies:
            numbers = {term: self._board.count(term, days).number for term in self._searched[one.name]}
            reading.counts += self._counts(one, numbers)
        reading.read = reading.kept = 1 + self._number_of_terms
        return reading

    @property
    def weight(self) -> float:
        """How long a snapshot takes, see ``Unit``: 1 is 15 s."""
        return max(self._board.seconds * (1 + self._number_of_terms) / 15, 0.1)

    @property
    def _number_of_terms(self) -> int:
        return sum(map(len, self._searched.values()))

    def _shown_now(self, unit: Unit, days: int) -> int | None:
        """All advertisements; ``None`` where the board shows those of another time. It is asked once for that."""
        if self._is_past(unit):
            return None
        number, self._shown = self._board.count("", days)
        return None if self._is_past(unit) else number

    def _is_past(self, unit: Unit) -> bool:
        """Whether the board showed that the unit's time is not the one that has just ended."""
        return self._shown is not None and not timedelta(0) <= self._shown - unit.end <= GRACE

    def _counts(self, technology: Technology, numbers: dict[str, int]) -> list[Count]:
        if technology.name in self._adopted:
            return [Count("term", term.lower(), "ads", number) for term, number in numbers.items()]
        return [Count("technology_term", technology.name, "ads", max(numbers.values()))] if numbers else []

    def _check(self) -> None:
        allowed, needed = self._board.requests, 1 + self._number_of_terms
        if allowed and needed > allowed:
            raise SourceError(
                f"a snapshot needs {needed} searches", where=self._board.name, allowed=f"{allowed} in a day",
                next_step="give fewer technologies terms, or use another provider",
            )  # fmt: skip


def searched(technology: Technology, most: int) -> list[str]:
    """The terms of a technology that a job board can be asked for; none: it cannot be counted there."""
    return [term.text for term in technology.terms if not term.exact_case][:most]
