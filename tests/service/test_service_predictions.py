"""Predictions by name and by features, what a release does not know, and what the store has afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

ROW = {"stars": 2.0, "share": 0.5, "kind": "language"}
ROW_VALUE = 1000 + 4 + 1.5 + 5


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-5)


def test_by_name_uses_the_snapshot(service: Running) -> None:
    answer = service.predict({"entity": "python"}, {"entity": "django"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["use_case"], body["release"]) == ("radar", 1)
    assert [(one["entity"], one["known"], one["value"]) for one in body["predictions"]] == [
        ("python", True, near(1000 + 18 + 0.9 + 5)),
        ("django", True, near(1000 + 8 + 0.6)),
    ]


def test_features_win_over_the_snapshot(service: Running) -> None:
    one = service.predict({"entity": "python", "features": ROW}).json()["predictions"][0]
    assert (one["entity"], one["known"], one["value"]) == ("python", True, near(ROW_VALUE))


def test_features_without_entity(service: Running) -> None:
    seen, unseen = service.predict({"features": ROW}, {"features": {**ROW, "kind": "game"}}).json()[
        "predictions"
    ]
    assert (seen["entity"], seen["known"], seen["value"]) == (None, True, near(ROW_VALUE))
    assert unseen["known"] is False
    assert unseen["value"] is not None


@pytest.mark.parametrize("row", [{"entity": "zig"}, {"entity": "zig", "features": ROW}])
def test_an_unknown_entity_is_answered_with_null_and_logged(
    row: dict[str, Any], service: Running, world: World
) -> None:
    one = service.predict(row).json()["predictions"][0]
    assert (one["known"], one["value"]) == (False, None)
    (stored,) = world.rows()
    assert (stored.id, stored.entity, stored.known, stored.value) == (
        one["prediction_id"],
        "zig",
        False,
        None,
    )
    assert 'kreislauf_novel_predictions_total{use_case="radar"} 1.0' in service.client.get("/metrics").text


def test_one_request_may_mix_all_kinds_of_rows_in_order(service: Running) -> None:
    rows: list[dict[str, Any]] = [
        {"features": ROW},
        {"entity": "zig"},
        {"entity": "rust"},
        {"features": {**ROW, "stars": 3}},
    ]
    found = service.predict(*rows).json()["predictions"]
    assert [one["value"] for one in found] == [
        near(ROW_VALUE), None, near(1000 + 14 + 0.3 + 5), near(ROW_VALUE + 2)
    ]  # fmt: skip


def test_what_is_stored_is_what_was_answered(service: Running, world: World) -> None:
    before = datetime.now(UTC)
    found = service.predict({"entity": "python"}, {"features": ROW}, period="2015-10-01").json()[
        "predictions"
    ]
    stored = {row.id: row for row in world.rows()}
    for one in found:
        row = stored[one["prediction_id"]]
        assert (row.use_case, row.release) == ("radar", 1)
        assert (row.entity, row.known, row.value) == (one["entity"], one["known"], one["value"])
        assert row.as_of == datetime(2016, 1, 1, tzinfo=UTC)
        assert row.period == datetime(2015, 10, 1, tzinfo=UTC)
        assert before <= row.created_at <= datetime.now(UTC)


def test_as_of_defaults_to_now_and_period_to_as_of(service: Running, world: World) -> None:
    answer = service.client.post("/v1/radar/predictions", json={"rows": [{"entity": "python"}]})
    assert answer.status_code == 200
    (row,) = world.rows()
    assert datetime.now(UTC) - row.as_of < timedelta(minutes=1)
    assert row.period == row.as_of


def test_times_with_an_offset_are_stored_in_utc(service: Running, world: World) -> None:
    moment = "2016-01-01T02:00:00+02:00"
    assert service.predict({"entity": "rust"}, as_of=moment, period=moment).status_code == 200
    assert {row.as_of for row in world.rows()} == {datetime(2016, 1, 1, tzinfo=UTC)}


def test_a_thousand_rows_at_once(service: Running, world: World) -> None:
    rows = [{"features": {**ROW, "stars": number / 100}} for number in range(1000)]
    found = service.predict(*rows).json()["predictions"]
    assert [one["value"] for one in found] == [near(ROW_VALUE - 4 + number / 50) for number in range(1000)]
    assert len(world.rows()) == 1000


def test_with_a_given_clock_as_of_is_required_and_may_lie_anywhere(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    service = start(world, clock="given")
    answer = service.client.post("/v1/radar/predictions", json={"rows": [{"entity": "python"}]})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["field"] == "as_of"
    assert service.predict({"entity": "python"}, as_of="2090-01-01T00:00:00Z").status_code == 200


def test_the_ranking_is_the_snapshot_highest_first_and_not_logged(service: Running, world: World) -> None:
    full = service.client.get("/v1/radar/ranking").json()
    assert (full["use_case"], full["release"]) == ("radar", 1)
    assert [one["entity"] for one in full["ranking"]] == ["python", "rust", "django"]
    asked = service.predict({"entity": "rust"}).json()["predictions"][0]["value"]
    assert full["ranking"][1]["value"] == asked
    assert len(service.client.get("/v1/radar/ranking?top=2").json()["ranking"]) == 2
    assert len(world.rows()) == 1


def test_the_release_is_described_from_its_manifest(service: Running) -> None:
    assert service.client.get("/v1/radar/release").json() == {
        "use_case": "radar", "version": 1, "cycle_id": "c0001-2016-01", "as_of": "2016-01-01T00:00:00Z",
        "contract_hash": "0" * 64, "family": "ridge", "metrics": {"mae": 0.1},
        "interval": {}, "engine": {}, "problem": {},
    }  # fmt: skip


def test_two_use_cases_are_kept_apart(service: Running, world: World) -> None:
    world.release(4, use_case="other")
    world.promote(4, use_case="other")
    service.wait_for(4, "other")
    assert service.predict({"entity": "rust"}).json()["release"] == 1
    found = service.predict({"entity": "rust"}, use_case="other").json()
    assert (found["release"], found["predictions"][0]["value"]) == (4, near(4000 + 14 + 0.3 + 5))
