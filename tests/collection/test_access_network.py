"""Requests to servers as they are: busy, slow, broken, hostile."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from include.kreislauf.collection.access import Access, AccessRules, NotThere
from include.kreislauf.errors import SourceError
from tests.collection.web import Answering, Request, Web, packed, reply, serving, trickle

OK = reply(200, "[1]")
HANG = trickle(b"", b" " * 8, 0.25)
NOW = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def other() -> Iterator[Web]:
    with serving() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make(web: Web, slept: list[float]) -> Iterator[Callable[..., Access]]:
    made: list[Access] = []

    def access(*hosts: str, **limits: float) -> Access:
        limits = {"deadline": 100, "read_timeout": 0.2} | limits
        made.append(Access(AccessRules.of([web.url, *hosts], **limits), sleep=slept.append))
        return made[-1]

    yield access
    for one in made:
        one.close()


def test_a_request_says_who_asks_and_what_for(web: Web, make: Callable[..., Access]):
    web.on("/x", reply(200, "{}", X_Mine="a"))
    answer = make().get(
        f"{web.url}/x?a=1", params={"tagged": "c#", "page": 2}, headers={"If-None-Match": '"e"'}
    )
    assert (answer.status, answer.json(), answer.headers["x-MINE"]) == (200, {}, "a")
    path, headers = web.requests[0]
    assert path == "/x?a=1&tagged=c%23&page=2"
    assert headers["if-none-match"] == '"e"'
    assert headers["user-agent"].startswith("kreislauf/")


@pytest.mark.parametrize("fault", [
    reply(429), reply(408), reply(500), reply(502), reply(503), reply(599), HANG,
    reply(200, "[1", Content_Length="3"),
    reply(200, gzip.compress(b"[1]")[:-4], Content_Encoding="gzip"),
    reply(200, gzip.compress(b"[1]")[:-8] + bytes(8), Content_Encoding="gzip"),
    reply(200, b"[1]", Content_Encoding="gzip"),
    trickle(b"nonsense\r\n\r\n", b"", 0),
    trickle(b"", b"", 0),
    trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1", b"", 0),
], ids=[
    "429", "408", "500", "502", "503", "599", "hangs", "truncated", "packed and truncated", "wrong CRC", "not packed at all",
    "no HTTP", "closed at once", "chunks end early",
])  # fmt: skip
def test_what_may_pass_is_tried_again(
    fault: Answering, web: Web, make: Callable[..., Access], slept: list[float]
):
    url = web.on("/x", fault, fault, OK)
    assert make().get(url).json() == [1]
    assert len(web.requests) == 3
    assert len(slept) == 2
    assert 0 <= slept[0] <= 1
    assert 0 <= slept[1] <= 2


@pytest.mark.parametrize("fault", [reply(503), HANG, reply(200, "[1", Content_Length="3")])
def test_when_the_time_is_over_the_last_fault_is_told(
    fault: Answering, web: Web, make: Callable[..., Access], slept: list[float]
):
    with pytest.raises(SourceError, match=r"given up after \d+ attempts") as found:
        make(deadline=3).get(web.on("/x", fault))
    assert found.value.transient
    assert found.value.where == f"{web.url}/x"
    assert sum(slept) < 3


def test_pauses_grow_up_to_a_minute(web: Web, make: Callable[..., Access], slept: list[float]):
    with pytest.raises(SourceError, match="HTTP 503"):
        make(deadline=20_000).get(web.on("/x", reply(503)))
    assert max(slept) <= 60
    assert all(pause <= 2**number for number, pause in enumerate(slept))
    assert max(slept) > 30


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"Retry_After": "17"}, 17),
    ({"Retry_After": format_datetime(NOW + timedelta(seconds=40), usegmt=True), "Date": format_datetime(NOW, usegmt=True)}, 40),
])  # fmt: skip
def test_a_pause_is_as_long_as_the_server_asks(
    headers: dict[str, str], seconds: float, web: Web, make: Callable[..., Access], slept: list[float]
):
    def busy(request: Request) -> None:
        request.send_response_only(429)
        for name, value in ({"Content_Length": "0"} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    make().get(web.on("/x", busy, OK))
    assert slept == [seconds]


def test_who_asks_for_a_longer_pause_than_there_is_time_is_not_waited_for(
    web: Web, make: Callable[..., Access], slept: list[float]
):
    with pytest.raises(SourceError, match="HTTP 429; given up after 1 attempts") as found:
        make().get(web.on("/x", reply(429, Retry_After="3600")))
    assert (found.value.transient, slept) == (True, [])


@pytest.mark.parametrize("value", ["soon", "-5", "1.5", "Wed, 99 Foo 2020", ""])
def test_a_pause_that_nobody_understands_is_an_own_one(
    value: str, web: Web, make: Callable[..., Access], slept: list[float]
):
    make().get(web.on("/x", reply(503, Retry_After=value), OK))
    assert 0 <= slept[0] <= 1


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_server_that_trickles_is_cut_off(head: bytes, web: Web, make: Callable[..., Access]):
    # each wait is short enough; all of them would be whole after 6 s
    url = web.on("/x", trickle(head, b"x" * 200 + b"\r\nContent-Length: 0\r\n\r\n", 0.03))
    with pytest.raises(SourceError, match="no answer in time") as found:
        make(deadline=0.5).get(url)
    assert found.value.transient


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_not_asked_for_again(status: int, web: Web, make: Callable[..., Access]):
    url = web.on("/x", reply(status, "gone"), OK)
    with pytest.raises(NotThere, match=f"HTTP {status}") as found:
        make().get(url)
    assert not found.value.transient
    assert len(web.requests) == 1


def test_a_status_that_is_accepted_is_an_answer(web: Web, make: Callable[..., Access]):
    access = make()
    for status in (304, 404, 400, 503, 301):
        body = "" if status == 304 else "told"
        url = web.on("/x", reply(status, body, Location="/y"))
        answer = access.get(url, accept=(status,))
        assert (answer.status, answer.body) == (status, body.encode())


@pytest.mark.parametrize("answer", [reply(403, "over quota"), packed("over quota", 403)])
def test_a_refusal_says_why(answer: Answering, web: Web, make: Callable[..., Access]):
    with pytest.raises(SourceError, match=r"HTTP 403: .?over quota") as found:
        make().get(web.on("/x", answer))
    assert not found.value.transient
    assert len(web.requests) == 1


def test_an_answer_that_is_not_json_says_so(web: Web, make: Callable[..., Access]):
    access = make()
    for body in (b"<html>busy</html>", b"[" * 100_000, b"\xff"):
        with pytest.raises(SourceError, match="not JSON") as found:
            access.get(web.on("/x", reply(200, body))).json()
        assert found.value.transient


def test_an_answer_may_have_only_so_many_bytes(web: Web, make: Callable[..., Access]):
    access = make(max_bytes=1000, max_file_bytes=2000)
    chunked = trickle(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000, b"", 0)
    assert len(access.get(web.on("/x", reply(200, b"x" * 1000))).body) == 1000
    for answer in (reply(200, b"x" * 1001), chunked, packed("x" * 1001)):
        with pytest.raises(SourceError, match="at most 1000 bytes"):
            access.get(web.on("/x", answer))
    with pytest.raises(SourceError, match="at most 10 bytes"):
        access.get(web.on("/x", reply(200, b"x" * 11)), max_bytes=10)
    with access.open(web.on("/x", reply(200, b"x" * 2000))) as file:
        assert len(file.read()) == 2000
    with pytest.raises(SourceError, match="at most 2000 bytes"), access.open(web.on("/x", chunked)):
        pass


def test_a_bomb_is_not_unpacked(web: Web, make: Callable[..., Access]):
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeeze.compress(bytes(2**20)) for _ in range(256)) + squeeze.flush()
    access = make(max_bytes=2**20)
    url = web.on("/x", reply(200, bomb, Content_Encoding="gzip"))
    access.get(web.on("/warm", OK))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="at most 1048576 bytes"):
            access.get(url)
        assert tracemalloc.get_traced_memory()[1] < 6 * 2**20
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_much_is_whole(web: Web, make: Callable[..., Access]):
    text = "".join(f"{number}," for number in range(300_000))
    assert make().get(web.on("/x", packed(text))).json() == text


def test_members_of_a_packed_answer_follow_each_other(web: Web, make: Callable[..., Access]):
    body = gzip.compress(b"[1,") + gzip.compress(b"2]")
    assert make().get(web.on("/x", reply(200, body, Content_Encoding="gzip"))).json() == [1, 2]


def test_another_packing_is_refused(web: Web, make: Callable[..., Access]):
    with pytest.raises(SourceError, match="compressed as 'br'"):
        make().get(web.on("/x", reply(200, b"x", Content_Encoding="br")))


def test_connections_are_used_again_and_replaced_when_they_broke(web: Web, make: Callable[..., Access]):
    peers: list[int] = []

    def note(request: Request) -> None:
        peers.append(request.client_address[1])
        OK(request)
        request.close_connection = len(peers) == 2

    access = make()
    for _ in range(3):
        access.get(web.on("/x", note))
    assert peers[0] == peers[1] != peers[2]


def to(url: str, status: int = 302) -> Answering:
    return reply(status, Location=url)


def test_a_redirect_to_the_same_host_is_followed_with_its_key(web: Web, make: Callable[..., Access]):
    web.on("/a", to("/b?access_token=keep", 301))
    web.on("/b", to(f"{web.url}/c", 307))
    web.on("/c", OK)
    answer = make().get(f"{web.url}/a", headers={"Authorization": "token"})
    assert answer.url == f"{web.url}/c"
    assert web.paths == ["/a", "/b?access_token=keep", "/c"]
    assert all(headers["authorization"] == "token" for _, headers in web.requests)


def test_another_host_gets_no_key(web: Web, other: Web, make: Callable[..., Access]):
    web.on("/a", lambda request: to(f"{other.url}/b?page=2&{request.path.split('?')[1]}")(request))
    other.on("/b", OK)
    make(other.url).get(
        f"{web.url}/a", params={"key": "s3cret"}, headers={"Authorization": "s3cret", "X-API-Key": "s3cret", "Cookie": "s3cret",
                                                           "If-None-Match": '"e"'},
    )  # fmt: skip
    path, headers = other.requests[0]
    assert path == "/b?page=2"
    assert "s3cret" not in str(headers)
    assert headers["if-none-match"] == '"e"'


def test_another_host_gets_the_key_that_the_server_made_for_it(
    web: Web, other: Web, make: Callable[..., Access]
):
    signed = "/b?X-Amz-Signature=a%2Fb%2B&X-Amz-Credential=c"
    web.on("/a", to(f"{other.url}{signed}"))
    other.on("/b", OK)
    make(other.url).get(f"{web.url}/a", params={"key": "s3cret"})
    assert other.paths == [signed]


@pytest.mark.parametrize("target", [
    "http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "http://localhost:{port}/b", "http://[::1]:{port}/b",
    "https://127.0.0.1:{port}/b", "file:///etc/passwd", "//elsewhere.example/b", "gopher://127.0.0.1:{port}/b",
    "http://127.0.0.1:{other}/b",
])  # fmt: skip
def test_a_redirect_to_a_server_that_is_not_permitted_is_refused(
    target: str, web: Web, other: Web, make: Callable[..., Access], slept: list[float]
):
    web.on("/a", to(target.format(port=web.port, other=other.port)))
    other.on("/b", OK)
    with pytest.raises(SourceError, match="not a permitted server") as found:
        make().get(f"{web.url}/a")
    assert not found.value.transient
    assert (web.paths, other.paths, slept) == (["/a"], [], [])


def test_redirects_end(web: Web, make: Callable[..., Access]):
    web.on("/a", to("/b"))
    web.on("/b", to("/a"))
    with pytest.raises(SourceError, match="redirected more than 5 times"):
        make().get(f"{web.url}/a")
    assert len(web.requests) == 6


@pytest.mark.parametrize("target", ["http://[", "http://host:port/", "http://a b/"])
def test_a_redirect_to_nonsense_is_refused(target: str, web: Web, make: Callable[..., Access]):
    with pytest.raises(SourceError):
        make().get(web.on("/a", to(target)))
    assert len(web.requests) == 1


def test_a_redirect_into_a_mirrored_site_is_asked_for_at_the_mirror(web: Web):
    web.on("/a", to("https://data.gharchive.org/x?y=1"))
    web.on("/mirror/x", OK)
    access = Access(AccessRules.of([web.url], {"https://data.gharchive.org": f"{web.url}/mirror"}))
    assert access.get(f"{web.url}/a").json() == [1]
    assert web.paths == ["/a", "/mirror/x?y=1"]
    access.close()


@pytest.mark.parametrize(
    "url", ["http://[", "http://a:b/", "http://\x01/", "https://me:s3cret@api.github.com/"]
)
def test_what_is_no_url_is_refused(url: str, make: Callable[..., Access]):
    with pytest.raises(SourceError) as found:
        make().get(url)
    assert "s3cret" not in str(found.value)


def test_a_server_that_is_down_may_come_back(web: Web, make: Callable[..., Access]):
    with serving() as gone:
        url = gone.url
    with pytest.raises(SourceError, match="connection failed") as found:
        make(url, deadline=2).get(url)
    assert found.value.transient
