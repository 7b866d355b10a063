"""One line of GH Archive as an event: the three formats, and only the fields that are counted.

- until 2014 (*timeline*): no id; the actor is a login, or absent; ``repository`` carries owner, name and language;
- 2015 to 2025-10: ``repo.name``; a pull request carries its base repository with language, later also topics;
- since 2025-10-09: keys sorted; pushes without commits, pull requests without language and title.

What is not declared here is skipped by the decoder, yet has to be well-formed JSON.

Source: https://www.gharchive.org, https://docs.github.com/en/rest/using-the-rest-api/github-event-types,
https://github.blog/changelog/2025-08-08-upcoming-changes-to-github-events-api-payloads.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

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
    """Where it happened, until 2014. A repository without language lacks the key."""

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
    """One line."""

    type: str
    actor: Actor | str | None = None
    repo: Repo | None = None
    repository: TimelineRepository | None = None
    payload: Payload | None = None
    id: int | None = None

    @property
    def base(self) -> BaseRepository | None:
        """What the event's pull request says of its repository."""
        pull_request = self.payload.pull_request if self.payload else None
        return pull_request.base.repo if pull_request and pull_request.base else None


class Head(Struct, gc=False):
    """What must be sound in an event that is not counted."""

    type: str
    id: int | None = None


class Unusable(Exception):
    """A line that is not a sound event; says why."""


# Not strict: an id is written as text, and kept as a number, in half the memory.
decode = msgspec.json.Decoder(Event, strict=False).decode
_decode_head = msgspec.json.Decoder(Head, strict=False).decode
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_odd(line: bytes, error: Exception) -> Event:
    """A line that :data:`decode` refused: still sound where its type is not counted, whatever its payload is.

    Raises
    ------
    Unusable: it is not, or it is not text at all.
    """
    if isinstance(error, UnicodeDecodeError):
        raise Unusable(f"not UTF-8 ({error.reason} at byte {error.start})") from error
    try:
        head = _decode_head(line)
    except DECODE_ERRORS:
        raise Unusable(str(error)) from error
    if head.type in COUNTED:
        raise Unusable(str(error)) from error
    return Event(type=head.type, id=head.id)


def timeline_place(event: Event) -> tuple[str, str]:
    """Repository and login of an event until 2014; the login is empty where nobody was logged in.

    Raises
    ------
    Unusable: there is no repository, or the event is a newer one without actor.
    """
    if event.repo is not None:
        raise Unusable("actor.login is missing")
    if event.repository is None:
        raise Unusable("repo.name is missing")
    return f"{event.repository.owner}/{event.repository.name}", event.actor if isinstance(
        event.actor, str
    ) else ""


def action_of(event: Event) -> str:
    """The action of an event of a type that has several.

    Raises
    ------
    Unusable: it has none, or is a pull request's without the pull request.
    """
    if event.payload is None or event.payload.action is None:
        raise Unusable("payload.action is missing")
    if event.type == "PullRequestEvent" and event.payload.pull_request is None:
        raise Unusable("payload.pull_request is missing")
    return event.payload.action


def is_bot(login: str) -> bool:
    """Whether an account is a machine's, see :data:`BOT_ENDINGS`."""
    return login.endswith(BOT_ENDINGS)
