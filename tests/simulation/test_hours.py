"""Hour files: real lines in three formats, the same every time, with the world's counts in them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.simulation import SimulationError, WorldParameters
from include.kreislauf.simulation.event_formats import format_of
from include.kreislauf.simulation.hours import hour_file, is_missing, repositories, sampled_months
from include.kreislauf.simulation.observations import Observations, month_of_quarter, observe
from include.kreislauf.simulation.technologies import World, simulate

LONG = WorldParameters(quarters=62)
HOURS = {
    "timeline": datetime(2012, 8, 15, 15, tzinfo=UTC),
    "events": datetime(2015, 2, 15, 15, tzinfo=UTC),
    "short": datetime(2025, 12, 15, 15, tzinfo=UTC),
}


@pytest.fixture(scope="module")
def seen() -> Observations:
    """A world that lasts until GitHub's events have become short."""
    return observe(simulate(0, LONG))


def lines(seen: Observations, hour: datetime) -> list[dict[str, Any]]:
    content = hour_file(seen, hour)
    assert content is not None
    raw = gzip.decompress(content)
    assert raw.endswith(b"\n")
    return [json.loads(line) for line in raw.splitlines()]


def is_bot(event: dict[str, Any]) -> bool:
    actor = event["actor"]
    return "bot" in (actor if isinstance(actor, str) else actor["login"])


def distinct(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without repeated ids; the timeline had none."""
    return list({event.get("id", number): event for number, event in enumerate(events)}.values())


def opened(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    people = [event for event in distinct(events) if not is_bot(event)]
    return [
        event
        for event in people
        if event["type"] == "PullRequestEvent" and event["payload"]["action"] == "opened"
    ]


def starred(events: list[dict[str, Any]]) -> Counter[str]:
    people = [event for event in distinct(events) if event["type"] == "WatchEvent" and not is_bot(event)]
    return Counter(
        event["repo"]["name"]
        if "repo" in event
        else f"{event['repository']['owner']}/{event['repository']['name']}"
        for event in people
    )


@pytest.mark.parametrize("style", HOURS)
def test_a_file_holds_the_counts_of_its_month(seen: Observations, style: str) -> None:
    hour = HOURS[style]
    assert format_of(hour) == style
    world, events = seen.world, lines(seen, hour)
    quarter, month = world.index_of(hour), (hour.month - 1) % 3
    languages = repositories(seen)
    if style == "timeline":
        by_language = Counter(event["repository"].get("language") for event in opened(events))
    elif style == "events":
        by_language = Counter(
            event["payload"]["pull_request"]["base"]["repo"]["language"] for event in opened(events)
        )
    else:
        by_language = Counter(languages[event["repo"]["name"]] for event in opened(events))
    expected = month_of_quarter(seen.pull_requests[:, quarter], month)
    assert [by_language[name] for name in world.names] == expected.tolist()
    others = month_of_quarter(seen.other_pull_requests[:, quarter], month)
    assert by_language.total() == expected.sum() + others.sum()
    stars = starred(events)
    assert [stars[f"{name}/{name}"] for name in world.names] == month_of_quarter(
        seen.stars[:, quarter], month
    ).tolist()


def test_the_timeline_looks_as_it_did(seen: Observations) -> None:
    events = lines(seen, HOURS["timeline"])
    pull_request = opened(events)[0]
    assert set(pull_request) == {
        "actor", "actor_attributes", "created_at", "payload", "public", "repository", "type", "url",
    }  # fmt: skip
    assert isinstance(pull_request["actor"], str)
    assert pull_request["created_at"][:14] == "2012-08-15T15:"
    assert pull_request["created_at"].endswith("-07:00")
    assert any("language" not in event["repository"] for event in events)


def test_events_since_2015_look_as_they_did(seen: Observations) -> None:
    events = lines(seen, HOURS["events"])
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(ids)
    assert len(ids) - len(set(ids)) == 3
    assert {"id", "type", "actor", "repo", "payload", "public", "created_at"} <= set(events[0])
    assert any("org" in event for event in events)
    assert all(event["payload"]["commits"] for event in events if event["type"] == "PushEvent")
    assert {event["created_at"][-1] for event in events} == {"Z"}


def test_short_events_name_neither_language_nor_title_nor_commits(seen: Observations) -> None:
    events = lines(seen, HOURS["short"])
    for event in events:
        if event["type"] == "PullRequestEvent":
            assert set(event["payload"]["pull_request"]) == {"url", "id", "number", "base"}
            assert set(event["payload"]["pull_request"]["base"]["repo"]) == {"id", "name", "url"}
        if event["type"] == "PushEvent":
            assert "commits" not in event["payload"]
        assert list(event) == sorted(event)


def test_every_hour_of_a_month_shows_the_same_counts_in_other_events(seen: Observations) -> None:
    hour = HOURS["events"]
    first, second = lines(seen, hour), lines(seen, hour.replace(day=3, hour=4))
    assert {name: n for name, n in starred(first).items() if n > 2} == {
        name: n for name, n in starred(second).items() if n > 2
    }
    assert not {event["id"] for event in first} & {event["id"] for event in second}


def test_the_same_hour_has_the_same_bytes_and_another_seed_others(seen: Observations) -> None:
    hour = HOURS["events"]
    assert hour_file(seen, hour) == hour_file(observe(simulate(0, LONG)), hour)
    assert hour_file(seen, hour) != hour_file(observe(simulate(1, LONG)), hour)


def test_an_outage_has_no_file_or_one_with_a_single_event(seen: Observations) -> None:
    assert hour_file(seen, datetime(2013, 8, 15, 15, tzinfo=UTC)) is None
    assert is_missing(datetime(2021, 10, 26, 3, tzinfo=UTC))
    (event,) = lines(seen, datetime(2014, 11, 15, 15, tzinfo=UTC))
    assert event["type"] == "CreateEvent"
    assert sampled_months(datetime(2013, 7, 1, tzinfo=UTC)) == [True, False, True]
    assert sampled_months(datetime(2014, 10, 1, tzinfo=UTC)) == [True, False, True]
    assert sampled_months(datetime(2015, 1, 1, tzinfo=UTC)) == [True, True, True]


def test_hours_before_and_after_the_world_are_refused(seen: Observations) -> None:
    with pytest.raises(SimulationError, match="outside the simulated time"):
        hour_file(seen, datetime(2010, 12, 31, 23, tzinfo=UTC))


def test_what_is_no_technology_does_not_grow(world: World) -> None:
    seen = observe(world)
    early, late = (starred(lines(seen, datetime(year, 2, 15, 15, tzinfo=UTC))) for year in (2015, 2020))
    technologies = {f"{name}/{name}" for name in world.names}
    others = {name for name, count in late.items() if count > 2} - technologies
    assert others
    assert {name: early[name] for name in others} == {name: late[name] for name in others}
    new = {f"{name}/{name}" for name in world.emerging}
    assert sum(early[name] for name in new) == 0 < sum(late[name] for name in new)
