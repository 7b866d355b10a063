"""Source kind ``job_ads``: how many job advertisements name each technology.

Hacker News gives texts, month by month, back to 2011; a month's thread does not change any more once its month is over.
The Bundesagentur für Arbeit and Adzuna give the numbers of the advertisements that are open now.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from include.kreislauf.collection.jobs.adzuna import URL as ADZUNA
from include.kreislauf.collection.jobs.adzuna import Adzuna
from include.kreislauf.collection.jobs.arbeitsagentur import URL as ARBEITSAGENTUR
from include.kreislauf.collection.jobs.arbeitsagentur import Arbeitsagentur
from include.kreislauf.collection.jobs.candidates import candidate_terms
from include.kreislauf.collection.jobs.hacker_news import ALGOLIA, Algolia, Firebase
from include.kreislauf.collection.jobs.recorded import Recorded
from include.kreislauf.collection.jobs.snapshot import Snapshots, searched
from include.kreislauf.collection.jobs.terms import RULES, Matcher
from include.kreislauf.collection.jobs.text import plain_text
from include.kreislauf.collection.jobs.threads import Threads
from include.kreislauf.collection.source import TOTAL, Count, CountedSource, Reading, Unit
from include.kreislauf.periods import Period, shift, start_of
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import JobAdsSource

_FIREBASE_PATH = "/v0"


class JobAds(CountedSource[JobAdsSource]):
    """Job advertisements, each counted once per technology that it names.

    Technologies of the signed catalogue are counted by their terms (``technology_term``), in a reading that belongs to
    exactly these terms: its revision is their fingerprint. Words outside the catalogue are counted beside them
    (``term``), where at least ``keep_terms_from`` advertisements of a thread have them. A technology that was *adopted*
    keeps being counted there: it was found there, so its past is known without reading a single thread again, and its
    past and its present are measured by one rule.

    A job board's snapshots have no revision, as they cannot be taken again; a technology is zero in those that were
    taken before the catalogue had it.
    """

    kind = "job_ads"

    def __init__(
        self,
        config: JobAdsSource,
        technologies: Sequence[Technology],
        *,
        period: Period,
        access: Any,
        max_bad_lines: float,
    ) -> None:
        super().__init__(config, technologies, period=period, access=access, max_bad_lines=max_bad_lines)
        self._has_texts = config.provider == "hacker_news"
        self.revisable = not self._has_texts

    def units(self, start: datetime, end: datetime) -> Iterator[Unit]:
        """Every whole month (of threads) or period (of snapshots); whether it is there shows when it is read."""
        period: Period = "month" if self._has_texts else self.period
        first = start_of(start, period)
        if first < start:
            first = shift(first, period, 1)
        weight, revision = (
            (self._threads.weight, self.revision) if self._has_texts else (self._snapshots.weight, "1")
        )
        while (after := shift(first, period, 1)) <= end:
            yield Unit(id=_id(first, period), start=first, end=after, weight=weight, revision=revision)
            first = after

    def read(self, unit: Unit) -> Reading:
        """A month's thread, or a snapshot of what is open now."""
        reading = self._read_thread(unit) if self._has_texts else self._snapshots.take(unit)
        reading.check(f"{self.config.name} {unit.id}", self.max_bad_lines)
        return reading

    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """The technology's own name; of an adopted one its terms, as the candidates write them."""
        terms = technology.terms if self._has_texts else searched(technology, 1)
        if by != "term" or not terms:
            return []
        if technology.name in self.adopted:
            return [term.text.lower() for term in technology.terms]
        return [technology.name]

    def notes(self, facts: Counter[str]) -> list[str]:  # noqa: ARG002
        """What the provider's numbers are."""
        return _NOTES[self.config.provider]

    @cached_property
    def revision(self) -> str:
        """Fingerprint of all that decides what is counted of a text."""
        terms = sorted((one.name, term.model_dump_json()) for one in self._catalogue for term in one.terms)
        asked = (RULES, terms, self.config.keep_terms_from, self.config.url or ALGOLIA)
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:12]

    def _read_thread(self, unit: Unit) -> Reading:
        reading = Reading(unit)
        named: Counter[str] = Counter()
        candidates: Counter[str] = Counter()
        for markup in self._threads.advertisements(unit.start.astimezone(UTC), reading):
            text = plain_text(markup)
            named.update(self._matcher.find(text))
            candidates.update(candidate_terms(text, self._known))
            reading.kept += 1
        if not reading.missing:
            least = self.config.keep_terms_from
            reading.counts.append(Count(TOTAL, "", "ads", reading.kept))
            reading.counts += [Count("technology_term", name, "ads", n) for name, n in sorted(named.items())]
            reading.counts += [
                Count("term", name, "ads", n) for name, n in sorted(candidates.items()) if n >= least
            ]
        return reading

    @property
    def _catalogue(self) -> list[Technology]:
        return [one for one in self.technologies if one.name not in self.adopted]

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self._catalogue)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Words that are no candidates: names and terms of the catalogue, and the words in them."""
        texts = [one.name for one in self._catalogue]
        texts += [term.text.lower() for one in self._catalogue for term in one.terms]
        return frozenset(texts) | frozenset(word for text in texts for word in text.split())

    @cached_property
    def _threads(self) -> Threads:
        url = (self.config.url or ALGOLIA).rstrip("/")
        if not url.startswith(("https://", "http://")):
            return Recorded(url, self.access)
        return (Firebase if url.endswith(_FIREBASE_PATH) else Algolia)(url, self.access)

    @cached_property
    def _snapshots(self) -> Snapshots:
        url = self.config.url
        if self.config.provider == "adzuna":
            return Snapshots(
                Adzuna(url or ADZUNA, self.access, self.config.country), self.technologies, self.adopted
            )
        return Snapshots(Arbeitsagentur(url or ARBEITSAGENTUR, self.access), self.technologies, self.adopted)


def _id(start: datetime, period: Period) -> str:
    if period == "quarter":
        return f"{start.year}-Q{(start.month + 2) // 3}"
    return f"{start:%Y-%m}" if period == "month" else f"{start.year}"


_SNAPSHOT = (
    "a snapshot stands for the period that ended just before it; the past cannot be had, and a technology is zero in "
    "snapshots that are older than its place in the catalogue; terms that need exact capitals are not asked for, and "
    "nothing is excluded"
)
_NOTES = {
    "hacker_news": [
        "job advertisements are comments at the top of Hacker News' monthly thread: mostly start-ups, mostly in English",
        "each is counted once per technology; a term outside the catalogue is kept where enough of a thread have it",
    ],
    "arbeitsagentur": [f"Bundesagentur für Arbeit: employment in Germany, full-text search; {_SNAPSHOT}"],
    "adzuna": [
        f"Adzuna: the IT category of one country, search by phrase; {_SNAPSHOT}",
        "Adzuna's terms allow counting only for personal research or a 14-day trial, unless licensed otherwise",
    ],
}
