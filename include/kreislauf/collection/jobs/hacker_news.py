"""Hacker News "Who is hiring?": the monthly threads, from Algolia's search or from the Firebase API.

Sources: https://hn.algolia.com/api and https://github.com/HackerNews/API. Algolia gives a thread in one answer, so it
is preferred; Firebase gives every comment by itself, without a limit on how many are asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

import msgspec

from include.kreislauf.collection.access import Access, NotThere
from include.kreislauf.collection.jobs.answers import UNREADABLE, decoded
from include.kreislauf.collection.jobs.threads import EARLY, Comment, month_of, why_ignored
from include.kreislauf.collection.source import Reading
from include.kreislauf.periods import shift

ALGOLIA = "https://hn.algolia.com/api/v1"
ACCOUNT = "whoishiring"
PAGE_SIZE, MAX_PAGES = 100, 10  # Algolia shows the newest 1,000 hits: 27 years of three threads a month
NO_THREAD = "no thread asks who is hiring in this month"


class _Hit(msgspec.Struct):
    objectID: str  # noqa: N815 - Algolia's name
    created_at_i: int
    title: str | None = None


class _Page(msgspec.Struct):
    hits: list[_Hit]
    nbPages: int  # noqa: N815 - Algolia's name


class _Reply(msgspec.Struct):
    children: list[_Reply] = msgspec.field(default_factory=list)

    def number(self) -> int:
        """Replies below this one, itself included."""
        return 1 + sum(reply.number() for reply in self.children)


class _Child(Comment):
    children: list[_Reply] = msgspec.field(default_factory=list)


class _Thread(msgspec.Struct):
    children: list[msgspec.Raw]


class Algolia:
    """Threads from Algolia's search over Hacker News; a thread is one answer."""

    weight = 0.3

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access = url.rstrip("/"), access
        self._threads: list[_Hit] = []
        self._next_page, self._pages = 0, 1

    def advertisements(self, month: datetime, reading: Reading) -> Iterator[str]:
        """See :class:`~include.kreislauf.collection.jobs.threads.Threads`."""
        threads = self._threads_of(month)
        if not threads:
            reading.missing = NO_THREAD
        seen: set[int] = set()
        for thread in threads:
            answer = self._access.get(f"{self._url}/items/{thread}")
            for child in decoded(answer, _THREAD).children:
                yield from self._advertisement(bytes(child), seen, reading)

    def _advertisement(self, raw: bytes, seen: set[int], reading: Reading) -> Iterator[str]:
        reading.read += 1
        try:
            child = _CHILD.decode(raw)
            replies = sum(reply.number() for reply in child.children)
        except UNREADABLE as error:
            reading.quarantine(reading.read, str(error), raw)
            return
        reading.read += replies
        reading.ignored["reply"] += replies
        if why := why_ignored(child, seen):
            reading.ignored[why] += 1
        else:
            yield child.text or ""

    def _threads_of(self, month: datetime) -> list[str]:
        """Ids of the month's threads; the list is fetched page by page, newest first, only as far as needed."""
        earliest = (month - EARLY).timestamp()
        while self._next_page < min(self._pages, MAX_PAGES) and (
            not self._threads or self._threads[-1].created_at_i >= earliest
        ):
            answer = self._access.get(
                f"{self._url}/search_by_date",
                params={"tags": f"story,author_{ACCOUNT}", "hitsPerPage": PAGE_SIZE, "page": self._next_page},
            )
            page = decoded(answer, _PAGE)
            self._threads += page.hits
            self._pages, self._next_page = page.nbPages, self._next_page + 1
        found = (
            hit.objectID for hit in self._threads if month_of(hit.title or "", hit.created_at_i) == month
        )
        return sorted(set(found))


class _Item(Comment):
    time: int | None = None
    title: str = ""
    kids: list[int] = msgspec.field(default_factory=list)


class _User(msgspec.Struct):
    submitted: list[int] = msgspec.field(default_factory=list)


class Firebase:
    """Threads from Hacker News' own API: one request per comment."""

    weight = 10.0

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access = url.rstrip("/"), access
        self._submitted: list[int] | None = None
        self._story = lru_cache(maxsize=1024)(self._item)

    def advertisements(self, month: datetime, reading: Reading) -> Iterator[str]:
        """See :class:`~include.kreislauf.collection.jobs.threads.Threads`."""
        threads = list(self._threads_of(month))
        if not threads:
            reading.missing = NO_THREAD
        seen: set[int] = set()
        for kid in (kid for thread in threads for kid in thread.kids):
            comment = self._item(kid)
            reading.read += 1
            if comment is None:
                reading.ignored["deleted"] += 1
            elif why := why_ignored(comment, seen):
                reading.ignored[why] += 1
            else:
                yield comment.text or ""

    def _threads_of(self, month: datetime) -> Iterator[_Item]:
        """The month's threads, found by bisection: ids grow with time."""
        if self._submitted is None:
            answer = self._access.get(f"{self._url}/user/{ACCOUNT}.json")
            self._submitted = sorted(decoded(answer, _USER).submitted)
        first = bisect_left(self._submitted, (month - EARLY).timestamp(), key=self._time)
        end = shift(month, "month", 1).timestamp()
        for id_ in self._submitted[first:]:
            if (story := self._story(id_)) is None or story.time is None:
                continue
            if story.time >= end:
                return
            if month_of(story.title, story.time) == month:
                yield story

    def _time(self, id_: int) -> float:
        """When something was submitted; what was deleted without a trace is as old as what came before it."""
        submitted = self._submitted or []
        for place in range(bisect_left(submitted, id_), -1, -1):
            if (story := self._story(submitted[place])) is not None and story.time is not None:
                return story.time
        return 0.0

    def _item(self, id_: int) -> _Item | None:
        try:
            answer = self._access.get(f"{self._url}/item/{id_}.json")
        except NotThere:
            return None
        return decoded(answer, _ITEM)


_PAGE = msgspec.json.Decoder(_Page)
_THREAD = msgspec.json.Decoder(_Thread)
_CHILD = msgspec.json.Decoder(_Child)
_ITEM: msgspec.json.Decoder[_Item | None] = msgspec.json.Decoder(_Item | None)
_USER = msgspec.json.Decoder(_User)
