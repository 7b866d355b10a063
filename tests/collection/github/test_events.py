"""One line as an event, in each of the formats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.kreislauf.collection.github.events import (
    Actor,
    BaseRepository,
    Event,
    Payload,
    Repo,
    Unusable,
    decode_block,
    decode_line,
    is_bot,
)
from tests.collection.github.lines import event, pull_request, timeline


@pytest.mark.parametrize(("login", "bot"), [
    ("dependabot[bot]", True), ("renovate-bot", True), ("OCA-git-bot", True), ("Acme-Bot", True),
    ("robotpony", False), ("IHeartRobotics", False), ("travisbot", False), ("abbot", False), ("", False),
])  # fmt: skip
def test_bots_say_that_they_are(login: str, bot: bool):
    assert is_bot(login) == bot


def test_the_format_since_2015():
    found = decoded(pull_request("acme/site", "C++", ["cms"]))
    assert (found.type, found.repo.name, found.actor) == ("PullRequestEvent", "acme/site", Actor("ann"))
    assert found.base == BaseRepository("C++", ["cms"])
    assert isinstance(found.id, int)


def test_the_format_until_2014_becomes_the_one_since():
    watched = timeline("WatchEvent", "acme/site", "Ruby", "ann", action="started")
    found = decode_line(json.dumps(watched).encode())
    assert (found.repo.name, found.actor, found.id, found.language) == (
        "acme/site",
        Actor("ann"),
        None,
        "Ruby",
    )
    assert decode_line(json.dumps(timeline("PushEvent", language=None)).encode()).language is None
    assert decode_block(memoryview(json.dumps(watched).encode())) is None


def test_a_pull_request_until_2014_knows_its_base_better():
    both = timeline(
        "PullRequestEvent", language="C", action="opened", pull_request={"base": {"repo": {"language": "Go"}}}
    )
    assert decode_line(json.dumps(both).encode()).language == "Go"
    gone = timeline("PullRequestEvent", language="C", action="opened", pull_request={"base": {"repo": None}})
    assert decode_line(json.dumps(gone).encode()).language == "C"


def test_the_format_since_2025_does_not_say_the_language():
    unsaid = decoded(pull_request()).base
    none = decoded(pull_request(language=None)).base
    assert unsaid is not None
    assert none is not None
    assert (unsaid == none, none.language) == (False, None)


def test_an_event_that_is_not_counted_may_have_any_payload():
    for odd in ({"payload": "none"}, {"payload": [1]}, {"repository": []}, {"actor": 7}):
        line = json.dumps(event("GistEvent") | odd).encode()
        assert decode_line(line).type == "GistEvent"
        assert decode_block(memoryview(line)) is None or "repository" in odd


@pytest.mark.parametrize(("line", "said"), [
    ('{"type": "WatchEvent", "payload": []}', "Expected `object"),
    ('{"type": "GistEvent"', "truncated"), ('{"type": "GistEvent"}{"type": "GistEvent"}', "trailing characters"),
    ('{"kind": "GistEvent"}', "missing required field `type`"), ('["WatchEvent"]', "Expected `object`"),
    ('{"type": "GistEvent", "id": "x"}', "Expected `int"), ("null", "Expected `object`"), ("", "truncated"),
])  # fmt: skip
def test_a_line_that_is_no_event_says_why(line: str, said: str):
    with pytest.raises(Unusable, match=said):
        decode_line(line.encode())
    assert not decode_block(memoryview(line.encode()))


OBJECT = (
    b'{"type": "GistEvent", "id": "1", "actor": {"login": "ann"}, "repo": {"name": "a/b"}, "payload": {}}'
)


@pytest.mark.parametrize("ended", [b"", b"\n"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_block_of_lines_is_as_many_events(number: int, ended: bytes):
    block = b"\n".join([OBJECT] * number) + ended
    assert (
        decode_block(memoryview(bytearray(block)))
        == [Event(1, "GistEvent", Actor("ann"), Repo("a/b"), Payload())] * number
    )


@pytest.mark.parametrize("block", [
    OBJECT * 2, OBJECT + b" " + OBJECT, OBJECT + b"\n\n" + OBJECT, b"\n" + OBJECT, OBJECT + b"\n\n",
    OBJECT.replace(b", ", b",\n"), OBJECT * 2 + b"\n" + OBJECT.replace(b", ", b",\n"),
    OBJECT * 2 + b"\n" + OBJECT.replace(b": {", b":\n{"), OBJECT * 2 + b"\n" + OBJECT.replace(b"}, ", b"}\n, "), OBJECT * 2 + b"\n\n" + OBJECT,
    OBJECT + b"\n" + OBJECT[:-1],
    OBJECT[:-1] + b', "x": "\xff"}', OBJECT + b"\r\n" + OBJECT,
])  # fmt: skip
def test_a_block_that_is_not_one_event_per_line_is_looked_at_line_by_line(block: bytes):
    assert decode_block(memoryview(block)) is None


def decoded(one: dict[str, Any]) -> Event:
    """An event, by both ways, with its keys in either order."""
    lines = [json.dumps(one, sort_keys=order).encode() for order in (False, True)]
    (found,) = decode_block(memoryview(lines[0])) or []
    assert [decode_line(line) for line in lines] == [found, found]
    return found
