"""Recorded threads: gzip files of JSON lines, one file per year, one line per comment at the top of a thread.

``hn_who_is_hiring_2015.ndjson.gz``; a line is an item of the Firebase API, and names its thread's month:
``{"id": 8980060, "text": "…", "type": "comment", "thread_month": "2015-02", …}``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from include.kreislauf.collection.access import Access, NotThere
from include.kreislauf.collection.gzip_lines import Limits, blocks
from include.kreislauf.collection.jobs.answers import UNREADABLE
from include.kreislauf.collection.jobs.threads import Comment, why_ignored
from include.kreislauf.collection.source import Reading

FILE = "hn_who_is_hiring_{year}.ndjson.gz"
LIMITS = Limits(max_bytes=128 * 2**20)
"""Ten times a year's threads."""
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")


class _Place(msgspec.Struct):
    thread_month: str


_COMMENT, _PLACE = msgspec.json.Decoder(Comment), msgspec.json.Decoder(_Place)


class Recorded:
    """Threads from a folder of recorded ones; a year's file is read once for all its months."""

    weight = 0.3

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access = url.rstrip("/"), access
        self._year, self._months = 0, dict[str, list[_Line]]()

    def advertisements(self, month: datetime, reading: Reading) -> Iterator[str]:
        """See :class:`~include.kreislauf.collection.jobs.threads.Threads`."""
        try:
            lines = self._lines(month.year).get(f"{month:%Y-%m}", [])
        except NotThere:
            reading.missing = f"no file of recorded threads for {month.year}"
            return
        if not lines:
            reading.missing = "the recorded threads have none for this month"
        seen: set[int] = set()
        for line in lines:
            reading.read += 1
            try:
                comment = _COMMENT.decode(line.content)
            except UNREADABLE as error:
                reading.quarantine(line.number, str(error), line.content)
                continue
            if line.stray:
                reading.quarantine(line.number, f"thread_month is no month of {month.year}", line.content)
            elif why := why_ignored(comment, seen):
                reading.ignored[why] += 1
            else:
                yield comment.text or ""

    def _lines(self, year: int) -> dict[str, list[_Line]]:
        """The file's lines by month, still packed as JSON; a stray one goes with the line before it."""
        if self._year != year:
            self._year, self._months = 0, {}
            months: defaultdict[str, list[_Line]] = defaultdict(list)
            month = f"{year}-01"
            for number, content in enumerate(self._content(year), 1):
                stray = (named := _month(content)) is None or not named.startswith(f"{year}-")
                month = month if stray or named is None else named
                months[month].append(_Line(number, content, stray))
            self._months, self._year = dict(months), year
        return self._months

    def _content(self, year: int) -> Iterator[bytes]:
        """A file's lines; it raises where the file turns out to be damaged, so all of them are taken first."""
        url = f"{self._url}/{FILE.format(year=year)}"
        with self._access.open(url) as file:
            for block in blocks(file, url, LIMITS):
                yield from bytes(block).splitlines()


def _month(content: bytes) -> str | None:
    """The month that a line names; ``None`` where it names none."""
    try:
        named = _PLACE.decode(content).thread_month
    except UNREADABLE:
        return None
    return named if _MONTH.fullmatch(named) else None


class _Line(NamedTuple):
    """A line of a file, and whether it names no month of the file's year."""

    number: int
    content: bytes
    stray: bool
