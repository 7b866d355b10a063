"""Counting an hour: what counts as what, and that no line is lost."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.generate_events import compress, events
from include.kreislauf.collection.github.tally import Asked
from tests.collection.github.lines import (
    MISSING,
    count,
    event,
    packed,
    pull_request,
    sums,
    timeline,
    total,
)

REAL = Path(__file__).parents[4] / "shared" / "data" / "raw" / "gharchive"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="../shared/data is not there: real files are not tested"
)


def accounted(reading: Any) -> bool:
    return bool(reading.read == reading.kept + reading.ignored.total() + reading.quarantined)


def test_each_type_counts_as_its_measure():
    reading = count(packed([
        pull_request("a/b", "Go"), pull_request("a/b", "Go"), pull_request("c/d", "C"), pull_request("e/f", None),
        event("PushEvent"), event("WatchEvent", "a/b", action="started"), event("ForkEvent"),
        event("IssuesEvent", action="opened"), event("GollumEvent"),
    ]))  # fmt: skip
    assert {one: total(reading, one) for one in ("pull_requests", "pushes", "stars", "issues", "forks", "events")} == {
        "pull_requests": 4, "pushes": 1, "stars": 1, "issues": 1, "forks": 1, "events": 9,
    }  # fmt: skip
    assert sums(reading, "language", "pull_requests") == {"C": 1, "Go": 2}
    assert sums(reading, "repository", "stars") == {"a/b": 1}
    assert (reading.read, reading.kept, reading.ignored) == (9, 8, Counter(type=1))
    assert reading.facts == {"language.from_event": 3, "language.none": 1, "pull_requests.with_language": 3}


def test_what_is_ignored_says_why():
    twice = event("PushEvent", number=7)
    reading = count(packed([
        twice, twice, event("WatchEvent", number=7, action="started"), event("PushEvent", login="x[bot]"),
        pull_request(language="Go", action="closed"), event("IssuesEvent", action="reopened"), event("CreateEvent"),
        "", "  ", event("PushEvent", login="x-bot", number=7),
    ]))  # fmt: skip
    assert reading.ignored == {"duplicate": 2, "bot": 1, "action": 2, "type": 1, "empty": 2}
    assert (total(reading, "pushes"), total(reading, "stars"), total(reading, "events")) == (1, 1, 6)
    assert accounted(reading)


def test_the_timeline_says_the_language_of_every_event():
    asked = Asked(by_language=frozenset({"pull_requests", "pushes", "stars"}), keep_repositories_from=1)
    reading = count(packed([
        timeline("PushEvent", language="C"), timeline("PushEvent", language=None),
        timeline("WatchEvent", "acme/site", "Ruby", action="started"), timeline("PushEvent", actor=MISSING),
        timeline("PullRequestEvent", action="opened", pull_request={"base": {"repo": {"language": "Go"}}}),
        timeline("PullRequestEvent", language="Perl", action="opened", pull_request={}),
        timeline("FollowEvent") | {"repository": None},
    ]), asked)  # fmt: skip
    assert sums(reading, "language", "pushes") == {"C": 1, "Ruby": 1}
    assert sums(reading, "language", "stars") == {"Ruby": 1}
    assert sums(reading, "language", "pull_requests") == {"Go": 1, "Perl": 1}
    assert sums(reading, "repository", "stars") == {"acme/site": 1}
    assert reading.facts["language.none"] == 1


def test_languages_that_events_do_not_say_are_looked_up_by_repository():
    content = packed([pull_request("A/b"), pull_request("a/B"), pull_request("c/d"), pull_request("e/f")])
    reading = count(content, languages={"a/b": "Go", "c/d": None})
    assert sums(reading, "language", "pull_requests") == {"Go": 2}
    assert reading.facts == {"language.none": 1, "language.unknown": 1, "pull_requests.with_language": 2}
    assert total(reading, "pull_requests") == 4


def test_topics_count_once_for_each_pull_request():
    reading = count(packed([
        pull_request(topics=["react", "cms", "react"]), pull_request(topics=["cms"]), pull_request(topics=None),
        pull_request(topics=[]), pull_request(topics=["go"], action="closed"),
    ]))  # fmt: skip
    assert sums(reading, "topic", "pull_requests") == {"cms": 2, "react": 1}


def test_repositories_are_kept_from_a_number_or_if_the_catalogue_has_them():
    stars = ["Golang/go", "golang/Go", "b/b", "b/b", "b/b", "B/B", "c/c", "c/c", "/", "/", "/", "/"]
    asked = Asked(repositories={"golang/go": "golang/go", "x/y": "X/Y"}, keep_repositories_from=3)
    reading = count(packed(event("WatchEvent", one, action="started") for one in stars), asked)
    assert sums(reading, "repository", "stars") == {"golang/go": 2, "b/b": 4}
    assert total(reading, "stars") == len(stars)


def test_other_measures_count_by_repository_where_asked():
    asked = Asked(by_repository=frozenset({"stars", "pushes"}), keep_repositories_from=1)
    reading = count(packed([event("PushEvent"), event("IssuesEvent", action="opened")]), asked)
    assert sums(reading, "repository", "pushes") == {"acme/site": 1}
    assert sums(reading, "repository", "issues") == {}


@pytest.mark.parametrize(("line", "why"), [
    (b'{"type": "PushEvent"', "truncated"),
    (b"not json", "malformed"),
    (json.dumps(event("PushEvent"))[:-1].encode() + b', "x": "\xff"}', "not UTF-8"),
    (json.dumps(event("GistEvent", "\N{SNOWMAN}")).encode().replace(b"\\u2603", b"\xe2\x98"), "not UTF-8"),
    (json.dumps(event("PushEvent")).encode() * 2, "trailing characters"),
    (b"[" * 100_000, "recursion|malformed|Expected"),
    (json.dumps(event("PushEvent") | {"actor": None}).encode(), "actor.login is missing"),
    (json.dumps(event("PushEvent") | {"actor": "ann"}).encode(), "actor.login is missing"),
    (json.dumps(event("PushEvent") | {"actor": {"id": 1}}).encode(), "missing required field `login`"),
    (json.dumps(event("PushEvent") | {"repo": None}).encode(), "repo.name is missing"),
    (json.dumps(event("IssuesEvent")).encode(), "payload.action is missing"),
    (json.dumps(event("PullRequestEvent", action="opened")).encode(), "payload.pull_request is missing"),
])  # fmt: skip
def test_a_broken_line_is_set_aside_with_its_number(line: bytes, why: str):
    reading = count(packed([event("PushEvent"), "", line, event("PushEvent")]))
    assert (reading.read, reading.kept, reading.quarantined) == (4, 2, 1)
    assert total(reading, "events") == 2
    (fault,) = reading.faults
    assert fault.line == 3
    assert re.search(why, fault.why)
    assert accounted(reading)


def test_a_broken_line_leaves_its_neighbours_whole():
    """A text that is not UTF-8 makes its block suspicious, not the lines beside it."""
    sound = list(events(300, seed=3))
    broken = [line if number % 50 else line[:60] + b"\xff" + line[60:] for number, line in enumerate(sound)]
    whole, reading = (count(gzip.compress(b"".join(lines))) for lines in (sound, broken))
    assert [fault.line for fault in reading.faults] == [1, 51, 101, 151, 201, 251]
    assert total(reading, "events") == total(whole, "events") - 6
    assert accounted(reading)


def test_new_keys_are_told_of():
    reading = count(packed([event("PushEvent", signature="x"), event("ForkEvent") | {"shard": 1}, "{"]))
    assert reading.warnings == ["additive: PushEvent payload.signature", "additive: shard"]


def reference(lines: list[bytes]) -> Counter[tuple[str, str, str]]:
    """The same counts for sound lines since 2015, as simple as can be."""
    found: Counter[tuple[str, str, str]] = Counter()
    seen = set()
    for line in lines:
        one = json.loads(line)
        if (one["type"], one["id"]) in seen:
            continue
        seen.add((one["type"], one["id"]))
        found["total", "", "events"] += 1
        login, payload = one["actor"]["login"].lower(), one["payload"]
        if login.endswith(("[bot]", "-bot")):
            continue
        if one["type"] == "WatchEvent":
            found["total", "", "stars"] += 1
            found["repository", one["repo"]["name"], "stars"] += 1
        elif one["type"] in ("PushEvent", "ForkEvent"):
            found["total", "", {"PushEvent": "pushes", "ForkEvent": "forks"}[one["type"]]] += 1
        elif one["type"] == "IssuesEvent" and payload["action"] == "opened":
            found["total", "", "issues"] += 1
        elif one["type"] == "PullRequestEvent" and payload["action"] == "opened":
            repository = payload["pull_request"]["base"]["repo"]
            found["total", "", "pull_requests"] += 1
            found["language", repository["language"], "pull_requests"] += repository["language"] is not None
            for topic in set(repository.get("topics", ())):
                found["topic", topic, "pull_requests"] += 1
    return +found


def counted(reading: Any) -> Counter[tuple[str, str, str]]:
    return +Counter({(one.by, one.subject, one.measure): one.value for one in reading.counts})


def test_counts_are_those_of_a_simple_count():
    lines = list(events(3000, seed=11))
    lines += random.Random(1).sample(lines, 300)
    random.Random(2).shuffle(lines)
    content = io.BytesIO()
    compress(iter(lines), content)
    reading = count(content.getvalue())
    assert counted(reading) == reference(lines)
    assert accounted(reading)
    assert reading.ignored["duplicate"] == 3300 - len(set(lines)) > 300


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda line: line[: len(line) // 2], "byte": lambda line: line[:70] + b"\xfe" + line[70:],
    "twice": lambda line: line * 2, "empty": lambda _: b"", "key": lambda line: line.replace(b'"type"', b'"kind"', 1),
}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(DAMAGE)) | st.none(), min_size=1, max_size=60), st.integers(0, 5))
def test_every_line_is_kept_ignored_or_set_aside(damage: list[str | None], seed: int):
    lines = [line.rstrip(b"\n") for line in events(len(damage), seed)]
    given = [line if how is None else DAMAGE[how](line) for line, how in zip(lines, damage, strict=True)]
    reading = count(packed(given))
    assert (reading.read, accounted(reading)) == (len(damage), True)
    assert reading.ignored["empty"] == damage.count("empty")
    assert reading.quarantined == sum(how not in (None, "empty") for how in damage)
    assert counted(reading) == reference(
        [line for line, how in zip(lines, damage, strict=True) if how is None]
    )
    assert all(before.line < after.line for before, after in pairwise(reading.faults))


@needs_real
@pytest.mark.parametrize(("name", "lines", "kept"), [
    ("2012-08-15-0.json.gz", 4610, (78, 68, 2233, 511, 141, 183)),
    ("2015-02-01-sample100.json.gz", 100, (4, 4, 59, 6, 2, 4)),
    ("2021-07-21-sample800.json.gz", 800, (24, 21, 398, 58, 13, 19)),
    ("schema_drift_2024_2026_events.json.gz", 6, (0, 0, 2, 0, 1, 0)),
])  # fmt: skip
def test_real_hours_are_accounted_for(name: str, lines: int, kept: tuple[int, ...]):
    """The numbers were counted by hand: a loop over ``json.loads``."""
    reading = count((REAL / name).read_bytes())
    assert (reading.read, reading.quarantined, accounted(reading)) == (lines, 0, True)
    assert reading.warnings == []
    with_language = sum(sums(reading, "language", "pull_requests").values())
    totals = (total(reading, one) for one in ("pushes", "stars", "issues", "forks"))
    assert (total(reading, "pull_requests"), with_language, *totals) == kept


@needs_real
def test_the_events_api_page_is_no_hour():
    """One JSON list in one line: not GH Archive's format, and so set aside, not misread."""
    reading = count((REAL / "github_events_api_page_2023.json.gz").read_bytes())
    assert (reading.read, reading.quarantined, total(reading, "events")) == (1, 1, 0)
