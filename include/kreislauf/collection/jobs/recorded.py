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


class _Line(Comment):
    thread_month: str = ""


class _Bad(NamedTuple):
    line: int
    why: str
    content: bytes


_LINE = msgspec.json.Decoder(_Line)


class Recorded:
    """Threads from a folder of recorded ones; a year's file is read once for all its months."""

    weight = 0.3

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access = url.rstrip("/"), access
        self._year, self._months = 0, dict[str, list[_Line | _Bad]]()

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
            if isinstance(line, _Bad):
                reading.quarantine(*line)
            elif why := why_ignored(line, seen):
                reading.ignored[why] += 1
            else:
                yield line.text or ""

    def _lines(self, year: int) -> dict[str, list[_Line | _Bad]]:
        """The file's lines by month; one that cannot be read, or is of another year, goes with the line before it."""
        if self._year != year:
            months: defaultdict[str, list[_Line | _Bad]] = defaultdict(list)
            month = f"{year}-01"
            for number, content in enumerate(self._content(year), 1):
                line = _decoded(number, content, year)
                if isinstance(line, _Line):
                    month = line.thread_month
                months[month].append(line)
            self._months, self._year = dict(months), year
        return self._months

    def _content(self, year: int) -> Iterator[bytes]:
        """A file's lines; it raises where the file turns out to be damaged, so all of them are taken first."""
        url = f"{self._url}/{FILE.format(year=year)}"
        with self._access.open(url) as file:
            for block in blocks(file, url, LIMITS):
                yield from bytes(block).splitlines()


def _decoded(number: int, content: bytes, year: int) -> _Line | _Bad:
    try:
        line = _LINE.decode(content)
    except UNREADABLE as error:
        return _Bad(number, str(error), content)
    if not _MONTH.fullmatch(line.thread_month) or not line.thread_month.startswith(f"{year}-"):
        return _Bad(number, f"thread_month {line.thread_month!r} is no month of {year}", content)
    return line
