"""New keys in GH Archive's events: told before they matter. A change that breaks shows as lines set aside.

Only the first lines of a file are looked at: a new format begins with an hour, and holds for all of its lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from include.kreislauf.collection.github.events import COUNTED

SAMPLE_LINES = 200

_ENVELOPE = (
    "id type actor repo payload public created_at org "
    "repository actor_attributes url"  # the timeline's
)
_PAYLOADS = {
    "PullRequestEvent": "action number pull_request label labels assignee assignees requested_reviewer "
    "requested_team changes reason before after milestone",
    "PushEvent": "push_id repository_id size distinct_size ref head before commits shas",
    "WatchEvent": "action",
    "IssuesEvent": "action issue number label labels assignee assignees changes milestone",
    "ForkEvent": "forkee",
}
KNOWN = {
    "": frozenset(_ENVELOPE.split()),
    **{f"{kind} payload": frozenset(keys.split()) for kind, keys in _PAYLOADS.items()},
}
"""Keys by place, of all three formats."""


def new_keys(lines: Iterable[memoryview]) -> list[str]:
    """Keys that no format has had, sorted, such as ``additive: PushEvent payload.signature``."""
    found: set[str] = set()
    for line in islice(lines, SAMPLE_LINES):
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # the count sets it aside
        if isinstance(event, dict):
            found.update(_unknown("", event))
            if str(kind := event.get("type")) in COUNTED:
                found.update(_unknown(f"{kind} payload", event.get("payload")))
    return sorted(f"additive: {key}" for key in found)


def _unknown(place: str, value: Any) -> Iterable[str]:
    keys = value.keys() - KNOWN[place] if isinstance(value, dict) else ()
    return (f"{place}.{key}" if place else key for key in keys)
