"""The simulated sources without their server: GH Archive, GitHub, Stack Exchange, Hacker News, and the world's time.

Nothing that lies after the world's time is ever shown.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from include.kreislauf.periods import shift
from include.kreislauf.simulation import SimulationError, hiring
from include.kreislauf.simulation.answers import Answer, Request, json_answer
from include.kreislauf.simulation.event_formats import repository_id
from include.kreislauf.simulation.hours import hour_file, repositories
from include.kreislauf.simulation.observations import observe
from include.kreislauf.simulation.questions import Questions
from include.kreislauf.simulation.stackexchange import QUOTA, StackExchange
from include.kreislauf.simulation.technologies import World

# The hour is written without a leading zero.
_HOUR = re.compile(r"/(\d{4})-(\d{2})-(\d{2})-(\d|1\d|2[0-3])\.json\.gz")
_REPOSITORY = re.compile(r"/repos/([^/]+/[^/]+)")
_ITEM = re.compile(r"/api/v1/items/(\d{1,12})")
_NUMERIC_FILTER = re.compile(r"created_at_i(<=|>=|<|>|=)(\d{1,12})")
_COMPARE = {"<": operator.lt, "<=": operator.le, "=": operator.eq, ">": operator.gt, ">=": operator.ge}
# Algolia's, whatever the client asks for.
_HITS_PER_PAGE, _MOST_HITS = 20, 1000


class SimulatedSources:
    """Answers what the real sources would, at the world's time.

    Parameters
    ----------
    world: what is observed.
    now: the world's time; by default its end.
    quota: Stack Exchange requests in a day of the world.
    """

    def __init__(self, world: World, now: datetime | None = None, quota: int = QUOTA) -> None:
        self.world = world
        self.seen = observe(world)
        self._end = shift(world.quarters[-1], "quarter", 1)
        self._now = self._end
        self.now = now or self._end
        self._repositories = {name.lower(): (name, code) for name, code in repositories(self.seen).items()}
        stack_exchange = StackExchange(Questions(self.seen), quota)
        self._roots: dict[str, Callable[[Request], Answer]] = {
            "gharchive": self._hour_file, "github": self._repository, "stackexchange": stack_exchange.answer,
            "hackernews": self._hacker_news,
        }  # fmt: skip

    @property
    def now(self) -> datetime:
        """The world's time, UTC.

        Raises
        ------
        SimulationError: (when set) it has no time zone.
        """
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise SimulationError(f"{moment} has no time zone", where="now", allowed="2016-01-01T00:00:00Z")
        self._now = moment.astimezone(UTC)

    def answer(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """What a source answers; its name is the first part of the path."""
        root, _, rest = path.removeprefix("/").partition("/")
        source = self._roots.get(root)
        if source is None:
            return _not_found()
        return source(Request(f"/{rest}", query, headers, self.now))

    def _hour_file(self, request: Request) -> Answer:
        hour = _hour(request.path)
        if hour is None or not self.world.quarters[0] <= hour < self._end:
            return _not_found()
        if hour + timedelta(hours=1) > request.now or (content := hour_file(self.seen, hour)) is None:
            return _not_found()
        return Answer(200, content, {"Content-Type": "application/gzip"})

    def _repository(self, request: Request) -> Answer:
        """GitHub's ``GET /repos/{owner}/{repo}``, which also answers that nothing has changed."""
        match = _REPOSITORY.fullmatch(request.path)
        limits = {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4999",
            "X-RateLimit-Reset": "4102444800",
        }
        if match is None or (known := self._repositories.get(match[1].lower())) is None:
            return json_answer({"message": "Not Found", "status": "404"}, 404, limits)
        name, language = known
        etag = f'W/"{crc32(f"{name} {language}".encode()):08x}"'
        if request.headers.get("if-none-match") == etag:
            return Answer(304, b"", {**limits, "ETag": etag})
        owner, _, short = name.partition("/")
        content = {
            "id": repository_id(name), "name": short, "full_name": name, "private": False, "owner": {"login": owner},
            "html_url": f"https://github.com/{name}", "fork": False, "language": language, "topics": [],
        }  # fmt: skip
        return json_answer(content, 200, {**limits, "ETag": etag})

    def _hacker_news(self, request: Request) -> Answer:
        if match := _ITEM.fullmatch(request.path):
            thread = hiring.find_thread(self.seen, int(match[1]), request.now)
            return json_answer(hiring.item(self.seen, thread, request.now)) if thread else _not_found()
        if request.path in ("/api/v1/search_by_date", "/api/v1/search"):
            return self._search(request)
        return _not_found()

    def _search(self, request: Request) -> Answer:
        """Threads by date, newest first; words of the query have to be in the title."""
        tags = set(request.query.get("tags", "").split(","))
        words = request.query.get("query", "").lower().split()
        numeric = _NUMERIC_FILTER.findall(request.query.get("numericFilters", ""))
        found = [
            thread
            for thread in hiring.threads(self.seen, request.now)
            if f"author_{hiring.AUTHOR}" in tags and not tags & {"comment", "poll", "job"}
            and all(word in thread.title.lower() for word in words)
            and all(_COMPARE[sign](int(thread.posted.timestamp()), int(bound)) for sign, bound in numeric)
        ][:_MOST_HITS]  # fmt: skip
        size, page = (
            _whole(request.query.get(name), low)
            for name, low in (("hitsPerPage", _HITS_PER_PAGE), ("page", 0))
        )
        size = min(max(size, 1), _MOST_HITS)
        hits = [
            hiring.search_hit(self.seen, thread, request.now)
            for thread in found[page * size : (page + 1) * size]
        ]
        return json_answer(_search_result(hits, len(found), page, size, request))


def _search_result(
    hits: list[dict[str, Any]], found: int, page: int, size: int, request: Request
) -> dict[str, Any]:
    return {
        "exhaustive": {"nbHits": True, "typo": True}, "exhaustiveNbHits": True, "exhaustiveTypo": True, "hits": hits,
        "hitsPerPage": size, "nbHits": found, "nbPages": -(-found // size), "page": page,
        "params": "&".join(f"{name}={value}" for name, value in request.query.items()), "processingTimeMS": 1,
        "query": request.query.get("query", ""), "serverTimeMS": 2,
    }  # fmt: skip


def _hour(path: str) -> datetime | None:
    match = _HOUR.fullmatch(path)
    try:
        return datetime(*map(int, match.groups()), tzinfo=UTC) if match else None  # type: ignore[misc,arg-type]
    except ValueError:  # such as 31 February
        return None


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else default


def _not_found() -> Answer:
    return json_answer({"status": 404, "error": "Not Found"}, 404)
