"""Lines of GH Archive in the three formats that it has had.

Until 2014 the *timeline* (no ids, the language beside the event), then GitHub's *events* with the language inside pull
requests, and since 2025-10-09 *short* events without it. Real keys, short values: reading costs per event.

Source: files of data.gharchive.org of 2012-08-15, 2015-02-01, 2021-07-21, 2025-12-15 and 2026-08-12.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from zlib import crc32

Format = Literal["timeline", "events", "short"]
_EVENTS_SINCE = datetime(2015, 1, 1, tzinfo=UTC)
_SHORT_SINCE = datetime(2025, 10, 9, tzinfo=UTC)

# What differs from line to line of the same subject. Whole lines are made once per subject, and only filled in.
_ID, _NUMBER, _TIME, _ACTOR, _LOGIN, _SHA = "@id@", "@number@", "@time@", "@actor@", "@login@", "@sha@"
_FILLED = {
    f'"{_ID}"': '"%(id)d"', f'"{_NUMBER}"': "%(number)d", _NUMBER: "%(number)d", _TIME: "%(time)s",
    f'"{_ACTOR}"': "%(actor)s", _LOGIN: "%(login)s", _SHA: "%(id)040x",
}  # fmt: skip


class Subject(NamedTuple):
    """What an event is about.

    Parameters
    ----------
    type, action: of the event; no action where its type has none.
    repository: owner/name.
    language: main language of the repository, None where GitHub sees none.
    """

    type: str
    action: str
    repository: str
    language: str | None


class Actor(NamedTuple):
    """Who did it."""

    id: int
    login: str


def format_of(hour: datetime) -> Format:
    """The format in which GH Archive recorded an hour."""
    if hour < _EVENTS_SINCE:
        return "timeline"
    return "events" if hour < _SHORT_SINCE else "short"


def time_template(style: Format, hour: datetime) -> bytes:
    """Moments of an hour as events of a format write them, to be filled with minute and second.

    The timeline wrote the time of California.
    """
    zone = "Z"
    if style == "timeline":
        zone = "-07:00" if 3 < hour.month < 11 else "-08:00"
    return f"{hour:%Y-%m-%dT%H}:%02d:%02d{zone}".encode()


@lru_cache(8192)
def line_template(style: Format, subject: Subject) -> bytes:
    """A whole line, to be filled with ``id``, ``number``, ``time``, ``login`` and ``actor`` (see below)."""
    make = {"timeline": _timeline, "events": _event, "short": _short}[style]
    text = json.dumps(make(subject), separators=(",", ":"), sort_keys=style == "short").replace("%", "%%")
    for placeholder, filled in _FILLED.items():
        text = text.replace(placeholder, filled)
    return f"{text}\n".encode()


@lru_cache(8192)
def actor_json(actor: Actor) -> bytes:
    """The actor of an event since 2015."""
    shown = {
        "id": actor.id, "login": actor.login, "display_login": actor.login.removesuffix("[bot]"), "gravatar_id": "",
        "url": f"https://api.github.com/users/{actor.login}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{actor.id}?",
    }  # fmt: skip
    return json.dumps(shown, separators=(",", ":")).encode()


def repository_id(name: str) -> int:
    """GitHub's number of a repository: the same at every mention."""
    return crc32(name.encode())


def _timeline(subject: Subject) -> dict[str, Any]:
    owner, name = subject.repository.split("/")
    url = f"https://github.com/{subject.repository}"
    line = {
        "created_at": _TIME, "payload": _timeline_payload(subject), "public": True, "type": subject.type, "url": url,
        "actor": _LOGIN, "actor_attributes": {"login": _LOGIN, "type": "User", "gravatar_id": ""},
        "repository": {
            "id": repository_id(subject.repository), "name": name, "url": url, "owner": owner, "fork": False,
            "private": False, "language": subject.language,
        },
    }  # fmt: skip
    if subject.language is None:  # the timeline left the key out
        del line["repository"]["language"]  # type: ignore[attr-defined]
    return line


def _timeline_payload(subject: Subject) -> dict[str, Any]:
    if subject.type == "PullRequestEvent":
        return {"action": subject.action, "number": _NUMBER, "pull_request": _pull_request(subject)}
    if subject.type == "PushEvent":
        return {
            "size": 1,
            "ref": "refs/heads/master",
            "head": _SHA,
            "shas": [[_SHA, _LOGIN, "fix", _LOGIN, True]],
        }
    return _other_payload(subject) | ({"issue": _NUMBER} if subject.type == "IssuesEvent" else {})


def _event(subject: Subject) -> dict[str, Any]:
    return _since_2015(subject, _event_payload(subject, _pull_request(subject)))


def _event_payload(subject: Subject, pull_request: dict[str, Any]) -> dict[str, Any]:
    if subject.type == "PullRequestEvent":
        return {"action": subject.action, "number": _NUMBER, "pull_request": pull_request}
    if subject.type == "PushEvent":
        commit = {"sha": _SHA, "author": {"email": "", "name": _LOGIN}, "message": "fix", "distinct": True}
        return {
            "push_id": _NUMBER, "size": 1, "distinct_size": 1, "ref": "refs/heads/master", "head": _SHA, "before": _SHA,
            "commits": [commit],
        }  # fmt: skip
    return _other_payload(subject)


def _short(subject: Subject) -> dict[str, Any]:
    repository = repository_id(subject.repository)
    payload = _event_payload(subject, _pull_request(subject, short=True))
    if subject.type == "PushEvent":
        payload = {
            "repository_id": repository, "push_id": _NUMBER, "ref": "refs/heads/main", "head": _SHA, "before": _SHA,
        }  # fmt: skip
    return _since_2015(subject, payload)


def _since_2015(subject: Subject, payload: dict[str, Any]) -> dict[str, Any]:
    owner = subject.repository.split("/")[0]
    url = f"https://api.github.com/repos/{subject.repository}"
    repo = {"id": repository_id(subject.repository), "name": subject.repository, "url": url}
    line = {
        "id": _ID, "type": subject.type, "actor": _ACTOR, "repo": repo, "payload": payload, "public": True,
        "created_at": _TIME,
    }  # fmt: skip
    if subject.type != "WatchEvent":
        return line
    # Repositories that many people star mostly belong to an organisation.
    return line | {"org": {"id": repository_id(owner), "login": owner, "gravatar_id": ""}}


def _other_payload(subject: Subject) -> dict[str, Any]:
    if subject.type == "WatchEvent":
        return {"action": "started"}
    if subject.type == "IssuesEvent":
        return {
            "action": subject.action,
            "issue": {"number": _NUMBER, "title": "It does not work", "state": "open"},
        }
    if subject.type == "ForkEvent":
        name = subject.repository.split("/")[1]
        return {"forkee": {"id": _NUMBER, "name": name, "full_name": f"{_LOGIN}/{name}", "fork": True}}
    return {"ref": "feature", "ref_type": "branch", "master_branch": "master", "description": None}


def _pull_request(subject: Subject, *, short: bool = False) -> dict[str, Any]:
    name, url = subject.repository, f"https://api.github.com/repos/{subject.repository}"
    repo: dict[str, Any] = {"id": repository_id(name), "name": name.split("/")[1], "url": url}
    base = {"ref": "master", "sha": _SHA, "repo": repo}
    pull_request = {"url": f"{url}/pulls/{_NUMBER}", "id": _NUMBER, "number": _NUMBER, "base": base}
    if short:
        return pull_request
    repo |= {"full_name": name, "private": False, "fork": False, "language": subject.language}
    closed = subject.action == "closed"
    return pull_request | {
        "html_url": f"https://github.com/{name}/pull/{_NUMBER}", "state": "closed" if closed else "open",
        "title": "Make it faster", "body": None, "user": {"login": _LOGIN}, "created_at": "2011-01-01T00:00:00Z",
        "merged": closed, "commits": 1, "additions": 3, "deletions": 1, "changed_files": 1,
    }  # fmt: skip
