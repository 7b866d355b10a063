"""Languages of repositories: remembered, or asked of a server that answers as GitHub does."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.github.repositories import Known, Memory, RepositoryApi, resolve
from include.kreislauf.errors import SourceError
from tests.collection.web import Answering, Web, reply

AT = datetime(2026, 8, 12, 14, tzinfo=UTC)
ANSWERED = "Wed, 12 Aug 2026 15:00:00 GMT"
ANSWERED_AT = datetime(2026, 8, 12, 15, tzinfo=UTC)


def api(web: Web, most: int = 100) -> RepositoryApi:
    rules = AccessRules.of([web.url], deadline=2)
    return RepositoryApi(Access(rules, sleep=lambda _: None), web.url, most)


def repository(language: str | None, **headers: str) -> Answering:
    body = json.dumps({"id": 1, "full_name": "a/b", "language": language})
    return reply(200, body, **({"ETag": '"e1"', "X_RateLimit_Remaining": "50"} | headers))


def test_a_language_is_asked_for_as_github_wants(web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KREISLAUF_SECRET_GITHUB_TOKEN", "token-of-the-test")
    web.on("/repos/Acme/site.js", repository("C++"))
    found = api(web).ask("Acme/site.js", None, AT)
    assert found is not None
    assert (found.language, found.etag) == ("C++", '"e1"')
    ((_, headers),) = web.requests
    assert headers["authorization"] == "Bearer token-of-the-test"
    assert headers["accept"] == "application/vnd.github+json"
    assert "if-none-match" not in headers


def test_without_a_token_none_is_sent(web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KREISLAUF_SECRET_GITHUB_TOKEN", raising=False)
    web.on("/repos/a/b", repository(None))
    found = api(web).ask("a/b", None, AT)
    assert found is not None
    assert found.language is None
    assert "authorization" not in web.requests[0][1]


def test_an_answer_is_dated_by_its_server(web: Web):
    web.on("/repos/a/b", lambda request: _dated(request, ANSWERED))
    web.on("/repos/a/c", lambda request: _dated(request, "soon"))
    asked = api(web)
    assert asked.ask("a/b", None, AT) == Known("Go", ANSWERED_AT)
    assert asked.ask("a/c", None, AT) == Known("Go", AT)


def _dated(request: Any, date: str) -> None:
    body = b'{"language": "Go"}'
    request.send_response_only(200)
    for name, value in {"Date": date, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def test_an_unchanged_answer_keeps_its_language(web: Web):
    web.on("/repos/a/b", reply(304, ETag='"e1"'))
    before = Known("Go", datetime(2024, 1, 1, tzinfo=UTC), '"e1"')
    found = api(web).ask("a/b", before, AT)
    assert found is not None
    assert (found.language, found.etag) == ("Go", '"e1"')
    assert found.seen_at > before.seen_at
    assert web.requests[0][1]["if-none-match"] == '"e1"'


@pytest.mark.parametrize("status", [404, 410, 451, 403])
def test_a_repository_that_is_gone_is_remembered_as_such(web: Web, status: int):
    web.on("/repos/a/b", reply(status, "{}", X_RateLimit_Remaining="12"))
    asked = api(web)
    found = asked.ask("a/b", None, AT)
    assert found is not None
    assert (found.language, asked.stopped) == (None, "")


def test_a_renamed_repository_is_followed(web: Web):
    web.on("/repositories/7", repository("Zig"))
    web.on("/repos/old/name", reply(301, "{}", Location=f"{web.url}/repositories/7"))
    found = api(web).ask("old/name", None, AT)
    assert found is not None
    assert found.language == "Zig"


@pytest.mark.parametrize("answer", [
    reply(403, "{}", X_RateLimit_Remaining="0", X_RateLimit_Reset="1786550400"),
    reply(429, "{}", Retry_After="60"), reply(403, "{}", Retry_After="60"), reply(429, "{}"),
], ids=["primary limit", "429", "secondary limit", "bare 429"])  # fmt: skip
def test_a_refusal_ends_the_asking_at_once(web: Web, answer: Answering):
    web.on("/repos/a/b", answer)
    asked = api(web)
    assert asked.ask("a/b", None, AT) is None
    assert asked.ask("a/c", None, AT) is None
    assert web.paths == ["/repos/a/b"]
    assert "rate limit" in asked.stopped


def test_the_last_permitted_answer_counts(web: Web):
    web.on("/repos/a/b", repository("Go", X_RateLimit_Remaining="0", X_RateLimit_Reset="1786550400"))
    asked = api(web)
    found = asked.ask("a/b", None, AT)
    assert found is not None
    assert found.language == "Go"
    assert asked.stopped == "the rate limit is used up until 2026-08-12 16:00 UTC"


@pytest.mark.parametrize(
    "answer", [reply(503), reply(200, "<html>"), reply(200, "[]"), reply(200, '{"language": 1}')]
)
def test_a_server_that_does_not_answer_ends_the_asking(web: Web, answer: Answering):
    web.on("/repos/a/b", answer)
    asked = api(web)
    assert asked.ask("a/b", None, AT) is None
    assert asked.stopped
    before = len(web.requests)
    assert asked.ask("a/c", None, AT) is None
    assert len(web.requests) == before


def test_a_wrong_token_is_an_error(web: Web):
    web.on("/repos/a/b", reply(401, "{}"))
    with pytest.raises(SourceError, match="401"):
        api(web).ask("a/b", None, AT)


@pytest.mark.parametrize(
    "name", ["", "/", "a", "a/b/c", "../x", "a/..", "a/.", "a/b?x=1", "a/b#", "a /b", "é/b", "a/b\n"]
)
def test_odd_names_are_never_asked_for(web: Web, name: str):
    assert api(web).ask(name, None, AT) is None
    assert web.requests == []


def test_the_most_frequent_are_asked_first_up_to_a_number(web: Web):
    for name in "abcd":
        web.on(f"/repos/x/{name}", repository(name.upper()))
    found = resolve(Counter({"x/a": 1, "x/b": 9, "x/c": 5, "x/d": 2}), Memory(), api(web, most=2), AT)
    assert web.paths == ["/repos/x/b", "/repos/x/c"]
    assert found.languages == {"x/b": "B", "x/c": "C"}
    assert found.facts == {"language.from_api": 14}


def test_what_is_known_is_not_asked_again(web: Web):
    memory = Memory()
    memory.remember({"X/a": Known("Go", AT), "x/b": Known(None, AT)})
    web.on("/repos/x/c", repository("C"))
    asked = api(web)
    found = resolve(Counter({"x/A": 3, "x/b": 2, "x/c": 1}), memory, asked, AT)
    assert found.languages == {"x/a": "Go", "x/b": None, "x/c": "C"}
    assert found.facts == {"language.from_table": 3, "language.from_api": 1}
    assert resolve(Counter({"x/c": 1}), memory, asked, AT).facts == {"language.from_table": 1}
    assert web.paths == ["/repos/x/c"]


def test_an_old_answer_is_confirmed_by_its_etag(web: Web):
    memory, old = Memory(), datetime(2020, 1, 1, tzinfo=UTC)
    memory.remember({"x/a": Known("Go", old, '"e1"'), "x/b": Known("C", old)})
    web.on("/repos/x/a", reply(304))
    found = resolve(Counter({"x/a": 1, "x/b": 1}), memory, api(web), AT)
    assert found.languages == {"x/a": "Go", "x/b": "C"}
    assert web.paths == ["/repos/x/a"]
    assert memory.find(["x/a"])["x/a"].seen_at > AT.replace(year=2021)


def test_memory_keeps_the_newer_word():
    memory = Memory()
    memory.remember({"x/a": Known("Go", AT)})
    memory.remember({"X/A": Known("C", AT.replace(year=2015))})
    assert memory.find(["x/A", "y/b"]) == {"x/a": Known("Go", AT)}
