"""Outcomes and reports: stored once whatever is sent how often, and every item is answered for itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

THEN = "2016-04-01T00:00:00Z"


def outcome(prediction_id: str, value: Any = 1.5, observed_at: Any = THEN) -> dict[str, Any]:
    return {"prediction_id": prediction_id, "value": value, "observed_at": observed_at}


def report(**changes: Any) -> dict[str, Any]:
    usual = {"id": "r1", "metric": "productivity", "release": 1, "value": 97.0, "period": "2016-01-01"}
    return {**usual, "observed_at": THEN, **changes}


def send(
    service: Running, kind: str, *items: dict[str, Any], use_case: str = "radar"
) -> tuple[int, list[str]]:
    answer = service.client.post(f"/v1/{use_case}/{kind}", json={kind: list(items)})
    return answer.status_code, [one["result"] for one in answer.json()["results"]]


def refuse(service: Running, kind: str, item: dict[str, Any]) -> dict[str, str]:
    answer: httpx.Response = service.client.post(f"/v1/radar/{kind}", json={kind: [item]})
    assert answer.status_code == 422, answer.text
    found: dict[str, str] = answer.json()["faults"][0]
    return found


@pytest.fixture
def ids(service: Running) -> list[str]:
    answer = service.predict({"entity": "python"}, {"entity": "rust"}, {"entity": "zig"})
    return [one["prediction_id"] for one in answer.json()["predictions"]]


def test_outcomes_are_idempotent(service: Running, world: World, ids: list[str]) -> None:
    assert send(service, "outcomes", *map(outcome, ids)) == (200, ["stored"] * 3)
    assert send(service, "outcomes", *map(outcome, ids)) == (200, ["duplicate"] * 3)
    assert [row.value for row in world.rows("outcomes")] == [1.5] * 3


def test_conflict_wins_over_unknown_and_the_rest_is_stored(
    service: Running, world: World, ids: list[str]
) -> None:
    assert send(service, "outcomes", outcome(ids[0])) == (200, ["stored"])
    items = [outcome(ids[0], 2.5), outcome("nobody"), outcome(ids[1])]
    assert send(service, "outcomes", *items) == (409, ["conflict", "unknown", "stored"])
    assert {row.prediction_id: row.value for row in world.rows("outcomes")} == {ids[0]: 1.5, ids[1]: 1.5}


def test_an_unknown_prediction_is_404_and_the_rest_is_stored(service: Running, ids: list[str]) -> None:
    assert send(service, "outcomes", outcome("nobody"), outcome(ids[0])) == (404, ["unknown", "stored"])


def test_one_request_may_contradict_itself(service: Running, ids: list[str]) -> None:
    items = [outcome(ids[0], 1), outcome(ids[0], 1.0), outcome(ids[0], 2)]
    assert send(service, "outcomes", *items) == (409, ["stored", "duplicate", "conflict"])


def test_outcomes_belong_to_their_use_case(service: Running, world: World, ids: list[str]) -> None:
    world.release(1, use_case="other")
    world.promote(1, use_case="other")
    service.wait_for(1, "other")
    assert send(service, "outcomes", outcome(ids[0]), use_case="other") == (404, ["unknown"])
    assert world.rows("outcomes") == []


@pytest.mark.parametrize("value", ["1", True, None, 10**400])
def test_only_numbers_are_outcomes(value: Any, refused: Running) -> None:
    assert refuse(refused, "outcomes", outcome("p", value))["field"] == "outcomes.0.value"
    assert refuse(refused, "reports", report(value=value))["field"] == "reports.0.value"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_not_finite_values_are_refused(value: str, refused: Running) -> None:
    content = f'{{"outcomes": [{{"prediction_id": "p", "value": {value}, "observed_at": "{THEN}"}}]}}'
    headers = {"content-type": "application/json"}
    answer = refused.client.post("/v1/radar/outcomes", content=content, headers=headers)
    assert (answer.status_code, answer.json()["faults"][0]["field"]) == (422, "outcomes.0.value")


@pytest.mark.parametrize("kind", ["outcomes", "reports"])
def test_the_future_has_not_been_observed(kind: str, service: Running, ids: list[str]) -> None:
    for minutes, accepted in ((4, True), (6, False)):
        later = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        item = outcome(ids[0], observed_at=later) if kind == "outcomes" else report(observed_at=later)
        if accepted:
            assert send(service, kind, item) == (200, ["stored"])
        else:
            assert refuse(service, kind, item)["reason"] == "lies in the future"


def test_with_a_given_clock_any_time_may_have_been_observed(world: World, start: Start) -> None:
    world.sign()
    world.release(1)
    world.promote(1)
    service = start(world, clock="given")
    found = service.predict({"entity": "rust"}, as_of="2090-01-01T00:00:00Z").json()["predictions"][0]
    late = outcome(found["prediction_id"], observed_at="2090-04-01T00:00:00Z")
    assert send(service, "outcomes", late) == (200, ["stored"])


def test_reports_are_idempotent(service: Running, world: World) -> None:
    assert send(service, "reports", report(), report(id="r2")) == (200, ["stored", "stored"])
    assert send(service, "reports", report(), report(value=90.0)) == (409, ["duplicate", "conflict"])
    assert [(row.id, row.use_case, row.value) for row in world.rows("reports")] == [
        ("r1", "radar", 97.0), ("r2", "radar", 97.0),
    ]  # fmt: skip


def test_an_id_taken_by_another_report_is_a_conflict(service: Running, world: World) -> None:
    world.release(2)
    world.release(1, use_case="other")
    world.promote(1, use_case="other")
    world.sign("other")
    service.wait_for(1, "other")
    assert send(service, "reports", report()) == (200, ["stored"])
    assert send(service, "reports", report(period="2016-02-01")) == (409, ["conflict"])
    assert send(service, "reports", report(release=2)) == (409, ["conflict"])
    assert send(service, "reports", report(), use_case="other") == (
        200,
        ["stored"],
    )  # ids are each use case's own


def test_a_report_on_a_release_that_never_was_is_unknown(service: Running, world: World) -> None:
    assert send(service, "reports", report(release=7), report()) == (404, ["unknown", "stored"])
    assert refuse(service, "reports", report(release=2**40))["field"] == "reports.0.release"


def test_only_reported_metrics_of_the_contract_are_taken(refused: Running) -> None:
    for name in ("uplift", "mood"):
        found = refuse(refused, "reports", report(metric=name))
        assert (found["field"], found["allowed"]) == ("reports.0.metric", "productivity")


def test_without_a_signed_contract_no_metric_is_allowed(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    found = refuse(start(world), "reports", report())
    assert found["allowed"].startswith("none")
