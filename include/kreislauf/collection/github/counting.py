"""Counting the events of one hour's file: every line is kept, ignored for a reason, or set aside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET

from include.kreislauf.collection.github.drift import new_keys
from include.kreislauf.collection.github.events import (
    BOT_ENDINGS,
    COUNTED,
    BlockDecoder,
    Event,
    Language,
    Unusable,
    decode_line,
)
from include.kreislauf.collection.github.tally import Asked, Tallies, Tally
from include.kreislauf.collection.gzip_lines import lines_of
from include.kreislauf.collection.source import TOTAL, Count, Reading

EVENTS = "events"
"""Measure of the total of all sound events, whether they count or not."""


class Hour:
    """The events of one file.

    Parameters
    ----------
    reading: receives counts and account; to be used only after :meth:`finish`.
    """

    def __init__(self, asked: Asked, reading: Reading) -> None:
        self.asked, self.reading = asked, reading
        self.learned: dict[str, str | None] = {}
        """Languages of repositories, as pull requests say them."""
        self._tallies = Tallies()
        for kind, (measure, action) in COUNTED.items():
            self._tallies[kind] = Tally(
                measure, action, by_language=measure in asked.by_language,
                by_repository=measure in asked.by_repository, by_topic=measure in asked.by_topic,
            )  # fmt: skip

    @property
    def unresolved(self) -> Counter[str]:
        """Repositories whose language is asked for -> events that ask for it."""
        return sum((tally.unresolved for tally in self._tallies.values()), Counter())

    def read(self, blocks: Iterable[memoryview]) -> None:
        """Count every line: a block at once where all of its lines are sound and since 2015, else line by line."""
        number, decode_block = 0, BlockDecoder(self._kinds_with_repo())
        for block in blocks:
            if not number:
                self.reading.warnings += new_keys(lines_of(block))
            found = decode_block(block)
            if found is None:
                number = self._read_lines(block, number)
                continue
            self._count(found.counted)
            for kind, ids in found.others.items():
                self.reading.ignored["duplicate"] += len(ids) - self._tallies[kind].add(ids)
            number += len(found)
        self.reading.read = number

    def finish(self, languages: Mapping[str, str | None]) -> None:
        """Write what was counted into the reading.

        Parameters
        ----------
        languages: of :attr:`unresolved` repositories, by their names in small letters, as far as they are known.
        """
        reading, tallies = self.reading, self._tallies.values()
        counted = [tally for tally in tallies if tally.measure]
        reading.kept = sum(tally.total for tally in counted)
        reading.ignored["type"] = sum(tally.sound for tally in tallies if not tally.measure)
        reading.ignored = +reading.ignored
        reading.counts.append(Count(TOTAL, "", EVENTS, sum(tally.sound for tally in tallies)))
        for tally in counted:
            if tally.by_language:
                reading.facts += tally.resolve(languages)
            reading.counts += tally.counts(self.asked)

    def _kinds_with_repo(self) -> list[str]:
        """Types of events of which it is asked where they happened; pull requests teach the repository's language."""
        return [
            kind
            for kind, tally in self._tallies.items()
            if tally.by_language or tally.by_repository or kind == "PullRequestEvent"
        ]

    def _read_lines(self, block: memoryview, number: int) -> int:
        """Count a block line by line, after so many lines; returns how many there are now."""
        for line in lines_of(block):
            number += 1
            content = bytes(line)
            try:
                self._count([decode_line(content)])
            except Unusable as error:
                if content.strip():
                    self.reading.quarantine(number, str(error), content)
                else:
                    self.reading.ignored["empty"] += 1
        return number

    def _count(self, events: Sequence[Event]) -> None:
        """Count sound events, by type: what is done once for many costs less."""
        types: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            types[event.type].append(event)
        for kind, some in types.items():
            tally = self._tallies[kind]
            new = tally.new(some)
            self.reading.ignored["duplicate"] += len(some) - len(new)
            if tally.measure:
                self._count_type(tally, new)

    def _count_type(self, tally: Tally, events: list[Event]) -> None:
        people = [event for event in events if not event.login.endswith(BOT_ENDINGS)]
        self.reading.ignored["bot"] += len(events) - len(people)
        if tally.action:
            others = [event for event in people if event.action != tally.action]
            people = [event for event in people if event.action == tally.action]
            self.reading.ignored["action"] += len(others)
            for event in others:
                self._language(event)
        tally.total += len(people)
        if tally.by_repository:
            tally.repositories.update([event.repo for event in people])
        if tally.by_topic:
            for event in people:
                tally.topics.update(set(event.topics or ()))
        if tally.by_language:
            for event in people:
                self._attribute(tally, event)

    def _attribute(self, tally: Tally, event: Event) -> None:
        """Count an event under the language of its repository."""
        language = self._language(event)
        if language is UNSET:
            tally.unresolved[event.repo] += 1
        elif language:
            tally.languages[language] += 1
        else:
            tally.without_language += 1

    def _language(self, event: Event) -> Language:
        """The language that an event says its repository has: remembered for events that do not."""
        if (language := event.language) is not UNSET:
            self.learned[event.repo] = language
        return language
