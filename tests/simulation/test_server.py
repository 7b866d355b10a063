"""The server: what it serves over HTTP is the world's panel, up to the world's time and not a second more."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from include.kreislauf.periods import shift
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.panel import observed_panel
from include.kreislauf.simulation.server import WorldServer, mirrors
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import World
from tests.simulation.test_hiring import words
from tests.simulation.test_hours import opened, starred
from tests.support.source_server import Fault, FaultyServer

HOUR = "/gharchive/2015-02-15-15.json.gz"
TOTAL = "/stackexchange/2.3/questions"


def set_now(client: httpx.Client, now: datetime) -> None:
    assert client.post("/world/now", json={"now": now.isoformat()}).json() == {
        "now": f"{now:%Y-%m-%dT%H:%M:%SZ}"
    }


def hour_events(client: httpx.Client, hour: datetime) -> list[dict[str, Any]] | None:
    answer = client.get(f"/gharchive/{hour:%Y-%m-%d}-{hour.hour}.json.gz")
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200
    return [json.loads(line) for line in gzip.decompress(answer.content).splitlines()]


def github(client: httpx.Client, quarter: datetime) -> tuple[Counter[str | None], Counter[str]]:
    """Pull requests per language and stars per repository of a quarter's sampled hours."""
    languages: Counter[str | None] = Counter()
    stars: Counter[str] = Counter()
    for number in range(3):
        hour = shift(quarter, "month", number).replace(day=15, hour=15)
        events = hour_events(client, hour) or []
        if len(events) < 2:
            continue
        stars += starred(events)
        for event in opened(events):
            timeline = event.get("repository")
            repository = timeline or event["payload"]["pull_request"]["base"]["repo"]
            languages[repository.get("language")] += 1
    return languages, stars


def questions(client: httpx.Client, quarter: datetime, tag: str = "") -> int:
    window = {
        "fromdate": int(quarter.timestamp()),
        "todate": int(shift(quarter, "quarter", 1).timestamp()) - 1,
    }
    query = {"site": "stackoverflow", "filter": "total", **window, **({"tagged": tag} if tag else {})}
    return int(client.get(TOTAL, params=query).json()["total"])


def advertisements(client: httpx.Client, quarter: datetime) -> list[set[str]]:
    """Words of each advertisement of a quarter."""
    query = {"tags": "story,author_whoishiring", "hitsPerPage": 1000}
    hits = client.get("/hackernews/api/v1/search_by_date", params=query).json()["hits"]
    months = [f"({shift(quarter, 'month', number):%B %Y})" for number in range(3)]
    ids = [
        hit["objectID"] for hit in hits if hit["title"] in [f"Ask HN: Who is hiring? {one}" for one in months]
    ]
    assert len(ids) == 3
    children = [
        child for one in ids for child in client.get(f"/hackernews/api/v1/items/{one}").json()["children"]
    ]
    return [words(child["text"]) for child in children if child["text"]]


@pytest.mark.parametrize(
    "quarter",
    [
        datetime(2013, 7, 1, tzinfo=UTC), datetime(2014, 10, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC),
        datetime(2019, 4, 1, tzinfo=UTC),
    ],
)  # fmt: skip
def test_who_counts_what_is_served_arrives_at_the_panel(
    client: httpx.Client, world: World, quarter: datetime
) -> None:
    set_now(client, shift(quarter, "quarter", 1))
    panel = observed_panel(world)
    rows = panel[panel["quarter_start"] == quarter.replace(tzinfo=None)].set_index("tech")
    languages, stars = github(client, quarter)
    ads = advertisements(client, quarter)
    total = questions(client, quarter)
    counted: dict[str, list[float | None]] = {
        name: [
            languages[name] / languages.total() if kind == "language" else None,
            None if kind == "language" else stars[f"{name}/{name}"],
            (tagged := questions(client, quarter, name)), tagged / total,
            (named := sum(name in one for one in ads)), len(ads), named / len(ads),
        ]
        for name, kind in rows["kind"].items()
    }  # fmt: skip
    expected = rows.drop(columns=["kind", "quarter_start"])
    pd.testing.assert_frame_equal(
        pd.DataFrame.from_dict(counted, orient="index", columns=expected.columns).rename_axis("tech"),
        expected, check_dtype=False,
    )  # fmt: skip


def test_who_comes_later_finds_old_questions_settled(client: httpx.Client, world: World) -> None:
    now = datetime(2016, 1, 1, tzinfo=UTC)
    set_now(client, now)
    panel = observed_panel(world, first_collection=now).set_index(["tech", "quarter_start"])
    name = min(set(world.names) - world.emerging)
    for quarter in world.quarters[14:20]:
        row = panel.loc[(name, quarter.replace(tzinfo=None))]
        assert questions(client, quarter, name) == row["so_questions_first"]
    from_the_start = observed_panel(world).set_index(["tech", "quarter_start"])
    same = panel["so_questions_first"] == from_the_start["so_questions_first"]
    assert set(same[same].index.get_level_values(1)) >= {
        pd.Timestamp("2015-07-01"),
        pd.Timestamp("2015-10-01"),
    }
    assert not same.xs(pd.Timestamp("2015-04-01"), level=1).any()


def test_nothing_later_than_now_is_served(client: httpx.Client) -> None:
    now = datetime(2015, 2, 15, 16, tzinfo=UTC)
    set_now(client, now)
    assert client.get(HOUR).status_code == 200
    set_now(client, now - timedelta(seconds=1))
    assert client.get(HOUR).status_code == 404
    assert client.get("/gharchive/2015-02-15-14.json.gz").status_code == 200
    everything = client.get(TOTAL, params={"site": "stackoverflow", "pagesize": 1, "sort": "creation"}).json()
    assert everything["items"][0]["creation_date"] < now.timestamp()
    query = {"tags": "story,author_whoishiring"}
    hits = client.get("/hackernews/api/v1/search_by_date", params=query).json()["hits"]
    assert {hit["title"][-15:] for hit in hits[:3]} == {"(February 2015)"}
    set_now(client, datetime(2015, 2, 2, tzinfo=UTC))
    assert client.get(f"/hackernews/api/v1/items/{hits[0]['objectID']}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/gharchive/2015-02-15-05.json.gz", "/gharchive/2015-02-31-5.json.gz", "/gharchive/2010-02-15-5.json.gz",
        "/gharchive/2022-02-15-5.json.gz", "/gharchive/2013-08-15-15.json.gz", "/gharchive/", "/", "/nowhere/x",
        "/hackernews/api/v1/items/7", "/hackernews/api/v1/users/pg", "/github/repos/nobody/nothing", "/github/users/x",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_searches_are_filtered_and_paged_as_algolia_does(client: httpx.Client) -> None:
    query: dict[str, Any] = {"tags": "story,author_whoishiring", "hitsPerPage": 100}
    found: list[dict[str, Any]] = []
    first = client.get("/hackernews/api/v1/search_by_date", params=query).json()
    for page in range(first["nbPages"]):
        found += client.get("/hackernews/api/v1/search_by_date", params={**query, "page": page}).json()[
            "hits"
        ]
    assert len({hit["objectID"] for hit in found}) == len(found) == first["nbHits"] == 396
    since = found[10]["created_at_i"]
    later = client.get(
        "/hackernews/api/v1/search_by_date",
        params={**query, "query": "who is hiring", "numericFilters": f"created_at_i>={since}"},
    ).json()["hits"]
    assert [hit["title"] for hit in later] == [
        hit["title"] for hit in found[:11] if "Who is hiring" in hit["title"]
    ]
    assert client.get("/hackernews/api/v1/search_by_date", params={"tags": "story"}).json()["hits"] == []


def test_a_repository_tells_its_language_and_that_nothing_has_changed(
    client: httpx.Client, world: World
) -> None:
    language = next(name for name, kind in zip(world.names, world.kinds, strict=True) if kind == "language")
    answer = client.get(f"/github/repos/users-of-{language}/App")
    assert (answer.json()["language"], answer.json()["full_name"]) == (language, f"users-of-{language}/app")
    again = client.get(
        f"/github/repos/users-of-{language}/app", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert int(again.headers["X-RateLimit-Remaining"]) > 0


def test_one_connection_serves_many_requests_and_many_connections_at_once(server: WorldServer) -> None:
    answers: list[bytes] = []

    def read() -> None:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for _ in range(3):
                answers.append(client.get(HOUR).content)
                assert client.get("/world/now").status_code == 200

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(answers) == 12
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"now": 3}', b'{"now": "soon"}', b'{"now": "2016-01-01"}']
)
def test_a_time_that_is_none_is_refused_with_what_is_allowed(client: httpx.Client, body: bytes) -> None:
    before = client.get("/world/now").json()
    answer = client.post("/world/now", content=body)
    assert answer.status_code == 400
    assert "2016-01-01T00:00:00Z" in answer.json()["error"]
    assert client.get("/world/now").json() == before
    assert client.post("/world/seed", json={"now": "2016-01-01T00:00:00Z"}).status_code == 404
    assert client.post("/world/now", content=b" " * 5000).status_code == 400


def test_the_process_announces_where_it_is(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "include.kreislauf.simulation.server",
        "--seed",
        "3",
        "--home",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("the world of seed 3 is served at http://127.0.0.1:")
        told = json.loads((tmp_path / "world.json").read_text())
        assert told["mirrors"] == mirrors(told["url"])
        archive = told["mirrors"]["https://data.gharchive.org"]
        assert httpx.get(f"{archive}/2015-02-15-15.json.gz").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.fixture
def faulty(sources: SimulatedSources) -> Iterator[FaultyServer]:
    with FaultyServer(sources) as running:
        yield running


def test_faults_happen_where_and_as_often_as_said(faulty: FaultyServer) -> None:
    faulty.faults = [
        Fault(r"\?.*tagged=lang", "status", status=429, retry_after="2"), Fault("gharchive", "truncate"),
        Fault("gharchive", "corrupt"), Fault("gharchive", "drop"), Fault("world", "hang"),
    ]  # fmt: skip
    with httpx.Client(base_url=faulty.url, timeout=10) as client:
        query = {"site": "stackoverflow", "filter": "total", "tagged": "lang-01"}
        busy = client.get(TOTAL, params=query)
        assert (busy.status_code, busy.headers["Retry-After"]) == (429, "2")
        assert client.get(TOTAL, params=query).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(HOUR)
        with pytest.raises((zlib.error, gzip.BadGzipFile)):
            gzip.decompress(client.get(HOUR).content)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(HOUR)
        assert gzip.decompress(client.get(HOUR).content)
        with pytest.raises(httpx.ReadTimeout):
            client.get("/world/now", timeout=0.1)
    assert [path.partition("?")[0] for path in faulty.requests] == [TOTAL, TOTAL, *[HOUR] * 4, "/world/now"]
