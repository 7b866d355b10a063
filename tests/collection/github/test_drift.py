"""Keys that no format has had."""

from __future__ import annotations

import json

import pytest

from include.kreislauf.collection.github.drift import SAMPLE_LINES, new_keys
from tests.collection.github.lines import event, pull_request, timeline


def told(*events: object) -> list[str]:
    return new_keys(memoryview(json.dumps(one).encode()) for one in events)


def test_the_known_formats_have_no_new_keys():
    known = event("PushEvent") | {"org": {}}
    assert (
        told(known, pull_request(), timeline("IssuesEvent", action="opened"), event("OddEvent", odd=1)) == []
    )


def test_new_keys_are_named_once_with_their_place():
    pushed = event("PushEvent", signature=1)
    assert told(pushed, pushed, event("ForkEvent") | {"shard": 2}) == [
        "additive: PushEvent payload.signature", "additive: shard",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "odd", [1, [], "text", event("PushEvent") | {"payload": [1]}, {"type": []}, {"type": {}}]
)
def test_odd_lines_are_left_to_the_count(odd: object):
    assert told(odd) == []


def test_only_the_first_lines_are_looked_at():
    late = [event("PushEvent")] * SAMPLE_LINES + [event("PushEvent", late=1)]
    assert told(*late) == []
    assert told(*late[1:]) == ["additive: PushEvent payload.late"]
