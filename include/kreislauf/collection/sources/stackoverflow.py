"""Source kind ``stackoverflow``: questions per tag, from the Stack Exchange API or from a data dump."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, BinaryIO, TypeVar

import msgspec

from include.kreislauf.collection.access import NotThere
from include.kreislauf.collection.source import TOTAL, Count, CountedSource, Reading, Unit
from include.kreislauf.collection.stackexchange.api import Question, StackExchange, Tag, decode
from include.kreislauf.collection.stackexchange.dump import Posts, compare_tags, read_posts
from include.kreislauf.errors import SourceError
from include.kreislauf.periods import Period, shift, start_of
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import StackOverflowSource

ALL = "*"
TAGS = "tags"
TAG_PAGES = 30
"""Pages of the list of tags that are read: the 3,000 most used ones."""
REQUEST_WEIGHT, TAGS_WEIGHT, MONTH_WEIGHT, DUMP_WEIGHT = 0.02, 0.2, 4.0, 0.01
"""A dump's months are one task's work, since the file is parsed once for all of them."""

Result = TypeVar("Result")


class StackOverflow(CountedSource[StackOverflowSource]):
    """Counts questions per tag; see ``read`` in the contract for the three ways.

    Units are ``2016-01`` (a month's questions, or a month of a dump), or ``2016-Q1/python`` (one request). As requests
    show no tag that nobody asks for, ``tags/2016-03-31`` is read with them: how often each tag was used so far, which
    is known only as of now. The other ways count every tag.
    """

    kind = "stackoverflow"
    revisable = True
    parallel = False

    def units(self, start: datetime, end: datetime) -> Iterable[Unit]:
        """Windows that ended, oldest first, and the list of tags."""
        totals = self.config.read == "totals"
        windows = _windows(start, end, self.config.window if totals else "month")
        if not totals:
            weight = DUMP_WEIGHT if self.config.read == "dump" else MONTH_WEIGHT
            return [
                Unit(id=name, start=begin, end=close, weight=weight, revision=self._revision)
                for name, begin, close in windows
            ]
        requests = [
            Unit(
                id=f"{name}/{tag}", start=begin, end=close, weight=REQUEST_WEIGHT, revision=self._revision,
                total="" if tag == ALL else f"{name}/{ALL}",
            )
            for name, begin, close in windows
            for tag in (ALL, *self._tags)
        ]  # fmt: skip
        return [*requests, *_tag_list(start, end)]

    def read(self, unit: Unit) -> Reading:
        """Ask for one window, or for the list of tags."""
        if unit.id.startswith(f"{TAGS}/"):
            return self._listed_tags(unit)
        how: dict[str, Callable[[Unit], Reading]] = {
            "totals": self._total, "questions": self._questions, "dump": self._month_of_dump,
        }  # fmt: skip
        return how[self.config.read](unit)

    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """The technology's tags."""
        return technology.tags if by == "tag" else ()

    def notes(self, facts: Counter[str]) -> list[str]:
        """What was asked, and what the numbers leave out."""
        notes = [
            f"Counts are of the time they were observed at (vintage: {self.config.vintage}). Questions are deleted for"
            " months: the count at the end of a month is 20 to 46 % above the settled one.",
            "A question with two tags of one technology counts twice for it.",
        ]
        if self.config.read == "dump":
            return [
                *notes,
                "From a data dump, all counts are settled ones, observed on the day of its last post.",
            ]
        if requests := facts["requests"]:
            notes.append(
                f"{requests} requests; Stack Exchange answers 10,000 a day with a key, and 300 without."
            )
        return notes

    @cached_property
    def _revision(self) -> str:
        """Changes where other questions are counted."""
        asked = (self.config.url, self.config.site, self.config.read)
        return sha256(repr(asked).encode()).hexdigest()[:12]

    @cached_property
    def _tags(self) -> list[str]:
        return sorted({tag for one in self.technologies for tag in one.tags})

    @cached_property
    def _api(self) -> StackExchange:
        return StackExchange(self.access, self.config.url, self.config.site)

    def _total(self, unit: Unit) -> Reading:
        tag = unit.id.partition("/")[2]
        before = self._api.requests
        number = self._api.total(None if tag == ALL else tag, unit.start, unit.end)
        counted = (
            Count(TOTAL, "", "questions", number) if tag == ALL else Count("tag", tag, "questions", number)
        )
        return self._asked(Reading(unit, [counted], read=1, kept=1), before)

    def _questions(self, unit: Unit) -> Reading:
        reading, before = Reading(unit), self._api.requests
        seen: set[int] = set()
        tags: Counter[str] = Counter()
        start, end = unit.start.timestamp(), unit.end.timestamp()
        pages = self._api.questions(unit.start, unit.end)
        for question in _items(Question, pages, reading):
            if question.question_id in seen:
                reading.ignored["duplicate"] += 1
            elif not start <= question.creation_date < end:
                reading.ignored["outside of the window"] += 1
            else:
                seen.add(question.question_id)
                tags.update(set(question.tags))
        reading.kept = len(seen)
        reading.counts = [Count("tag", tag, "questions", number) for tag, number in tags.items()]
        reading.counts.append(Count(TOTAL, "", "questions", reading.kept))
        return self._asked(reading, before)

    def _listed_tags(self, unit: Unit) -> Reading:
        reading, before = Reading(unit), self._api.requests
        seen: set[str] = set()
        for tag in _items(Tag, self._api.tags(TAG_PAGES), reading):
            if tag.name in seen:
                reading.ignored["duplicate"] += 1
                continue
            seen.add(tag.name)
            reading.counts.append(Count("tag_ever", tag.name, "questions_ever", tag.count))
        reading.kept = len(seen)
        return self._asked(reading, before)

    def _asked(self, reading: Reading, before: int) -> Reading:
        reading.facts["requests"] = self._api.requests - before
        reading.check(f"{self.config.name} {reading.unit.id}", self.max_bad_lines)
        return reading

    def _month_of_dump(self, unit: Unit) -> Reading:
        return self._posts.reading(unit)

    @cached_property
    def _posts(self) -> Posts:
        """The dump, counted once for all of its months."""
        posts = self._from_dump("Posts.xml", lambda file, url, packed: read_posts(
            file, url, self.max_bad_lines, packed=packed
        ))  # fmt: skip
        if posts is None:
            raise SourceError(
                "there is no dump", where=self.config.url, allowed=self._dump_files("Posts.xml"),
                next_step="deliver Posts.xml, or correct the contract's url",
            )  # fmt: skip
        wrong = self._from_dump(
            "Tags.xml", lambda file, url, packed: compare_tags(posts, file, url, packed=packed)
        )
        posts.warnings += [wrong] if wrong else []
        return posts

    def _from_dump(self, name: str, read: Callable[[BinaryIO, str, bool], Result]) -> Result | None:
        """What a file of the dump gives; nothing where there is no such file."""
        for url in self._dump_files(name):
            try:
                with self.access.open(url) as file:
                    return read(file, url, url.endswith(".gz"))
            except NotThere:
                continue
        return None

    def _dump_files(self, name: str) -> list[str]:
        """Where a file of the dump may lie; the URL of a dump's posts stands for the tags beside them as well."""
        url = self.config.url.rstrip("/")
        if url.endswith((".xml", ".xml.gz")):
            folder, _, file = url.rpartition("/")
            return [
                f"{folder}/{file.replace('Posts.xml', name)}" if folder else file.replace("Posts.xml", name)
            ]
        return [f"{url}/{name}", f"{url}/{name}.gz"]


def _windows(start: datetime, end: datetime, period: Period) -> Iterator[tuple[str, datetime, datetime]]:
    """Name, start and end of every whole window within a time."""
    begin = start_of(start, period)
    if begin < start:
        begin = shift(begin, period, 1)
    while (close := shift(begin, period, 1)) <= end:
        yield (
            f"{begin:%Y}-Q{(begin.month + 2) // 3}" if period == "quarter" else f"{begin:%Y-%m}",
            begin,
            close,
        )
        begin = close


def _tag_list(start: datetime, end: datetime) -> Iterator[Unit]:
    close = end.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if (begin := close - timedelta(days=1)) >= start:
        name = f"{TAGS}/{close:%Y-%m-%d}"
        yield Unit(id=name, start=begin, end=close, weight=TAGS_WEIGHT, snapshot=True)


def _items(kind: Any, pages: Iterable[Sequence[msgspec.Raw]], reading: Reading) -> Iterator[Any]:
    """Items of all pages; what cannot be read is set aside with its number."""
    for raw in (raw for page in pages for raw in page):
        reading.read += 1
        try:
            yield decode(kind, raw)
        except msgspec.MsgspecError as error:
            reading.quarantine(reading.read, str(error), bytes(raw))
