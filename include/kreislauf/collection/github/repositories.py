"""Languages of repositories, for events that do not say them: remembered from pull requests, or asked of GitHub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.access_answer import Answer
from include.kreislauf.errors import SourceError

STALE_AFTER = timedelta(days=365)
"""A repository's main language changes rarely: after this time GitHub is asked again, if it may be asked at all."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}/[A-Za-z0-9._-]{1,100}")
_FOUND, _UNCHANGED, _GONE, _REFUSED = 200, 304, (404, 410, 451), (403, 429)


@dataclass(frozen=True)
class Known:
    """What is known of one repository.

    Parameters
    ----------
    language: main language; ``None``: GitHub sees none, or the repository is gone.
    seen_at: when GitHub said so.
    etag: of the API's answer, to ask whether it still holds; empty: an event said so.
    """

    language: str | None
    seen_at: datetime
    etag: str = ""


class Repositories(Protocol):
    """A memory of repositories, by ``owner/name``; capitals do not matter."""

    def find(self, names: Collection[str]) -> dict[str, Known]:
        """What is known of them, by their names in small letters; nothing of the others."""

    def remember(self, known: Mapping[str, Known]) -> None:
        """Keep it, unless something newer is known."""


class Memory:
    """A memory that lasts as long as its process."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def find(self, names: Collection[str]) -> dict[str, Known]:
        """See :class:`Repositories`."""
        return {key: self._known[key] for key in map(str.lower, names) if key in self._known}

    def remember(self, known: Mapping[str, Known]) -> None:
        """See :class:`Repositories`."""
        for name, one in known.items():
            before = self._known.get(name.lower())
            if before is None or before.seen_at <= one.seen_at:
                self._known[name.lower()] = one


class RepositoryApi:
    """GitHub's REST API, ``GET /repos/{owner}/{repo}``, asked as often as it permits.

    A refusal, an exhausted rate limit and a server that does not answer end the asking: what is unknown stays so, and
    the next collection asks again.

    Parameters
    ----------
    url: base URL.
    most: requests that may be made in all.

    Source: https://docs.github.com/en/rest/repos/repos#get-a-repository,
    https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api (conditional requests).
    """

    def __init__(self, access: Access, url: str, most: int) -> None:
        self._access, self._url, self.left = access, url.rstrip("/"), most
        self.stopped = ""
        """Why nothing is asked any more; empty: it may be."""

    def ask(self, name: str, before: Known | None, at: datetime) -> Known | None:
        """What GitHub says of one repository now; nothing: it was not asked, or did not say.

        Parameters
        ----------
        before: what is known of it; its ETag makes an answer without change free of charge.
        at: when it is asked, where the answer does not say.

        Raises
        ------
        SourceError: the token is wrong, or the server is not permitted.
        """
        if (
            self.stopped
            or self.left <= 0
            or not _NAME.fullmatch(name)
            or name.rpartition("/")[2] in (".", "..")
        ):
            return None
        self.left -= 1
        try:
            answer = self._access.get(
                f"{self._url}/repos/{name}", headers=self._headers(before),
                accept=(_FOUND, _UNCHANGED, *_GONE, *_REFUSED),
            )  # fmt: skip
            return self._known(answer, before, at)
        except SourceError as error:
            if not error.transient:
                raise
            self.stopped = error.text
            return None

    def _headers(self, before: Known | None) -> dict[str, str]:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token := self._access.secret("github_token"):
            headers["Authorization"] = f"Bearer {token}"
        if before and before.etag:
            headers["If-None-Match"] = before.etag
        return headers

    def _known(self, answer: Answer, before: Known | None, at: datetime) -> Known | None:
        """The answer's meaning. Secondary limits come as 403 or 429, and 403 also stands for a blocked repository."""
        remaining, reset = (answer.headers.get(f"X-RateLimit-{name}", "") for name in ("Remaining", "Reset"))
        waits = remaining == "0" or "Retry-After" in answer.headers
        if waits or answer.status == _REFUSED[1]:
            self.stopped = f"the rate limit is used up until {_time(reset)}"
        if answer.status in _REFUSED:
            return None if self.stopped else Known(None, _date(answer, at))
        if answer.status == _UNCHANGED and before:
            return Known(before.language, _date(answer, at), before.etag)
        if answer.status in _GONE:
            return Known(None, _date(answer, at))
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("language"), str | None):
            raise SourceError("the answer has no language", where=answer.url, transient=True)
        return Known(found.get("language"), _date(answer, at), answer.headers.get("ETag", ""))


@dataclass(frozen=True)
class Resolved:
    """Languages by name in small letters, and how many of the asking events each way served."""

    languages: dict[str, str | None]
    facts: Counter[str]


def resolve(asking: Counter[str], memory: Repositories, api: RepositoryApi, at: datetime) -> Resolved:
    """Find the languages of repositories: in memory, else from GitHub, those with the most events first.

    Parameters
    ----------
    asking: repository -> events that ask for its language.
    at: the time of the events.
    """
    known = memory.find(asking)
    told: dict[str, Known] = {}
    for name, _ in asking.most_common():
        before = known.get(name.lower())
        if before is None or (before.etag and at - before.seen_at > STALE_AFTER):
            answer = api.ask(name, before, at)
            if answer is not None:
                told[name.lower()] = answer
    memory.remember(told)
    found = known | told
    facts: Counter[str] = Counter()
    for name, events in asking.items():
        if (one := found.get(name.lower())) and one.language:
            facts["language.from_api" if name.lower() in told else "language.from_table"] += events
    return Resolved({name: one.language for name, one in found.items()}, facts)


def _date(answer: Answer, at: datetime) -> datetime:
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except ValueError:
        return at


def _time(epoch: str) -> str:
    return f"{datetime.fromtimestamp(int(epoch), UTC):%Y-%m-%d %H:%M} UTC" if epoch.isdecimal() else "later"
