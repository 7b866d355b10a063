"""Lines of GH Archive for tests, in its three formats, as small as they may be."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.collection.github.counting import Hour
from include.kreislauf.collection.github.tally import Asked
from include.kreislauf.collection.gzip_lines import blocks
from include.kreislauf.collection.source import Reading, Unit

_ids = itertools.count(2_549_961_020)
MISSING: Any = object()


def event(
    kind: str, repo: str = "acme/site", login: str = "ann", *, action: str = "", number: int | None = None,
    **payload: Any,
) -> dict[str, Any]:  # fmt: skip
    """The format since 2015."""
    return {
        "id": str(next(_ids) if number is None else number), "type": kind, "actor": {"id": 1, "login": login},
        "repo": {"id": 2, "name": repo}, "payload": ({"action": action} if action else {}) | payload,
        "public": True, "created_at": "2015-02-01T15:00:00Z",
    }  # fmt: skip


def pull_request(
    repo: str = "acme/site",
    language: Any = MISSING,
    topics: Any = MISSING,
    *,
    action: str = "opened",
    **more: Any,
) -> dict[str, Any]:
    """A pull request; without a language it has the format since 2025-10-09."""
    base = {"id": 2, "name": repo.partition("/")[2]}
    base |= {} if language is MISSING else {"language": language}
    base |= {} if topics is MISSING else {"topics": topics}
    return event("PullRequestEvent", repo, action=action, number=more.pop("number", None),
                 pull_request={"number": 1, "base": {"ref": "main", "repo": base}}, **more)  # fmt: skip


def timeline(
    kind: str, repo: str = "acme/site", language: str | None = "Ruby", actor: Any = "ann", **payload: Any
) -> dict[str, Any]:
    """The format until 2014."""
    owner, _, name = repo.partition("/")
    repository = {"owner": owner, "name": name, "forks": 7} | ({"language": language} if language else {})
    found = {"public": True, "type": kind, "repository": repository, "payload": payload,
             "created_at": "2012-08-15T00:00:05-07:00", "url": "https://github.com/"}  # fmt: skip
    return found if actor is MISSING else found | {"actor": actor}


def packed(events: Iterable[dict[str, Any] | bytes | str]) -> bytes:
    """An hour's file; what is not an event is a line as it is."""
    lines = (json.dumps(one).encode() if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
             for one in events)  # fmt: skip
    return gzip.compress(b"".join(line + b"\n" for line in lines), 1)


def empty_reading() -> Reading:
    return Reading(Unit(id="2015-02-01-15", start=datetime(2015, 2, 1, 15, tzinfo=UTC),
                        end=datetime(2015, 2, 1, 16, tzinfo=UTC)))  # fmt: skip


def count(
    content: bytes, asked: Asked | None = None, languages: dict[str, str | None] | None = None
) -> Reading:
    """What an hour's file gives."""
    hour = Hour(asked or Asked(keep_repositories_from=1), empty_reading())
    hour.read(blocks(io.BytesIO(content), "hour"))
    hour.finish(languages or {})
    return hour.reading


def sums(reading: Reading, by: str, measure: str) -> dict[str, int]:
    """Counts of one kind by subject."""
    return {one.subject: one.value for one in reading.counts if (one.by, one.measure) == (by, measure)}


def total(reading: Reading, measure: str) -> int:
    return sums(reading, "total", measure)[""]
