"""One line as an event, in each of the formats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from include.kreislauf.collection.github.events import BlockDecoder, Event, Unusable, decode_line, is_bot
from tests.collection.github.lines import event, pull_request, timeline


@pytest.mark.parametrize(("login", "bot"), [
    ("dependabot[bot]", True), ("renovate-bot", True), ("OCA-git-bot", True), ("Acme-Bot", True),
    ("robotpony", False), ("IHeartRobotics", False), ("travisbot", False), ("abbot", False), ("", False),
])  # fmt: skip
def test_bots_say_that_they_are(login: str, bot: bool):
    assert is_bot(login) == bot


def test_the_format_since_2015():
    found = decoded(pull_request("acme/site", "C++", ["cms"]))
    assert (found.type, found.repo, found.login) == ("PullRequestEvent", "acme/site", "ann")
    assert (found.language, found.topics) == ("C++", ["cms"])
    assert isinstance(found.id, int)


def test_the_format_until_2014_becomes_the_one_since():
    watched = timeline("WatchEvent", "acme/site", "Ruby", "ann", action="started")
    found = decode_line(json.dumps(watched).encode())
    assert (found.repo, found.login, found.id, found.language) == ("acme/site", "ann", None, "Ruby")
    assert decode_line(json.dumps(timeline("PushEvent", language=None)).encode()).language is None
    assert BlockDecoder()(memoryview(json.dumps(watched).encode())) is None


def test_a_pull_request_until_2014_knows_its_base_better():
    both = timeline(
        "PullRequestEvent", language="C", action="opened", pull_request={"base": {"repo": {"language": "Go"}}}
    )
    assert decode_line(json.dumps(both).encode()).language == "Go"
    gone = timeline("PullRequestEvent", language="C", action="opened", pull_request={"base": {"repo": None}})
    assert decode_line(json.dumps(gone).encode()).language == "C"


def test_the_format_since_2025_does_not_say_the_language():
    assert decoded(pull_request()).language is UNSET
    assert decoded(pull_request(language=None)).language is None


def test_an_event_that_is_not_counted_may_have_any_payload():
    for odd in ({"payload": "none"}, {"payload": [1]}, {"repository": []}, {"actor": 7}):
        line = json.dumps(event("GistEvent") | odd).encode()
        number = int(json.loads(line)["id"])
        assert BlockDecoder()(memoryview(line)) == ([], {"GistEvent": [number]})
        assert decode_line(line) == Event(number, "GistEvent")


@pytest.mark.parametrize(("line", "said"), [
    ('{"type": "WatchEvent", "payload": []}', "Expected `object"),
    ('{"type": "GistEvent"', "truncated"), ('{"type": "GistEvent"}{"type": "GistEvent"}', "trailing characters"),
    ('{"kind": "GistEvent"}', "missing required field `type`"), ('["WatchEvent"]', "Expected `object`"),
    ('{"type": "GistEvent", "id": "x"}', "Expected `int"), ("null", "Expected `object`"), ("", "truncated"),
])  # fmt: skip
def test_a_line_that_is_no_event_says_why(line: str, said: str):
    with pytest.raises(Unusable, match=said):
        decode_line(line.encode())
    assert not BlockDecoder()(memoryview(line.encode()))


OBJECT = (
    b'{"type": "GistEvent", "id": "1", "actor": {"login": "ann"}, "repo": {"name": "a/b"}, "payload": {}}'
)


@pytest.mark.parametrize("ended", [b"", b"\n"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_block_of_lines_is_as_many_events(number: int, ended: bytes):
    block = b"\n".join([OBJECT] * number) + ended
    found = BlockDecoder()(memoryview(bytearray(block)))
    assert found == ([], {"GistEvent": [1] * number})
    assert len(found or []) == number


@pytest.mark.parametrize("block", [
    OBJECT * 2, OBJECT + b" " + OBJECT, OBJECT + b"\n\n" + OBJECT, b"\n" + OBJECT, OBJECT + b"\n\n",
    OBJECT.replace(b", ", b",\n"), OBJECT * 2 + b"\n" + OBJECT.replace(b", ", b",\n"),
    OBJECT * 2 + b"\n" + OBJECT.replace(b": {", b":\n{"), OBJECT * 2 + b"\n" + OBJECT.replace(b"}, ", b"}\n, "), OBJECT * 2 + b"\n\n" + OBJECT,
    OBJECT + b"\n" + OBJECT[:-1],
    OBJECT[:-1] + b', "x": "\xff"}',
])  # fmt: skip
def test_a_block_that_is_not_one_event_per_line_is_looked_at_line_by_line(block: bytes):
    assert BlockDecoder()(memoryview(block)) is None


PLAIN = st.binary(max_size=6).map(
    lambda text: bytes(byte for byte in text if byte >= 0x20 and byte not in b'"\\\\')
)


@given(st.integers(0, 200), st.text("é€🚀", max_size=8), PLAIN)
def test_law_both_ways_take_what_is_utf8_and_nothing_else(before: int, text: str, tail: bytes):
    content = b"a" * before + text.encode() + tail
    line = b'{"type": "GistEvent", "id": "1", "x": "' + content + b'"}'
    try:
        content.decode()
    except UnicodeDecodeError:
        assert BlockDecoder()(memoryview(line)) is None
        with pytest.raises(Unusable, match="not UTF-8"):
            decode_line(line)
    else:
        assert BlockDecoder()(memoryview(line)) == ([], {"GistEvent": [1]})
        assert decode_line(line) == Event(1, "GistEvent")


def decoded(one: dict[str, Any]) -> Event:
    """An event, by both ways, with its keys in either order."""
    lines = [json.dumps(one, sort_keys=order).encode() for order in (False, True)]
    block = BlockDecoder()(memoryview(lines[0]))
    assert block is not None
    (found,) = block.counted
    assert [decode_line(line) for line in lines] == [found, found]
    return found
