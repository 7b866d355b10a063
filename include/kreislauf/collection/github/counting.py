"""Counting the events of one hour's file: every line is kept, ignored for a reason, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import UNSET

from include.kreislauf.collection.github.drift import new_keys
from include.kreislauf.collection.github.events import (
    BOT_ENDINGS,
    COUNTED,
    DECODE_ERRORS,
    Actor,
    Event,
    Language,
    Unusable,
    action_of,
    decode,
    decode_odd,
    timeline_place,
)
from include.kreislauf.collection.github.tally import Asked, Tally
from include.kreislauf.collection.gzip_lines import is_utf8, lines_of
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
        self._tallies = {
            kind: Tally(
                measure, action, measure in asked.by_language, measure in asked.by_repository,
                measure in asked.by_topic,
            )
            for kind, (measure, action) in COUNTED.items()
        }  # fmt: skip

    @property
    def unresolved(self) -> Counter[str]:
        """Repositories whose language is asked for -> events that ask for it."""
        return sum((tally.unresolved for tally in self._tallies.values()), Counter())

    def read(self, blocks: Iterable[memoryview]) -> None:
        """Count every line."""
        add, number = self._add, 0
        for block in blocks:
            if not number:
                self.reading.warnings += new_keys(lines_of(block))
            sound = is_utf8(block)
            for line in lines_of(block):
                number += 1
                try:
                    if not sound:
                        str(line, "utf-8")
                    add(decode(line))
                except (Unusable, *DECODE_ERRORS) as error:
                    self._odd(number, line, error)
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
        if others := sum(tally.sound for tally in tallies if not tally.measure):
            reading.ignored["type"] = others
        reading.counts.append(Count(TOTAL, "", EVENTS, sum(tally.sound for tally in tallies)))
        for tally in counted:
            if tally.by_language:
                reading.facts += tally.resolve(languages)
            reading.counts += tally.counts(self.asked)

    def _odd(self, number: int, line: memoryview, error: Exception) -> None:
        """A line that is empty, or of an odd shape, or no event at all."""
        content = bytes(line)
        if not content.strip():
            self.reading.ignored["empty"] += 1
            return
        try:
            if isinstance(error, Unusable):
                raise error
            self._add(decode_odd(content, error))
        except Unusable as reason:
            self.reading.quarantine(number, str(reason), content)

    def _add(self, event: Event) -> None:
        """Count one event. Called for every line: what few events need is done elsewhere.

        Raises
        ------
        Unusable: an event of a counted type lacks what is needed to count it.
        """
        tally = self._tallies.get(event.type)
        if tally is None:
            tally = self._tallies[event.type] = Tally()
        if tally.measure:
            if event.repo is not None and type(event.actor) is Actor:
                name, login = event.repo.name, event.actor.login
            else:
                name, login = timeline_place(event)
            action = action_of(event) if tally.action else None
        if event.id is None:
            tally.without_id += 1
        elif event.id in tally.ids:
            self.reading.ignored["duplicate"] += 1
            return
        else:
            tally.ids.add(event.id)
        if not tally.measure:
            return
        if login.endswith(BOT_ENDINGS):
            self.reading.ignored["bot"] += 1
        elif action != tally.action:
            self.reading.ignored["action"] += 1
            self._language(name, event)
        else:
            tally.total += 1
            if tally.attributed:
                self._attribute(tally, name, event)

    def _attribute(self, tally: Tally, name: str, event: Event) -> None:
        """Count an event under its repository, topics and language."""
        if tally.by_repository:
            tally.repositories[name] += 1
        if tally.by_topic and (base := event.base) and base.topics:
            for topic in set(base.topics):
                tally.topics[topic] += 1
        if tally.by_language:
            language = self._language(name, event)
            if language is UNSET:
                tally.unresolved[name] += 1
            elif language is None:
                tally.without_language += 1
            else:
                tally.languages[language] += 1

    def _language(self, name: str, event: Event) -> Language:
        """The language that an event says its repository has."""
        if (base := event.base) and base.language is not UNSET:
            self.learned[name] = base.language
            return base.language
        return event.repository.language if event.repository else UNSET
