"""What is asked of an hour's events, and the counts of one type of event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from include.kreislauf.collection.github.events import Event
from include.kreislauf.collection.source import TOTAL, Count


@dataclass(frozen=True)
class Asked:
    """What a contract wants counted.

    Parameters
    ----------
    by_language, by_repository, by_topic: the measures that are counted by it.
    repositories: the catalogue's, name in small letters -> its spelling. Names that differ in capitals only are one;
        outside the catalogue it is written as the file has it first.
    keep_repositories_from: count in one file from which a repository outside the catalogue is kept.
    """

    by_language: frozenset[str] = frozenset({"pull_requests"})
    by_repository: frozenset[str] = frozenset({"stars"})
    by_topic: frozenset[str] = frozenset({"pull_requests"})
    repositories: Mapping[str, str] = field(default_factory=dict)
    keep_repositories_from: int = 3

    def kept(self, found: Counter[str]) -> dict[str, int]:
        """Repositories that are kept. GitHub writes ``/`` for one that is gone."""
        spelled, sums = dict(self.repositories), dict[str, int]()
        for name, number in found.items():
            spelling = spelled.setdefault(name.lower(), name)
            sums[spelling] = sums.get(spelling, 0) + number
        catalogue = set(self.repositories.values())
        return {
            name: number
            for name, number in sums.items()
            if (number >= self.keep_repositories_from and "/" in name.strip("/")) or name in catalogue
        }


@dataclass(slots=True)
class Tally:
    """Counts of the events of one type in one file.

    Parameters
    ----------
    measure: what they are counted as; empty for types that are not counted.
    action: the only action that is counted, where the type has several.
    by_language, by_repository, by_topic: what they are counted by.
    ids: of the sound events; ``without_id`` is the number of those that have none.
    total: events that count.
    languages: as the events themselves say; ``without_language``: GitHub sees none.
    unresolved: repository -> events that do not say their language.
    """

    measure: str = ""
    action: str | None = None
    by_language: bool = False
    by_repository: bool = False
    by_topic: bool = False
    ids: set[int] = field(default_factory=set)
    without_id: int = 0
    total: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    without_language: int = 0
    unresolved: Counter[str] = field(default_factory=Counter)
    repositories: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)

    @property
    def sound(self) -> int:
        """Sound events of this type, each once, whether they count or not."""
        return len(self.ids) + self.without_id

    def add(self, ids: list[int]) -> int:
        """Take events that are only told apart; returns how many were not seen before."""
        before = len(self.ids)
        self.ids.update(ids)
        return len(self.ids) - before

    def new(self, events: list[Event]) -> list[Event]:
        """Those events of this type that were not seen before; from now on they were."""
        ids = [event.id for event in events]
        fresh = set(ids)
        if len(fresh) == len(ids) and None not in fresh and self.ids.isdisjoint(fresh):
            self.ids.update(fresh)  # type: ignore[arg-type]
            return events
        return [event for event in events if self._is_new(event.id)]

    def _is_new(self, identity: int | None) -> bool:
        if identity in self.ids:
            return False
        if identity is None:
            self.without_id += 1
        else:
            self.ids.add(identity)
        return True

    def resolve(self, known: Mapping[str, str | None]) -> Counter[str]:
        """Find the languages of events that do not say it; returns facts for the data sheet.

        Parameters
        ----------
        known: languages by the repository's name in small letters; ``None``: it has none.
        """
        facts = Counter(
            {"language.from_event": self.languages.total(), "language.none": self.without_language}
        )
        for name, number in self.unresolved.items():
            language = known.get(name.lower(), "")
            if language:
                self.languages[language] += number
            else:
                facts["language.none" if language is None else "language.unknown"] += number
        facts[f"{self.measure}.with_language"] = self.languages.total()
        return facts

    def counts(self, asked: Asked) -> Iterable[Count]:
        """All counts, subjects in the order of their names."""
        yield Count(TOTAL, "", self.measure, self.total)
        subjects = {
            "language": self.languages,
            "repository": asked.kept(self.repositories),
            "topic": self.topics,
        }
        for by, found in subjects.items():
            yield from (Count(by, name, self.measure, found[name]) for name in sorted(found))


class Tallies(dict[str, Tally]):
    """Tallies by type of event; a type that is not counted gets one when it is first seen."""

    def __missing__(self, kind: str) -> Tally:
        made = self[kind] = Tally()
        return made
