"""New keys in GH Archive's events: told before they matter. A change that breaks shows as lines set aside.

Only the first lines of a file are looked at: a new format begins with an hour, and holds for all of its lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

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


_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def new_keys(lines: Iterable[memoryview]) -> list[str]:
    """Keys that no format has had, sorted, such as ``additive: PushEvent payload.signature``."""
    found: set[str] = set()
    for line in islice(lines, SAMPLE_LINES):
        with suppress(*_ERRORS):  # the count sets such lines aside
            event = _keys(line)
            found.update(event.keys() - KNOWN[""])
            kind = msgspec.json.decode(event.get("type", b"0"))
            if isinstance(kind, str) and kind in COUNTED:
                place = f"{kind} payload"
                found.update(
                    f"{place}.{key}" for key in _keys(event.get("payload", b"{}")) if key not in KNOWN[place]
                )
    return sorted(f"additive: {key}" for key in found)
