"""One client cannot drown the others: outcomes and reports beyond its rate are refused, and nothing of them is logged."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.service.limits import RateLimit
from include.kreislauf.service.problems import RefusedError
from include.kreislauf.store.api_keys import Scope
from tests.service.keys import make_key

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

THEN = "2016-04-01T00:00:00Z"


def reports(*ids: str) -> list[dict[str, Any]]:
    usual = {
        "metric": "productivity",
        "release": 1,
        "value": 97.0,
        "period": "2016-01-01",
        "observed_at": THEN,
    }
    return [{**usual, "id": one} for one in ids]


def outcomes(*ids: str) -> list[dict[str, Any]]:
    return [{"prediction_id": one, "value": 1.0, "observed_at": THEN} for one in ids]


def send(service: Running, kind: str, items: list[dict[str, Any]], key: str = "") -> httpx.Response:
    headers = {"x-api-key": key} if key else {}
    return service.client.post(f"/v1/radar/{kind}", json={kind: items}, headers=headers)


@pytest.fixture
def live(world: World) -> World:
    """A world with a live release and a signed contract."""
    world.sign()
    world.release(1)
    world.promote(1)
    return world


def test_what_is_beyond_the_rate_is_refused_whole_and_told(live: World, start: Start) -> None:
    service = start(live, outcomes_per_minute=3)
    ids = [one["prediction_id"] for one in service.predict({"entity": "rust"}).json()["predictions"]]
    assert send(service, "reports", reports("a", "b")).status_code == 200
    refused = send(service, "outcomes", outcomes(ids[0], "nobody"))
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert "nothing was stored: send the same again in" in refused.json()["error"]
    [fault] = refused.json()["faults"]
    assert (fault["field"], fault["allowed"].split()[0]) == ("outcomes", "3")
    assert (len(live.rows("outcomes")), len(live.rows("reports"))) == (0, 2)
    assert send(service, "outcomes", outcomes(*ids)).status_code == 200  # one was left
    counted = service.client.get("/metrics").text
    assert 'kreislauf_limited_total{use_case="radar",what="outcomes"} 1.0' in counted
    assert service.predict({"entity": "rust"}).status_code == 200


def test_each_key_has_a_rate_of_its_own(live: World, start: Start) -> None:
    keys = [make_key(live.store, Scope.OUTCOME)[1] for _ in range(2)]
    service = start(live, outcomes_per_minute=2)
    codes = [send(service, "reports", reports(f"{n}a", f"{n}b"), keys[n]).status_code for n in (0, 0, 1)]
    assert codes == [200, 429, 200]


def test_what_is_wrong_is_told_before_and_costs_nothing(live: World, start: Start) -> None:
    service = start(live, outcomes_per_minute=1)
    future = [{**reports("a")[0], "observed_at": "2150-01-01T00:00:00Z"}]
    assert [send(service, "reports", future).status_code for _ in range(3)] == [422] * 3
    assert send(service, "reports", reports("a")).status_code == 200


def test_without_a_limit_nobody_is_refused(live: World, start: Start) -> None:
    service = start(live, outcomes_per_minute=0)
    ids = [str(number) for number in range(1000)]
    assert [send(service, "reports", reports(*ids)).status_code for _ in range(3)] == [200] * 3


def test_a_request_larger_than_the_rate_is_taken_when_the_minute_is_over() -> None:
    time = [0.0]
    rate = RateLimit(10, lambda: time[0])
    rate.spend("k", 30, "outcomes")
    for time[0], wait in ((0.0, "180"), (120.0, "60"), (179.5, "1")):
        with pytest.raises(RefusedError) as refused:
            rate.spend("k", 30, "outcomes")
        assert refused.value.headers == {"Retry-After": wait}
    time[0] = 180.001
    rate.spend("k", 30, "outcomes")


@given(st.integers(1, 50), st.lists(st.tuples(st.floats(0, 40), st.integers(1, 30)), min_size=1, max_size=60))
def test_no_minute_takes_more_than_twice_the_rate_and_retry_after_is_enough(
    per_minute: int, asked: list[tuple[float, int]]
) -> None:
    now, taken = 0.0, deque[tuple[float, int]]()
    rate = RateLimit(per_minute, lambda: now)
    for wait, count in asked:
        now += wait
        try:
            rate.spend("k", count, "outcomes")
        except RefusedError as refused:
            now += int(refused.headers["Retry-After"]) + 1e-6
            rate.spend("k", count, "outcomes")
        taken.append((now, count))
        while taken[0][0] < now - 60:
            taken.popleft()
        largest = max(each for _, each in taken)
        assert sum(each for _, each in taken) <= 2 * max(per_minute, largest) + 1e-6
