"""Client of the Stack Exchange API, version 2.3 (https://api.stackexchange.com/docs).

Every answer is one wrapper: ``items``, ``has_more``, ``quota_max``, ``quota_remaining``, ``backoff``, and for errors
(HTTP 400) ``error_id``, ``error_name``, ``error_message``. The built-in filter ``total`` leaves out all but ``total``:
such an answer does not tell of quota or backoff, so a violation of these can only be noticed when it is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from include.kreislauf.collection.access import Access
from include.kreislauf.errors import SourceError

PAGE_SIZE = 100
MAX_PAGES = 5000
"""Pages of one request: half a million questions, more than any month has."""
TRIES = 4
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
PASSING = (500, 502, 503)
"""``error_id`` of errors that may pass: internal_error, throttle_violation, temporarily_unavailable."""
RESET = "the quota is set anew with the next day (UTC); a key (KREISLAUF_SECRET_STACKEXCHANGE_KEY) raises it"
_SECONDS = re.compile(r"(\d+) seconds")


class Wrapper(msgspec.Struct):
    """What every answer has; which fields, the filter decides."""

    items: list[msgspec.Raw] = []
    has_more: bool = False
    quota_max: int | None = None
    quota_remaining: int | None = None
    backoff: float | None = None
    total: int | None = None
    error_id: int | None = None
    error_name: str = ""
    error_message: str = ""


class Question(msgspec.Struct):
    """A question; ``creation_date`` counts seconds since 1970."""

    question_id: int
    creation_date: int
    tags: list[str]


class Tag(msgspec.Struct):
    """A tag, and how many questions have it now."""

    name: str
    count: int


Item = TypeVar("Item", Question, Tag)
_WRAPPER = msgspec.json.Decoder(Wrapper)
_DECODERS = {kind: msgspec.json.Decoder(kind) for kind in (Question, Tag)}


def decode(kind: type[Item], raw: msgspec.Raw) -> Item:
    """One item.

    Raises
    ------
    msgspec.MsgspecError: it lacks a field, or has one of another type.
    """
    found: Item = _DECODERS[kind].decode(raw)  # type: ignore[assignment]
    return found


class StackExchange:
    """One site, asked by one client.

    ``backoff`` is honoured before the next request of the same method, and nothing is asked once the quota is used up.

    Parameters
    ----------
    url: base URL, such as https://api.stackexchange.com/2.3.
    site: such as ``stackoverflow``.
    """

    def __init__(self, access: Access, url: str, site: str) -> None:
        self._access, self._url, self._site = access, url.rstrip("/"), site
        self._more = False
        self._pauses: dict[str, float] = {}
        self.requests = 0
        self.quota: tuple[int, int] | None = None
        """What is left of how many requests a day, where an answer told."""

    def total(self, tag: str | None, start: datetime, end: datetime) -> int:
        """How many questions were asked in a time (end excluded), with a tag, or in all.

        Raises
        ------
        SourceError: see :meth:`_ask`; or the answer has no total.
        """
        params = {**_between(start, end), "filter": "total"}
        if tag is not None:
            params["tagged"] = tag
        found = self._ask("questions", params).total
        if found is None or found < 0:
            raise self._error(f"the answer has the total {found}", "the API has changed")
        return found

    def questions(self, start: datetime, end: datetime) -> Iterator[Sequence[msgspec.Raw]]:
        """The questions that were asked in a time (end excluded), oldest first, page by page.

        Pages shift while they are read: a question may come twice.
        """
        params = {**_between(start, end), "order": "asc", "sort": "creation"}
        yield from self._pages("questions", params, MAX_PAGES)
        if self._more:
            raise self._error(f"has more than {MAX_PAGES} pages", "ask for a shorter window")

    def tags(self, pages: int) -> Iterator[Sequence[msgspec.Raw]]:
        """The most used tags, with how often they were used so far, on so many pages at most."""
        yield from self._pages("tags", {"order": "desc", "sort": "popular"}, pages)

    def _pages(self, method: str, params: dict[str, str | int], most: int) -> Iterator[Sequence[msgspec.Raw]]:
        self._more = True
        for page in range(1, most + 1):
            answer = self._ask(method, {**params, "page": page, "pagesize": PAGE_SIZE})
            self._more = answer.has_more
            if answer.has_more and not answer.items:
                raise self._error(f"page {page} of {method} is empty, though there are more", transient=True)
            yield answer.items
            if not self._more:
                return

    def _ask(self, method: str, params: dict[str, str | int]) -> Wrapper:
        """One answer without an error.

        Raises
        ------
        SourceError: the quota is used up, or the API stays busy (both transient), or it refuses the request.
        """
        for attempt in range(TRIES):
            answer = self._once(method, params)
            if answer.error_id is None:
                return answer
            told = _SECONDS.search(answer.error_message)
            pause = float(told[1]) + 1 if told else FIRST_PAUSE * 2**attempt
            if answer.error_id not in PASSING:
                raise self._refused(answer, "correct the contract's url, site or tags, or the key")
            if pause > LONGEST_PAUSE:
                break
            self._pauses[method] = max(pause, self._pauses.get(method, 0.0))
        raise self._refused(answer, RESET, transient=True)

    def _once(self, method: str, params: dict[str, str | int]) -> Wrapper:
        if self.quota and self.quota[0] <= 0:
            raise self._error(
                f"the day's quota of {self.quota[1]} requests is used up", RESET, transient=True
            )
        if pause := self._pauses.pop(method, 0.0):
            self._access.wait(pause)
        asked: dict[str, str | int] = {"site": self._site, **params}
        if key := self._access.secret("stackexchange_key"):
            asked["key"] = key
        self.requests += 1
        return self._understood(
            method, self._access.get(f"{self._url}/{method}", params=asked, accept=(200, 400)).body
        )

    def _understood(self, method: str, body: bytes) -> Wrapper:
        try:
            answer = _WRAPPER.decode(body)
        except msgspec.ValidationError as error:
            raise self._error(f"the answer has another form ({error})", "the API has changed") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._error("the answer is not JSON", "try again later", transient=True) from error
        if answer.quota_remaining is not None:
            self.quota = (answer.quota_remaining, answer.quota_max or 0)
        if answer.backoff:
            self._pauses[method] = answer.backoff
        return answer

    def _refused(self, answer: Wrapper, next_step: str, *, transient: bool = False) -> SourceError:
        what = f"{answer.error_name} ({answer.error_id}): {self._access.hide(answer.error_message)}"
        return self._error(what, next_step, transient=transient)

    def _error(self, what: str, next_step: str = "", *, transient: bool = False) -> SourceError:
        where = f"{self._url} ({self._site})"
        return SourceError(what, where=where, next_step=next_step, transient=transient)


def _between(start: datetime, end: datetime) -> dict[str, str | int]:
    """A time as the API has it: seconds, both ends included."""
    return {"fromdate": int(start.timestamp()), "todate": int(end.timestamp()) - 1}
