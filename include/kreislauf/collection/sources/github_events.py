"""Source kind ``github_events``: pull requests, pushes, stars, issues and forks, from GH Archive's hourly files.

https://www.gharchive.org records GitHub's public events since 2011-02-12, one gzip file of JSON lines per hour (UTC).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

from include.kreislauf.collection.access_answer import NotThere
from include.kreislauf.collection.github.counting import Hour
from include.kreislauf.collection.github.repositories import (
    Known,
    Memory,
    Repositories,
    RepositoryApi,
    resolve,
)
from include.kreislauf.collection.github.tally import Asked
from include.kreislauf.collection.gzip_lines import blocks
from include.kreislauf.collection.source import CountedSource, Reading, Unit
from include.kreislauf.periods import Period
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import GithubEventsSource

HOUR = timedelta(hours=1)
_FIELDS = {"language": "languages", "repository": "repositories", "topic": "topics"}


class GithubEvents(CountedSource[GithubEventsSource]):
    """Events per technology; a unit is one hour's file.

    A repository that is new in the catalogue does not make the files be read again: its past is known from
    ``keep_repositories_from`` stars in a file on, unless the contract's ``revision`` asks for all files anew.

    Parameters
    ----------
    repositories: memory of repositories' languages; default: the installation's, else one that lasts as long as this
        object.
    """

    kind = "github_events"

    def __init__(
        self,
        config: GithubEventsSource,
        technologies: Sequence[Technology],
        *,
        period: Period,
        access: Any,
        max_bad_lines: float,
        repositories: Repositories | None = None,
    ) -> None:
        super().__init__(config, technologies, period=period, access=access, max_bad_lines=max_bad_lines)
        self._repositories = repositories
        self._api = RepositoryApi(access, config.api, config.look_ups)

    def units(self, start: datetime, end: datetime) -> Iterable[Unit]:
        """One hour after the other, of the days and hours that the contract selects."""
        first = max(start, datetime.combine(self.config.since, datetime.min.time(), UTC)).astimezone(UTC)
        hour = first.replace(minute=0, second=0, microsecond=0)
        hour += HOUR if hour < first else timedelta(0)
        revision = self._revision()
        while hour + HOUR <= end:
            if self._selected(hour):
                yield Unit(id=f"{hour:%Y-%m-%d}-{hour.hour}", start=hour, end=hour + HOUR, revision=revision)
            hour += HOUR

    def read(self, unit: Unit) -> Reading:
        """One hour's file. See :class:`~include.kreislauf.collection.source.CountedSource`."""
        url = f"{self.config.url.rstrip('/')}/{unit.id}.json.gz"
        reading = Reading(unit)
        hour = Hour(self._asked(), reading)
        try:
            with self.access.open(url) as file:
                hour.read(blocks(file, url))
        except NotThere:
            return Reading(unit, missing="no such file")
        self._learn(hour, unit)
        self._resolve(hour, unit)
        reading.check(url, self.max_bad_lines)
        return reading

    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """Languages, repositories or topics; GitHub writes topics in small letters."""
        names: tuple[str, ...] = getattr(technology, _FIELDS[by]) if by in _FIELDS else ()
        return tuple(name.lower() for name in names) if by == "topic" else names

    def notes(self, facts: Counter[str]) -> list[str]:
        """How the languages of repositories were found, and who does not count."""
        notes = ["Accounts whose login ends with [bot] or -bot do not count; a repeated event counts once."]
        ways = {
            "from_event": "said by the event itself", "from_table": "known from earlier events or answers",
            "from_api": "asked of GitHub", "none": "the repository has none, or is gone", "unknown": "not known",
        }  # fmt: skip
        numbers = {way: facts[f"language.{way}"] for way in ways}
        if asked := sum(numbers.values()):
            shown = "; ".join(
                f"{ways[way]}: {number / asked:.1%}" for way, number in numbers.items() if number
            )
            notes.append(f"Languages of {asked:,} events that are counted by it: {shown}.")
        if facts["language.unknown"]:
            notes.append(
                "Events since 2025-10-09 do not say their language: shares by language are of all events, so they fall "
                "with the share that is not known. A github_token and look_ups in the contract raise what is known."
            )
        return notes

    @cached_property
    def repositories(self) -> Repositories:
        """The memory of repositories' languages."""
        if self._repositories is not None:
            return self._repositories
        if not self.memory_url:
            return Memory()
        from include.kreislauf.collection.github.repository_table import RepositoryTable

        return RepositoryTable(self.memory_url)

    def _selected(self, hour: datetime) -> bool:
        days, hours = self.config.days, self.config.hours
        return (not days or hour.day in days) and (not hours or hour.hour in hours)

    def _asked(self) -> Asked:
        """What is counted: what the contract's columns need, and what shows emerging technologies."""
        asked = {
            by: {one.measure for one in self.config.columns.values() if one.by == by}
            for by in self.config.GIVES
        }
        return Asked(
            by_language=frozenset(asked["language"] | {"pull_requests"}),
            by_repository=frozenset(asked["repository"] | {"stars"}),
            by_topic=frozenset(asked["topic"] | {"pull_requests"}),
            repositories={name.lower(): name for name in self._signed_repositories()},
            keep_repositories_from=self.config.keep_repositories_from,
        )

    def _signed_repositories(self) -> Iterable[str]:
        """The signed catalogue's. One that was adopted is counted as before: else its past would look smaller."""
        signed = (one for one in self.technologies if one.name not in self.adopted)
        return (name for technology in signed for name in technology.repositories)

    def _revision(self) -> str:
        """Changes with whatever changes the counts of a file."""
        asked = self._asked()
        kinds = (asked.by_language, asked.by_repository, asked.by_topic)
        parts = [*map(sorted, kinds), asked.keep_repositories_from, self.config.revision]
        return sha256(json.dumps(parts).encode()).hexdigest()[:12]

    def _learn(self, hour: Hour, unit: Unit) -> None:
        if hour.learned:
            self.repositories.remember({name: Known(one, unit.start) for name, one in hour.learned.items()})

    def _resolve(self, hour: Hour, unit: Unit) -> None:
        stopped = self._api.stopped
        found = resolve(hour.unresolved, self.repositories, self._api, unit.end)
        hour.finish(found.languages)
        hour.reading.facts += found.facts
        if self._api.stopped != stopped:
            hour.reading.warnings.append(f"languages are no longer asked for: {self._api.stopped}")
