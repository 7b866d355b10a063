"""The simulated Stack Exchange API, version 2.3: questions, tags, quota, ``backoff``, and its way to say no.

Source: https://api.stackexchange.com/docs (wrapper, paging, throttle, error-handling).
"""

from __future__ import annotations

import gzip
import threading
from datetime import date, timedelta
from typing import Any

from include.kreislauf.periods import start_of
from include.kreislauf.simulation.answers import Answer, Request, json_answer
from include.kreislauf.simulation.questions import Question, Questions, Span

SITE = "stackoverflow"
QUOTA, QUOTA_WITHOUT_KEY = 10_000, 300
_MOST_PAGES_WITHOUT_KEY, _MOST_PER_PAGE, _PER_PAGE = 25, 100, 30
_BACKOFF_SECONDS = 1


class _RefusedError(Exception):
    """The API's own error: id, name, message."""

    def __init__(self, number: int, name: str, message: str) -> None:
        self.content = {"error_id": number, "error_message": message, "error_name": name}


class StackExchange:
    """The API of a site.

    Parameters
    ----------
    questions: what the site knows.
    quota: requests that it answers in a day of the world; the real one allows 300 without a key, 10,000 with one.
    backoff_every: one in so many answers asks the client to wait for a second.
    """

    def __init__(self, questions: Questions, quota: int = QUOTA, backoff_every: int = 400) -> None:
        self._questions, self._quota, self._backoff_every = questions, quota, backoff_every
        self._lock = threading.Lock()
        self._day, self._used, self._asked = date.min, 0, 0

    def answer(self, request: Request) -> Answer:
        """Always compressed; every error has status 400 and says in its body what it is."""
        try:
            remaining, backoff = self._admit(request)
            content, status = self._content(request), 200
            if "total" not in content:
                content |= {"quota_max": self._quota, "quota_remaining": remaining}
            if backoff:
                content["backoff"] = _BACKOFF_SECONDS
        except _RefusedError as refusal:
            content, status = refusal.content, 400
        plain = json_answer(content, status)
        headers = {**plain.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Answer(status, gzip.compress(plain.body, compresslevel=1, mtime=0), headers)

    def _admit(self, request: Request) -> tuple[int, bool]:
        """Requests left today, and whether the client is asked to wait."""
        with self._lock:
            if request.now.date() != self._day:
                self._day, self._used = request.now.date(), 0
            if self._used >= self._quota:
                midnight = start_of(request.now, "month") + timedelta(days=request.now.day)
                seconds = int((midnight - request.now).total_seconds())
                message = f"too many requests from this IP, more requests available in {seconds} seconds"
                raise _RefusedError(502, "throttle_violation", message)
            self._used, self._asked = self._used + 1, self._asked + 1
            return self._quota - self._used, self._asked % self._backoff_every == 0

    def _content(self, request: Request) -> dict[str, Any]:
        methods = {"/2.3/questions": self._get_questions, "/2.3/tags": self._get_tags}
        if (method := methods.get(request.path.rstrip("/"))) is None:
            raise _RefusedError(404, "no_method", "no method found with this name")
        if not (site := request.query.get("site", "")):
            raise _RefusedError(400, "bad_parameter", "site is required")
        if site not in (SITE, f"{SITE}.com"):
            raise _RefusedError(400, "bad_parameter", f"No site found for name `{site}`")
        return method(request)

    def _get_questions(self, request: Request) -> dict[str, Any]:
        _one_of(request, "sort", "activity", "creation", "votes", "hot", "week", "month")
        tags = [tag for tag in request.query.get("tagged", "").split(";") if tag]
        since, until = (_number(request, name) for name in ("fromdate", "todate"))
        spans = self._questions.spans(since, until, request.now)
        total = self._questions.count(tags, spans)
        if request.query.get("filter") == "total":
            return {"total": total}
        return self._page(request, tags, spans, total)

    def _page(self, request: Request, tags: list[str], spans: list[Span], total: int) -> dict[str, Any]:
        first, size = _paging(request)
        newest_first = _one_of(request, "order", "desc", "asc") == "desc"
        found = self._questions.page(tags, spans, first, size, newest_first=newest_first)
        return {"items": [_shown(question) for question in found], "has_more": first + size < total}

    def _get_tags(self, request: Request) -> dict[str, Any]:
        popular = _one_of(request, "sort", "popular", "activity", "name") != "name"
        descending = _one_of(request, "order", "desc", "asc") == "desc"
        found = self._questions.popular(request.now)
        ordered = found if popular == descending else found[::-1]
        if not popular:
            ordered = sorted(found, reverse=descending)
        first, size = _paging(request)
        items = [
            {
                "has_synonyms": False,
                "is_moderator_only": False,
                "is_required": False,
                "count": count,
                "name": name,
            }
            for name, count in ordered[first : first + size]
        ]
        return {"items": items, "has_more": first + size < len(ordered)}


def _shown(question: Question) -> dict[str, Any]:
    link = f"https://{SITE}.com/questions/{question.id}/how-does-it-work"
    return {
        "tags": list(question.tags),
        "owner": {"reputation": 1, "user_id": question.id % 100_000, "user_type": "registered", "display_name": "Kim"},
        "is_answered": False, "view_count": 12, "answer_count": 0, "score": 0, "last_activity_date": question.asked,
        "creation_date": question.asked, "question_id": question.id, "link": link, "title": "How does it work?",
    }  # fmt: skip


def _paging(request: Request) -> tuple[int, int]:
    """Number of the first item, and how many are asked for."""
    page, size = _number(request, "page", 1), _number(request, "pagesize", _PER_PAGE)
    if page is None or page < 1:
        raise _RefusedError(400, "bad_parameter", "page")
    if size is None or not 0 <= size <= _MOST_PER_PAGE:
        raise _RefusedError(400, "bad_parameter", "pagesize")
    if page > _MOST_PAGES_WITHOUT_KEY and "key" not in request.query:
        raise _RefusedError(403, "access_denied", "page above 25 requires access token or app key")
    return (page - 1) * size, size


def _number(request: Request, name: str, default: int | None = None) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 12:
        raise _RefusedError(400, "bad_parameter", name)
    return int(text)


def _one_of(request: Request, name: str, *allowed: str) -> str:
    """A parameter's value; the first of the allowed ones where it is not given."""
    if (value := request.query.get(name, allowed[0])) not in allowed:
        raise _RefusedError(400, "bad_parameter", name)
    return value
