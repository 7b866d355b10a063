"""Client of the Stack Exchange API, against a real server that answers in its form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.stackexchange.api import PAGE_SIZE, StackExchange
from include.kreislauf.errors import SourceError
from tests.collection.web import Request, Web, packed, reply

START, END = datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 4, 1, tzinfo=UTC)
THROTTLE = {"error_id": 502, "error_name": "throttle_violation"}


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make(web: Web, slept: list[float]) -> Iterator[Callable[[], StackExchange]]:
    access = Access(AccessRules.of([web.url], deadline=100), sleep=slept.append)
    yield lambda: StackExchange(access, f"{web.url}/2.3/", "stackoverflow")
    access.close()


def wrapper(items: list[Any], **fields: Any) -> dict[str, Any]:
    return {"items": items, "has_more": False, "quota_max": 300, "quota_remaining": 299} | fields


def error(number: int, name: str, message: str) -> Any:
    return packed({"error_id": number, "error_name": name, "error_message": message}, 400)


def test_a_total_is_of_a_time_whose_end_is_excluded(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", packed({"total": 12}), packed({"total": 345}))
    client = make()
    assert client.total("c#", START, END) == 12
    assert client.total(None, START, END) == 345
    assert web.paths == [
        "/2.3/questions?site=stackoverflow&fromdate=1451606400&todate=1459468799&filter=total&tagged=c%23",
        "/2.3/questions?site=stackoverflow&fromdate=1451606400&todate=1459468799&filter=total",
    ]
    assert client.requests == 2


def test_a_key_is_sent_and_never_shown(
    web: Web, make: Callable[[], StackExchange], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KREISLAUF_SECRET_STACKEXCHANGE_KEY", "my-s3cret")
    web.on("/2.3/questions", error(405, "key_required", "`my-s3cret` doesn't match a known application"))
    with pytest.raises(SourceError, match=r"key_required \(405\)") as found:
        make().total(None, START, END)
    assert web.paths[0].endswith("&key=my-s3cret")
    assert "s3cret" not in str(found.value)
    assert not found.value.transient


@pytest.mark.parametrize("answer", [packed({}), packed({"total": None}), packed({"total": -1})])
def test_an_answer_without_a_total_is_no_zero(answer: Any, web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", answer)
    with pytest.raises(SourceError, match="the answer has the total"):
        make().total("python", START, END)


def test_pages_are_read_until_there_are_no_more(web: Web, make: Callable[[], StackExchange]):
    def page(request: Request) -> None:
        number = int(request.query["page"])
        packed(wrapper([{"page": number}], has_more=number < 3))(request)

    web.on("/2.3/questions", page)
    pages = [bytes(raw) for some in make().questions(START, END) for raw in some]
    assert pages == [b'{"page": 1}', b'{"page": 2}', b'{"page": 3}']
    assert f"&order=asc&sort=creation&page=1&pagesize={PAGE_SIZE}" in web.paths[0]


def test_only_so_many_pages_of_tags_are_read(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/tags", packed(wrapper([{"name": "python", "count": 1}], has_more=True)))
    assert len(list(make().tags(4))) == 4


def test_more_questions_than_pages_are_not_cut_off_silently(
    web: Web, make: Callable[[], StackExchange], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("include.kreislauf.collection.stackexchange.api.MAX_PAGES", 3)
    web.on("/2.3/questions", packed(wrapper([{}], has_more=True)))
    with pytest.raises(SourceError, match="more than 3 pages"):
        list(make().questions(START, END))


def test_an_empty_page_before_the_end_is_not_the_end(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", packed(wrapper([], has_more=True)))
    with pytest.raises(SourceError, match="page 1 of questions is empty") as found:
        list(make().questions(START, END))
    assert found.value.transient


def test_backoff_holds_for_the_next_request_of_the_same_method(
    web: Web, make: Callable[[], StackExchange], slept: list[float]
):
    web.on("/2.3/questions", packed(wrapper([], total=1, backoff=10)), packed(wrapper([], total=2)))
    web.on("/2.3/tags", packed(wrapper([])))
    client = make()
    client.total(None, START, END)
    list(client.tags(1))
    assert slept == []
    client.total(None, START, END)
    client.total(None, START, END)
    assert slept == [10]


def test_a_backoff_that_is_too_long_can_be_waited_for_by_others(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", packed(wrapper([], total=1, backoff=3600)))
    client = make()
    client.total(None, START, END)
    with pytest.raises(SourceError, match="wait 3600 s") as found:
        client.total(None, START, END)
    assert found.value.transient
    assert len(web.requests) == 1


def test_without_quota_nothing_is_asked(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", packed(wrapper([], total=7, quota_remaining=0)))
    client = make()
    assert client.total(None, START, END) == 7
    with pytest.raises(SourceError, match="quota of 300 requests is used up") as found:
        client.total(None, START, END)
    assert found.value.transient
    assert "next day (UTC)" in found.value.next_step
    assert len(web.requests) == 1


@pytest.mark.parametrize(("message", "pause"), [
    ("Violation of backoff parameter", 5), ("too many requests from this IP, more requests available in 7 seconds", 8),
])  # fmt: skip
def test_a_throttle_that_passes_is_waited_for(
    message: str, pause: float, web: Web, make: Callable[[], StackExchange], slept: list[float]
):
    web.on("/2.3/questions", error(502, "throttle_violation", message), packed({"total": 5}))
    assert make().total(None, START, END) == 5
    assert slept == [pause]


def test_a_throttle_for_the_rest_of_the_day_is_not_waited_for(
    web: Web, make: Callable[[], StackExchange], slept: list[float]
):
    message = "too many requests from this IP, more requests available in 84537 seconds"
    web.on("/2.3/questions", error(502, "throttle_violation", message))
    with pytest.raises(SourceError, match=r"throttle_violation .* 84537 seconds") as found:
        make().total(None, START, END)
    assert found.value.transient
    assert (slept, len(web.requests)) == ([], 1)


def test_an_api_that_stays_busy_is_given_up(web: Web, make: Callable[[], StackExchange], slept: list[float]):
    web.on("/2.3/questions", error(503, "temporarily_unavailable", "down"))
    with pytest.raises(SourceError, match="temporarily_unavailable") as found:
        make().total(None, START, END)
    assert found.value.transient
    assert slept == [5, 10, 20]


def test_a_request_that_is_wrong_is_not_repeated(web: Web, make: Callable[[], StackExchange]):
    web.on("/2.3/questions", error(400, "bad_parameter", "site"))
    with pytest.raises(SourceError, match=r"bad_parameter \(400\): site") as found:
        make().total(None, START, END)
    assert not found.value.transient
    assert len(web.requests) == 1


@pytest.mark.parametrize(("answer", "transient", "said"), [
    (reply(200, "<html>"), True, "not JSON"), (reply(400, "<html>"), True, "not JSON"), (reply(200, b"\xff{}"), True, "not JSON"),
    (packed([1]), False, "another form"), (packed({"has_more": "yes"}), False, "another form"),
])  # fmt: skip
def test_what_is_no_answer_says_so(
    answer: Any, transient: bool, said: str, web: Web, make: Callable[[], StackExchange]
):
    web.on("/2.3/questions", answer)
    with pytest.raises(SourceError, match=said) as found:
        make().total(None, START, END)
    assert found.value.transient is transient
