"""Hacker News' threads, from servers that answer as Algolia and Firebase do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.jobs.hacker_news import Algolia, Firebase
from include.kreislauf.collection.jobs.threads import Threads
from include.kreislauf.collection.source import Reading, Unit
from include.kreislauf.errors import SourceError
from tests.collection.web import Request, Web, reply

FEBRUARY, MARCH = datetime(2015, 2, 1, tzinfo=UTC), datetime(2015, 3, 1, tzinfo=UTC)


@pytest.fixture
def access(web: Web) -> Iterator[Access]:
    access = Access(AccessRules.of([web.url], deadline=5), sleep=lambda _: None)
    yield access
    access.close()


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def read(threads: Threads, month: datetime) -> tuple[list[str], Reading]:
    reading = Reading(Unit(id=f"{month:%Y-%m}", start=month, end=month))
    texts = list(threads.advertisements(month, reading))
    reading.kept = len(texts)
    reading.check("test", 1)
    return texts, reading


# Algolia


def hit(id_: int, title: str, day: str) -> dict[str, Any]:
    """A hit as Algolia gives it, with fields that nobody needs."""
    return {
        "objectID": str(id_), "title": title, "created_at_i": seconds(day), "author": "whoishiring", "points": 300,
        "num_comments": 700, "story_text": "Please lead with the location", "_tags": ["story", "author_whoishiring"],
        "_highlightResult": {"title": {"value": title, "matchLevel": "none", "matchedWords": []}},
    }  # fmt: skip


def child(id_: int, text: str | None, *children: Any) -> dict[str, Any]:
    """A comment as Algolia gives it; a deleted one has neither text nor author."""
    return {
        "id": id_, "created_at": "2015-02-01T15:04:05.000Z", "created_at_i": seconds("2015-02-01"), "type": "comment",
        "author": text and "somebody", "title": None, "url": None, "text": text, "points": None, "parent_id": 1,
        "story_id": 1, "children": list(children), "options": [],
    }  # fmt: skip


def thread(id_: int, *children: Any) -> str:
    return json.dumps(
        {"id": id_, "type": "story", "title": "Ask HN", "text": None, "children": list(children)}
    )


def search(*pages: list[dict[str, Any]]) -> Any:
    """Answers a search page by page, as the request asks."""

    def send(request: Request) -> None:
        assert request.query["tags"] == "story,author_whoishiring"
        page = int(request.query["page"])
        body = {"hits": pages[page], "page": page, "nbPages": len(pages), "nbHits": 3, "hitsPerPage": 100}
        reply(body=json.dumps(body))(request)

    return send


HITS = [
    hit(30, "Ask HN: Who is hiring? (March 2015)", "2015-03-01"),
    hit(31, "Ask HN: Freelancer? Seeking freelancer? (March 2015)", "2015-03-01"),
    hit(20, "Ask HN: Who is hiring? (February 2015)", "2015-02-01"),
    hit(21, "Ask HN: Who wants to be hired? (February 2015)", "2015-02-01"),
]  # fmt: skip


def test_the_months_thread_is_found_and_every_comment_accounted_for(web: Web, access: Access) -> None:
    web.on("/api/v1/search_by_date", search(HITS))
    broken = {"id": "twelve", "text": "x", "type": "comment", "children": []}
    web.on("/api/v1/items/20", reply(body=thread(
        20, child(1, "Acme | <p>Python", child(2, "Where?", child(3, "Here."))), child(4, None), child(1, "again"),
        child(5, "[flagged]"), broken, child(6, "Zeta"),
    )))  # fmt: skip
    texts, reading = read(Algolia(f"{web.url}/api/v1/", access), FEBRUARY)
    assert texts == ["Acme | <p>Python", "Zeta"]
    assert dict(reading.ignored) == {"reply": 2, "deleted": 2, "duplicate": 1}
    assert (reading.read, reading.kept, reading.quarantined) == (8, 2, 1)
    assert (reading.faults[0].line, reading.missing) == (7, "")
    assert "`str`" in reading.faults[0].why


def test_the_list_of_threads_is_read_only_as_far_back_as_needed(web: Web, access: Access) -> None:
    old = [hit(10, "Ask HN: Who is hiring? (December 2014)", "2014-12-01")]
    web.on("/search_by_date", search(HITS[:2], HITS[2:], old, []))
    for id_ in (10, 20, 30):
        web.on(f"/items/{id_}", reply(body=thread(id_, child(id_ + 100, "one"))))
    threads = Algolia(web.url, access)
    asked = lambda: sum("search_by_date" in path for path in web.paths)  # noqa: E731
    assert read(threads, MARCH)[0] == ["one"]
    assert asked() == 2
    assert read(threads, FEBRUARY)[0] == ["one"]
    assert asked() == 3
    assert read(threads, datetime(2014, 12, 1, tzinfo=UTC))[0] == ["one"]
    assert read(threads, MARCH)[0] == ["one"]
    assert asked() == 4


def test_a_month_with_two_threads_has_the_advertisements_of_both(web: Web, access: Access) -> None:
    again = hit(22, "Ask HN: Who is hiring? (February 2015)", "2015-02-02")
    web.on("/search_by_date", search([*HITS, again]))
    web.on("/items/20", reply(body=thread(20, child(1, "one"), child(2, "two"))))
    web.on("/items/22", reply(body=thread(22, child(2, "two"), child(3, "three"))))
    texts, reading = read(Algolia(web.url, access), FEBRUARY)
    assert texts == ["one", "two", "three"]
    assert reading.ignored["duplicate"] == 1


def test_a_month_without_a_thread_is_missing(web: Web, access: Access) -> None:
    web.on("/search_by_date", search(HITS))
    texts, reading = read(Algolia(web.url, access), datetime(2014, 7, 1, tzinfo=UTC))
    assert (texts, reading.read) == ([], 0)
    assert "no thread" in reading.missing


@pytest.mark.parametrize(("body", "said", "transient"), [
    ("<html>busy</html>", "is not JSON", True),
    ('{"hits": [{"objectID": 20}], "nbPages": 1}', "another form", False),
    ('{"results": []}', "another form", False),
])  # fmt: skip
def test_an_answer_of_another_form_is_told(
    web: Web, access: Access, body: str, said: str, transient: bool
) -> None:
    web.on("/search_by_date", reply(body=body))
    with pytest.raises(SourceError, match=said) as found:
        read(Algolia(web.url, access), FEBRUARY)
    assert found.value.transient is transient


def test_replies_are_counted_in_any_depth_that_people_reach_and_no_deeper(web: Web, access: Access) -> None:
    web.on("/search_by_date", search(HITS))

    def nested(depth: int) -> str:
        deep = '{"id":7,"text":"x","children":' + '[{"children":' * depth + "[]" + "}]" * depth + "}"
        return f'{{"id":20,"children":[{deep}]}}'

    web.on("/items/20", reply(body=nested(200)))
    assert read(Algolia(web.url, access), FEBRUARY)[1].ignored["reply"] == 200
    web.on("/items/20", reply(body=nested(20_000)))
    with pytest.raises(SourceError, match="another form"):
        read(Algolia(web.url, access), FEBRUARY)


# Firebase


def serve_items(web: Web, items: dict[int, Any], submitted: list[int]) -> Firebase:
    web.on(
        "/v0/user/whoishiring.json",
        reply(body=json.dumps({"id": "whoishiring", "karma": 1, "submitted": submitted})),
    )
    for id_, item in items.items():
        web.on(f"/v0/item/{id_}.json", reply(body=json.dumps(item)))
    access = Access(AccessRules.of([web.url], deadline=5), sleep=lambda _: None)
    return Firebase(f"{web.url}/v0", access)


def story(id_: int, title: str, day: str, *kids: int) -> dict[str, Any]:
    return {"by": "whoishiring", "id": id_, "kids": list(kids), "score": 3, "time": seconds(day), "title": title, "type": "story"}  # fmt: skip


def test_firebase_gives_the_same_thread_comment_by_comment(web: Web) -> None:
    items = {
        20: story(20, "Ask HN: Who is hiring? (February 2015)", "2015-02-01", 1, 2, 3, 4, 5),
        21: story(21, "Ask HN: Who wants to be hired? (February 2015)", "2015-02-01", 9),
        1: {"by": "a", "id": 1, "kids": [8], "parent": 20, "text": "Acme<p>Go", "time": 1, "type": "comment"},
        2: {"deleted": True, "id": 2, "parent": 20, "time": 1, "type": "comment"},
        3: {"dead": True, "id": 3, "parent": 20, "text": "spam", "time": 1, "type": "comment"},
        4: None,
    }  # fmt: skip
    texts, reading = read(serve_items(web, items, [21, 20]), FEBRUARY)
    assert texts == ["Acme<p>Go"]
    assert dict(reading.ignored) == {"deleted": 3, "dead": 1}
    assert reading.read == 5


def test_firebase_finds_a_month_without_asking_for_every_submission(web: Web) -> None:
    months = [datetime(2011 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(120)]
    items: dict[int, Any] = {
        1000 + n: story(1000 + n, f"Ask HN: Who is hiring? ({month:%B %Y})", f"{month:%Y-%m-%d}", n + 1)
        for n, month in enumerate(months)
    }
    items |= {
        n + 1: {"id": n + 1, "text": f"{month:%Y-%m}", "type": "comment"} for n, month in enumerate(months)
    }
    gone = {1030, 1061, 1062}
    items |= dict.fromkeys(gone)
    firebase = serve_items(web, items, [1000 + n for n in range(120)][::-1])
    for n in (0, 49, 63, 119):
        assert read(firebase, months[n])[0] == [f"{months[n]:%Y-%m}"]
    assert len(web.requests) < 60
    assert read(firebase, months[30])[1].missing
