"""Questions per tag and month, from the posts of a Stack Exchange data dump.

The files are described at https://meta.stackexchange.com/questions/2677. Rows come in the order of their Id, which is
that of their time; a row whose time cannot be read is put down to the month of the row before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from include.kreislauf.collection.source import TOTAL, Count, Reading, Unit
from include.kreislauf.collection.stackexchange.rows import Row, rows
from include.kreislauf.errors import SourceError

QUESTION = "1"
KINDS = {"2": "answer"}
"""``PostTypeId``; the others are wikis and moderators' notes."""
KNOWN = frozenset((
    "Id", "PostTypeId", "AcceptedAnswerId", "ParentId", "CreationDate", "DeletionDate", "Score", "ViewCount", "Body",
    "OwnerUserId", "OwnerDisplayName", "LastEditorUserId", "LastEditorDisplayName", "LastEditDate", "LastActivityDate",
    "Title", "Tags", "AnswerCount", "CommentCount", "FavoriteCount", "ClosedDate", "CommunityOwnedDate",
    "ContentLicense",
))  # fmt: skip
"""Attributes that a post may have."""
MAX_DIFFERENCE = 0.02
"""Share by which the tags of the posts may differ from the dump's own list of tags."""
BEFORE = ""
"""Name of the month of rows before the first one that has a time."""
LOOKED_AT = 1000
"""Rows whose attributes are compared with the known ones."""


@dataclass
class Month:
    """What one month's rows gave."""

    read: int = 0
    questions: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass
class Posts:
    """A whole dump, counted.

    Parameters
    ----------
    months: by name, such as ``2016-08``; those without rows are not there.
    first, last: times of the first and of the last row; empty: there is none.
    """

    months: dict[str, Month] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    warnings: list[str] = field(default_factory=list)

    def month(self, name: str) -> Month:
        """What a month gave so far."""
        if (found := self.months.get(name)) is None:
            found = self.months[name] = Month()
        return found

    def at(self, time: str) -> Month:
        """The month of a row's time; the first one takes over the rows before it, which have no time."""
        if not self.first:
            self.first = time
            if BEFORE in self.months:
                self.months[time[:7]] = self.months.pop(BEFORE)
        self.first, self.last = min(self.first, time), max(self.last, time)
        return self.month(time[:7])

    def reading(self, unit: Unit) -> Reading:
        """One month; missing where the dump does not cover it whole."""
        name = f"{unit.start:%Y-%m}"
        if not self.last or name < self.first[:7]:
            return Reading(unit, missing=f"the dump begins at {self.first or 'no time'}")
        if unit.end > datetime.fromisoformat(f"{self.last}+00:00"):
            return Reading(unit, missing=f"the dump ends at {self.last}, within or before this month")
        month = self.months.get(name, Month())
        reading = Reading(unit, read=month.read, kept=month.questions, ignored=month.ignored)
        for line, why, shown in month.bad:
            reading.quarantine(line, why, shown.encode())
        reading.counts = [Count("tag", tag, "questions", number) for tag, number in month.tags.items()]
        reading.counts.append(Count(TOTAL, "", "questions", month.questions))
        reading.warnings = list(self.warnings)
        reading.observed_at = datetime.fromisoformat(f"{self.last}+00:00")
        return reading


def read_posts(file: BinaryIO, where: str, max_bad_share: float, *, packed: bool) -> Posts:
    """Count a dump's ``Posts.xml``.

    Raises
    ------
    SourceError: the file is damaged (see :func:`~include.kreislauf.collection.stackexchange.rows.rows`), or more than
        ``max_bad_share`` of its rows cannot be read.
    """
    posts, last_id, number = Posts(), -1, 0
    unknown: Counter[str] = Counter()
    for some in rows(file, "posts", where, packed=packed):
        for row in some:
            number += 1
            if number <= LOOKED_AT:
                unknown.update(row.keys() - KNOWN)
            try:
                last_id, time = _place(row, last_id)
            except ValueError as error:
                month = posts.month(posts.last[:7])
                month.read += 1
                month.bad.append((number, str(error), str(row)[:400]))
                continue
            _count(row, number, posts.at(time))
    posts.warnings = [f"additive: attribute {name} of posts" for name in sorted(unknown)]
    _check(posts, where, max_bad_share)
    return posts


def compare_tags(posts: Posts, file: BinaryIO, where: str, *, packed: bool) -> str:
    """What is wrong between the posts and the dump's ``Tags.xml``, which tells how often each tag is used.

    Posts that lack rows are well-formed all the same; here they show.

    Raises
    ------
    SourceError: the file is damaged, or a row has no count.
    """
    told = 0
    for row in (row for some in rows(file, "tags", where, packed=packed) for row in some):
        count = row.get("Count", "")
        if not count.isdecimal():
            raise SourceError(f"tag {row.get('TagName')!r} has the count {count!r}", where=where)
        told += int(count)
    counted = sum(month.tags.total() for month in posts.months.values())
    if abs(counted - told) <= MAX_DIFFERENCE * told:
        return ""
    return f"breaking: the posts have {counted} tags, Tags.xml tells of {told}"


def split_tags(text: str) -> list[str]:
    """``<a><b>``, as up to 2023, and ``|a|b|``, as since then.

    Raises
    ------
    ValueError: it is neither.
    """
    if text[:1] == "<" and text[-1:] == ">":
        return text[1:-1].split("><")
    if len(text) > 1 and text[0] == text[-1] == "|":
        return text[1:-1].split("|")
    raise ValueError(f"the tags {text[:60]!r} are neither <a><b> nor |a|b|")


def _place(row: Row, last_id: int) -> tuple[int, str]:
    """Id and time of a row; ids that do not rise would mean that rows come twice."""
    own, time = row.get("Id", ""), row.get("CreationDate", "")
    if not (own.isdecimal() and int(own) > last_id):
        raise ValueError(f"Id {own!r} does not follow on {last_id}")
    if datetime.fromisoformat(time).tzinfo is not None:
        raise ValueError(f"CreationDate {time!r} has a zone")
    return int(own), time


def _count(row: Row, number: int, month: Month) -> None:
    month.read += 1
    kind = row.get("PostTypeId", "")
    if kind != QUESTION:
        month.ignored[KINDS.get(kind, "other post")] += 1
        return
    try:
        tags = set(split_tags(row.get("Tags", "")))
    except ValueError as error:
        month.bad.append((number, str(error), str(row)[:400]))
        return
    month.questions += 1
    month.tags.update(tags)


def _check(posts: Posts, where: str, max_bad_share: float) -> None:
    """The share of bad rows is that of the file: a month with few rows is not to be lost for one of them."""
    whole = Reading(Unit(id=where, start=_EPOCH, end=_EPOCH))
    for month in posts.months.values():
        whole.read, whole.kept = whole.read + month.read, whole.kept + month.questions
        whole.ignored.update(month.ignored)
        for line, why, shown in month.bad:
            whole.quarantine(line, why, shown.encode())
    whole.check(where, max_bad_share)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
