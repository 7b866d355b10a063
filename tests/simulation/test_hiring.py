"""Threads of advertisements: who reads the texts finds the world's counts, and no more than was written by now."""

from __future__ import annotations

import html
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.kreislauf.simulation import WorldParameters
from include.kreislauf.simulation.hiring import HIRING, comments, find_thread, item, search_hit, threads
from include.kreislauf.simulation.observations import Observations, observe
from include.kreislauf.simulation.technologies import World, simulate

FAR = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def seen(world: World) -> Observations:
    return observe(world)


def advertisements(seen: Observations, month: datetime, now: datetime = FAR) -> list[dict[str, Any]]:
    (thread,) = [one for one in threads(seen, now) if one.month == month and one.kind == HIRING]
    return list(item(seen, thread, now)["children"])


def words(text: str) -> set[str]:
    """Words of what a reader sees."""
    visible = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return set(re.findall(r"[\w-]+", visible))


@pytest.mark.parametrize("year", [2011, 2016, 2021])
def test_a_quarters_advertisements_name_what_the_world_says(seen: Observations, year: int) -> None:
    months = [datetime(year, month, 1, tzinfo=UTC) for month in (4, 5, 6)]
    texts = [one["text"] for month in months for one in advertisements(seen, month) if one["text"]]
    quarter = seen.world.index_of(months[0])
    assert len(texts) == seen.ads[quarter]
    named = Counter(word for text in texts for word in words(text))
    assert [named[name] for name in seen.world.names] == seen.jobs[:, quarter].tolist()


def test_some_advertisements_were_deleted_and_some_have_questions_below_them(seen: Observations) -> None:
    found = advertisements(seen, datetime(2016, 4, 1, tzinfo=UTC))
    deleted = [one for one in found if one["text"] is None]
    assert 0 < len(deleted) < 0.05 * len(found)
    assert {one["author"] for one in deleted} == {None}
    replies = [reply for one in found for reply in one["children"]]
    assert replies
    assert all(set(seen.world.names) & words(reply["text"]) for reply in replies)
    assert len({one["id"] for one in [*found, *replies]}) == len(found) + len(replies)


def test_an_item_looks_as_algolia_shows_it(seen: Observations) -> None:
    thread = threads(seen, FAR)[-1]
    story = item(seen, thread, FAR)
    keys = {
        "author", "children", "created_at", "created_at_i", "id", "options", "parent_id", "points", "story_id", "text",
        "title", "type", "url",
    }  # fmt: skip
    assert set(story) == set(story["children"][0]) == keys
    assert (story["type"], story["children"][0]["type"]) == ("story", "comment")
    assert story["children"][0]["parent_id"] == story["id"] == thread.id
    assert re.fullmatch(r"2011-01-\d\dT\d\d:\d\d:\d\d\.000Z", story["created_at"])
    assert datetime.fromisoformat(story["created_at"]).timestamp() == story["created_at_i"]


def test_every_month_has_three_threads_on_its_first_working_day_newest_first(seen: Observations) -> None:
    found = threads(seen, FAR)
    assert len(found) == 3 * 3 * len(seen.world.quarters)
    assert [one.posted for one in found] == sorted((one.posted for one in found), reverse=True)
    assert max(one.posted.weekday() for one in found) < 5
    assert all(one.posted - one.month < timedelta(days=3) for one in found)
    assert "Ask HN: Who is hiring? (January 2016)" in {one.title for one in found}
    assert len({one.id for one in found}) == len(found)


def test_what_was_written_later_is_not_shown(seen: Observations) -> None:
    month = datetime(2016, 4, 1, tzinfo=UTC)
    now = month + timedelta(days=2)
    (thread,) = [one for one in threads(seen, now) if one.month == month and one.kind == HIRING]
    early, late = comments(seen, thread, now), comments(seen, thread, FAR)
    assert 0 < len(early) < len(late)
    assert all(one.posted < now and all(reply.posted < now for reply in one.replies) for one in early)
    assert [(one.id, one.text) for one in early] == [(one.id, one.text) for one in late[: len(early)]]
    assert search_hit(seen, thread, now)["num_comments"] == len(early)
    assert search_hit(seen, thread, FAR)["num_comments"] == len(late)
    assert late[-1].posted.month == 4
    assert find_thread(seen, thread.id, thread.posted) is None
    assert find_thread(seen, thread.id, now) == thread


def test_a_world_with_one_technology_has_threads_too() -> None:
    seen = observe(simulate(0, WorldParameters(established=1, emerging=0, quarters=4)))
    (name,) = seen.world.names
    texts = [one["text"] or "" for one in advertisements(seen, datetime(2011, 2, 1, tzinfo=UTC))]
    assert sum(name in words(text) for text in texts) > 0.5 * len(texts)
