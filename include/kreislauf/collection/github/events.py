"""One line of GH Archive as an event: the three formats, and only the fields that are counted.

- until 2014 (*timeline*): no id; the actor is a login, or absent; ``repository`` carries owner, name and language;
- 2015 to 2025-10: ``repo.name``; a pull request carries its base repository with language, later also topics;
- since 2025-10-09: keys sorted; pushes without commits, pull requests without language and title.

What is not declared here is skipped by the decoder, yet has to be well-formed JSON.

Source: https://www.gharchive.org, https://docs.github.com/en/rest/using-the-rest-api/github-event-types,
https://github.blog/changelog/2025-08-08-upcoming-changes-to-github-events-api-payloads.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import simdjson
from msgspec import UNSET, Struct, UnsetType

from include.kreislauf.collection.gzip_lines import lines_of

Language = str | None | UnsetType
"""A language; ``None``: GitHub sees none; unset: the event does not say."""


class Counted(NamedTuple):
    """How events of one type are counted: under which measure, and with which action only."""

    measure: str
    action: str | None


COUNTED = {
    "PullRequestEvent": Counted("pull_requests", "opened"),
    "PushEvent": Counted("pushes", None),
    "WatchEvent": Counted("stars", None),
    "IssuesEvent": Counted("issues", "opened"),
    "ForkEvent": Counted("forks", None),
}
BOT_ENDINGS = ("[bot]", "-bot", "-Bot", "-BOT")
"""Of logins: GitHub's Apps (``dependabot[bot]``), and accounts that say that they are a machine's (``acme-bot``).

GitHut's rule, any login with "bot" in it, also takes people such as ``robotpony``.
"""


class Actor(Struct, gc=False):
    """Who did it."""

    login: str


class Repo(Struct, gc=False):
    """Where it happened, since 2015: ``owner/name``."""

    name: str


class TimelineRepository(Struct, gc=False):
    """Where it happened, until 2014; a repository without language lacks the key."""

    owner: str
    name: str
    language: str | None = None


class BaseRepository(Struct, gc=False):
    """What a pull request says of the repository that it is for."""

    language: Language = UNSET
    topics: list[str] | None = None


class Base(Struct, gc=False):
    """The side of a pull request that it is for."""

    repo: BaseRepository | None = None


class PullRequest(Struct, gc=False):
    """The part of a pull request that is counted."""

    base: Base | None = None


class Payload(Struct, gc=False):
    """What events of the counted types carry."""

    action: str | None = None
    pull_request: PullRequest | None = None


class Event(Struct, gc=False):
    """What is counted of one line, whatever its format.

    Parameters
    ----------
    id: ``None`` until 2014.
    login, repo: who did it, and ``owner/name`` of where; empty where nobody is named, or where the type is not counted.
    action: of types that have one.
    language: of the repository, as far as the event says it.
    topics: of the repository, as far as the event names them.
    """

    id: int | None
    type: str
    login: str = ""
    repo: str = ""
    action: str | None = None
    language: Language = UNSET
    topics: list[str] | None = None


class OddEvent(Struct, gc=False):
    """One line of any format."""

    type: str
    actor: Actor | str | None = None
    repo: Repo | None = None
    repository: TimelineRepository | None = None
    payload: Payload | None = None
    id: int | None = None


class Head(Struct, gc=False):
    """What must be sound in an event that is not counted."""

    type: str
    id: int | None = None


class Unusable(Exception):
    """A line that is not a sound event; says why."""


# Not strict: an id is written as text, and kept as a number, in half the memory.
_odd_event = msgspec.json.Decoder(OddEvent, strict=False)
_head = msgspec.json.Decoder(Head, strict=False)
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ODD = (KeyError, TypeError, ValueError, AttributeError, RuntimeError)
"""What simdjson, and a value of another type, raise."""


class Block(NamedTuple):
    """Sound events of a block.

    Parameters
    ----------
    counted: those of the counted types.
    others: type -> ids of events of types that are not counted.
    """

    counted: list[Event]
    others: dict[str, list[int]]

    def __len__(self) -> int:
        return len(self.counted) + sum(map(len, self.others.values()))


class BlockDecoder:
    """The fast path: blocks of sound events in the format since 2015.

    simdjson checks each line as a whole (structure, numbers, UTF-8), and makes Python objects only of what is asked for.

    Parameters
    ----------
    with_repo: counted types of which the repository is asked for; those of the others have none.
    """

    def __init__(self, with_repo: Collection[str] = tuple(COUNTED)) -> None:
        self._parse = simdjson.Parser().parse
        self._with_repo = frozenset(with_repo)

    def __call__(self, block: memoryview) -> Block | None:
        """The events of a block, one per line; nothing where some line has to be looked at by itself."""
        parse, with_repo, counted, others = (
            self._parse,
            self._with_repo,
            list[Event](),
            dict[str, list[int]](),
        )
        line: Any = None
        try:
            for content in lines_of(block):
                line = None  # the parser's memory is used again: nothing may refer to the line before
                line = parse(content)
                kind, number = line["type"], int(line["id"])
                how = COUNTED.get(kind)
                if how is None:
                    if kind not in others:
                        others[str(kind)] = []
                    others[kind].append(number)
                    continue
                login, name = line["actor"]["login"], line["repo"]["name"] if kind in with_repo else ""
                if type(login) is not str or type(name) is not str:
                    return None
                if how.action is None:
                    counted.append(Event(number, kind, login, name))
                else:
                    counted.append(_with_action(line, number, kind, login, name))
        except _ODD:
            return None
        finally:
            line = None
        return Block(counted, others)


def _with_action(line: Any, number: int, kind: str, login: str, name: str) -> Event:
    """An event of a type that has actions; a pull request also says what its repository is written in."""
    action = line["payload"]["action"]
    if type(action) is not str:
        raise TypeError
    if kind != "PullRequestEvent":
        return Event(number, kind, login, name, action)
    base = line.at_pointer("/payload/pull_request/base/repo")
    language, topics = base.get("language", UNSET), base.get("topics")
    if not isinstance(language, str | None | UnsetType):
        raise TypeError
    return Event(
        number, kind, login, name, action, language, topics.as_list() if topics is not None else None
    )


def decode_line(line: bytes) -> Event:
    """One line of any format; where its type is not counted, its payload may be what it likes.

    Raises
    ------
    Unusable: it is not an event.
    """
    try:
        str(line, "utf-8")
        return _usable(_odd_event.decode(line))
    except UnicodeDecodeError as error:
        raise Unusable(f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except _ERRORS as error:
        with suppress(*_ERRORS):
            head = _head.decode(line)
            if head.type not in COUNTED:
                return Event(head.id, head.type)
        raise Unusable(str(error)) from error


def is_bot(login: str) -> bool:
    """Whether an account is a machine's, see :data:`BOT_ENDINGS`."""
    return login.endswith(BOT_ENDINGS)


def _usable(odd: OddEvent) -> Event:
    """What is counted of an event of any format.

    Raises
    ------
    Unusable: it is of a counted type, and something is missing.
    """
    counted = COUNTED.get(odd.type)
    if counted is None:
        return Event(odd.id, odd.type)
    if odd.repo is None:
        return _from_timeline(odd, counted)
    if not isinstance(odd.actor, Actor):
        raise Unusable("actor.login is missing")
    payload = odd.payload or Payload()
    action = _action(payload, counted, is_pull_request=odd.type == "PullRequestEvent")
    pull_request = payload.pull_request
    base = (pull_request.base and pull_request.base.repo) if pull_request else None
    says = (base.language, base.topics) if base else (UNSET, None)
    return Event(odd.id, odd.type, odd.actor.login, odd.repo.name, action, *says)


def _from_timeline(odd: OddEvent, counted: Counted) -> Event:
    """An event until 2014; one whom nobody is named for has an empty login."""
    repository, payload = odd.repository, odd.payload or Payload()
    if repository is None:
        raise Unusable("repo.name is missing")
    pull_request = payload.pull_request
    is_pull_request = odd.type == "PullRequestEvent"
    action = _action(payload, counted, is_pull_request=is_pull_request)
    base = (pull_request.base and pull_request.base.repo) if pull_request and is_pull_request else None
    language, topics = (base.language, base.topics) if base else (repository.language, None)
    login = odd.actor if isinstance(odd.actor, str) else ""
    return Event(odd.id, odd.type, login, f"{repository.owner}/{repository.name}", action, language, topics)


def _action(payload: Payload, counted: Counted, *, is_pull_request: bool) -> str | None:
    """The action of an event that must have one.

    Raises
    ------
    Unusable: it has none, or has no pull request where it must.
    """
    if counted.action is None:
        return None
    if payload.action is None:
        raise Unusable("payload.action is missing")
    if is_pull_request and payload.pull_request is None:
        raise Unusable("payload.pull_request is missing")
    return payload.action
