"""The Stack Exchange API as it is documented: wrapper, pages, quota, backoff, refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.simulation.answers import Request
from include.kreislauf.simulation.observations import observe
from include.kreislauf.simulation.questions import Questions
from include.kreislauf.simulation.stackexchange import StackExchange
from include.kreislauf.simulation.technologies import World

NOW = datetime(2016, 1, 1, 6, tzinfo=UTC)
DAY = {"fromdate": "1420070400", "todate": "1420156799"}  # 2015-01-01
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def questions(world: World) -> Questions:
    return Questions(observe(world))


def asking(api: StackExchange) -> Ask:
    def ask(method: str, now: datetime = NOW, **query: str) -> tuple[int, dict[str, Any]]:
        answer = api.answer(Request(f"/2.3/{method}", {"site": "stackoverflow", **query}, {}, now))
        assert answer.headers["Content-Encoding"] == "gzip"
        return answer.status, json.loads(gzip.decompress(answer.body))

    return ask


@pytest.fixture
def ask(questions: Questions) -> Ask:
    return asking(StackExchange(questions))


def test_a_total_is_nothing_but_a_number(ask: Ask) -> None:
    status, everything = ask("questions", filter="total", **DAY)
    assert status == 200
    assert set(everything) == {"total"}
    often = ask("tags")[1]["items"][0]["name"]
    _, tagged = ask("questions", filter="total", tagged=often, **DAY)
    assert 0 < tagged["total"] < everything["total"]
    assert ask("questions", filter="total", tagged="nobody-asks", **DAY)[1] == {"total": 0}


def test_pages_end_where_the_total_does(ask: Ask) -> None:
    window = {"fromdate": "1420070400", "todate": "1420073999"}
    total = ask("questions", filter="total", **window)[1]["total"]
    found: list[dict[str, Any]] = []
    for page in range(1, 100):
        _, content = ask("questions", page=str(page), pagesize="100", order="asc", sort="creation", **window)
        assert {"items", "has_more", "quota_max", "quota_remaining"} <= set(content)
        found += content["items"]
        if not content["has_more"]:
            break
    assert len({one["question_id"] for one in found}) == len(found) == total > 100
    assert all(1 <= len(one["tags"]) <= 12 for one in found)
    dates = [one["creation_date"] for one in found]
    assert dates == sorted(dates)
    assert 1420070400 <= dates[0] <= dates[-1] <= 1420073999


def test_tags_are_paged_by_popularity_or_name(ask: Ask, world: World) -> None:
    names: list[str] = []
    counts: list[int] = []
    for page in range(1, 10):
        _, content = ask("tags", order="desc", sort="popular", page=str(page), pagesize="100")
        names += [one["name"] for one in content["items"]]
        counts += [one["count"] for one in content["items"]]
        if not content["has_more"]:
            break
    assert page == 3
    assert counts == sorted(counts, reverse=True)
    assert set(world.names) - world.emerging <= set(names)
    assert not world.emerging & set(names)
    by_name = [one["name"] for one in ask("tags", order="asc", sort="name", pagesize="100")[1]["items"]]
    assert by_name == sorted(by_name)


@pytest.mark.parametrize(
    ("method", "query", "error", "message"),
    [
        ("questions", {"site": ""}, (400, "bad_parameter"), "site is required"),
        ("questions", {"site": "nowhere"}, (400, "bad_parameter"), "No site found for name `nowhere`"),
        ("questions", {"fromdate": "2015-01-01"}, (400, "bad_parameter"), "fromdate"),
        ("questions", {"page": "0"}, (400, "bad_parameter"), "page"),
        ("tags", {"pagesize": "101"}, (400, "bad_parameter"), "pagesize"),
        ("tags", {"order": "up"}, (400, "bad_parameter"), "order"),
        ("questions", {"sort": "beauty"}, (400, "bad_parameter"), "sort"),
        ("questions", {"page": "26"}, (403, "access_denied"), "page above 25 requires"),
        ("answers", {}, (404, "no_method"), "no method found"),
    ],
)
def test_a_refusal_has_status_400_and_says_in_its_body_why(
    ask: Ask, method: str, query: dict[str, str], error: tuple[int, str], message: str
) -> None:
    status, content = ask(method, **query)
    assert status == 400
    assert (content["error_id"], content["error_name"]) == error
    assert message in content["error_message"]


def test_with_a_key_later_pages_can_be_read(ask: Ask) -> None:
    assert ask("questions", page="26", key="secret")[0] == 200


def test_the_quota_is_used_up_and_comes_back_the_next_day(questions: Questions) -> None:
    ask = asking(StackExchange(questions, quota=3))
    left = [ask("tags")[1]["quota_remaining"] for _ in range(3)]
    assert left == [2, 1, 0]
    status, content = ask("tags")
    assert (status, content["error_id"], content["error_name"]) == (400, 502, "throttle_violation")
    assert content["error_message"].endswith("more requests available in 64800 seconds")
    assert ask("tags", now=datetime(2016, 1, 2, tzinfo=UTC))[1]["quota_remaining"] == 2


def test_now_and_then_the_client_is_asked_to_wait(questions: Questions) -> None:
    ask = asking(StackExchange(questions, backoff_every=4))
    waits = [ask("questions", filter="total", **DAY)[1].get("backoff") for _ in range(8)]
    assert waits == [None, None, None, 1, None, None, None, 1]
