"""One line of GH Archive as an event: the three formats, and only the fields that are counted.

- until 2014 (*timeline*): no id; the actor is a login, or absent; ``repository`` carries owner, name and language;
- 2015 to 2025-10: ``repo.name``; a pull request carries its base repository with language, later also topics;
- since 2025-10-09: keys sorted; pushes without commits, pull requests without language and title.

What is not declared here is skipped by the decoder, yet has to be well-formed JSON.

Source: https://www.gharchive.org, https://docs.github.com/en/rest/using-the-rest-api/github-event-types,
https://github.blog/changelog/2025-08-08-upcoming-changes-to-github-events-api-payloads.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from include.kreislauf.collection.gzip_lines import is_utf8

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
MEASURES = tuple(counted.measure for counted in COUNTED.values())
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
    """One line, in the format since 2015, its fields in the order in which they usually come.

    An event of the timeline is made into one without id, whose ``payload`` also says the repository's language.
    """

    id: int | None
    type: str
    actor: Actor
    repo: Repo
    payload: Payload

    @property
    def base(self) -> BaseRepository | None:
        """What the event says of its repository."""
        pull_request = self.payload.pull_request
        return pull_request.base.repo if pull_request and pull_request.base else None

    @property
    def language(self) -> Language:
        """Language of the event's repository."""
        return base.language if (base := self.base) else UNSET

    @property
    def topics(self) -> set[str]:
        """Topics of the event's repository."""
        return set(base.topics) if (base := self.base) and base.topics else set()


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
_event = msgspec.json.Decoder(Event, strict=False)
_odd_event = msgspec.json.Decoder(OddEvent, strict=False)
_head = msgspec.json.Decoder(Head, strict=False)
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WITH_ACTION = frozenset(kind for kind, counted in COUNTED.items() if counted.action)
_OPENS, _CLOSES = b"{}"


def decode_block(block: memoryview) -> list[Event] | None:
    """The events of a block, one per line; nothing where some line has to be looked at by itself."""
    try:
        events: list[Event] = _event.decode_lines(block)
    except _ERRORS:
        return None
    sound = (
        _has_objects(block, len(events))
        and is_utf8(block)
        and all(_is_complete(event) for event in events if event.type in _WITH_ACTION)
    )
    return events if sound else None


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
                return Event(head.id, head.type, Actor(""), Repo(""), Payload())
        raise Unusable(str(error)) from error


def is_bot(login: str) -> bool:
    """Whether an account is a machine's, see :data:`BOT_ENDINGS`."""
    return login.endswith(BOT_ENDINGS)


def _is_complete(event: Event) -> bool:
    """Whether an event of a type with actions has what is needed to count it."""
    payload = event.payload
    return payload.action is not None and (
        payload.pull_request is not None or event.type != "PullRequestEvent"
    )


def _usable(odd: OddEvent) -> Event:
    """An event of any format in that since 2015.

    Raises
    ------
    Unusable: it is of a counted type, and something is missing.
    """
    if odd.type in COUNTED and odd.repo is None and odd.repository is None:
        raise Unusable("repo.name is missing")
    if odd.type in COUNTED and odd.repo is not None and not isinstance(odd.actor, Actor):
        raise Unusable("actor.login is missing")
    event = _from_timeline(odd, odd.repository) if odd.repo is None and odd.repository else Event(
        odd.id, odd.type, odd.actor if isinstance(odd.actor, Actor) else Actor(""), odd.repo or Repo(""),
        odd.payload or Payload(),
    )  # fmt: skip
    if event.type in _WITH_ACTION and not _is_complete(event):
        raise Unusable(f"payload.{'pull_request' if event.payload.action else 'action'} is missing")
    return event


def _from_timeline(odd: OddEvent, repository: TimelineRepository) -> Event:
    """An event until 2014; one whom nobody is named for has an empty login."""
    payload = odd.payload or Payload()
    pull_request = payload.pull_request
    if odd.type != "PullRequestEvent" or (
        pull_request and not (pull_request.base and pull_request.base.repo)
    ):
        payload = Payload(payload.action, PullRequest(Base(BaseRepository(repository.language))))
    login = odd.actor if isinstance(odd.actor, str) else ""
    return Event(odd.id, odd.type, Actor(login), Repo(f"{repository.owner}/{repository.name}"), payload)


def _has_objects(block: memoryview, number: int) -> bool:
    """Whether well-formed JSON is so many objects, each in a line of its own.

    The decoder takes any white space between two objects, also none, and line ends within one. A line end between a
    closing and an opening brace can only lie between two objects; if there are as many lines as objects, no line
    has two.
    """
    whole: bytes = block.obj  # type: ignore[assignment]
    find, start, end = whole.find, 0, len(block)
    while start < end:
        stop = find(b"\n", start, end)
        if stop < 0:
            stop = end
        if whole[start] != _OPENS or whole[stop - 1] != _CLOSES:
            return False
        number -= 1
        start = stop + 1
    return number == 0
