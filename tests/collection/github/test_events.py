"""One line as an event, in each of the formats."""

from __future__ import annotations

import json

import pytest

from include.kreislauf.collection.github.events import (
    DECODE_ERRORS,
    Actor,
    BaseRepository,
    Unusable,
    decode,
    decode_odd,
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
    found = decode(json.dumps(pull_request("acme/site", "C++", ["cms"])))
    assert (found.type, found.repo.name, found.actor) == ("PullRequestEvent", "acme/site", Actor("ann"))  # type: ignore[union-attr]
    assert found.base == BaseRepository("C++", ["cms"])
    assert isinstance(found.id, int)


def test_the_format_until_2014():
    found = decode(json.dumps(timeline("WatchEvent", "acme/site", "Ruby", "ann", action="started")))
    assert (found.repository.owner, found.repository.name, found.repository.language) == (
        "acme",
        "site",
        "Ruby",
    )  # type: ignore[union-attr]
    assert (found.actor, found.id) == ("ann", None)


def test_the_format_since_2025_does_not_say_the_language():
    unsaid = decode(json.dumps(pull_request(), sort_keys=True)).base
    none = decode(json.dumps(pull_request(language=None))).base
    assert unsaid is not None
    assert none is not None
    assert (unsaid == none, none.language) == (False, None)


def test_an_event_that_is_not_counted_may_have_any_payload():
    for odd in ({"payload": "none"}, {"payload": [1]}, {"repository": []}, {"actor": 7}):
        line = json.dumps(event("GistEvent") | odd).encode()
        with pytest.raises(DECODE_ERRORS) as caught:
            decode(line)
        assert decode_odd(line, caught.value).type == "GistEvent"


@pytest.mark.parametrize(("line", "said"), [
    ('{"type": "WatchEvent", "payload": []}', "Expected `object"),
    ('{"type": "GistEvent"', "truncated"), ('{"type": "GistEvent"}{"type": "GistEvent"}', "trailing characters"),
    ('{"kind": "GistEvent"}', "missing required field `type`"), ('["WatchEvent"]', "Expected `object`"),
    ('{"type": "GistEvent", "id": "x"}', "Expected `int"), ("null", "Expected `object`"),
])  # fmt: skip
def test_a_line_that_is_no_event_says_why(line: str, said: str):
    with pytest.raises(DECODE_ERRORS) as caught:
        decode(line)
    with pytest.raises(Unusable, match=said):
        decode_odd(line.encode(), caught.value)
