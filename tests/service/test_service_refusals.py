"""Everything a client can get wrong: refused with field and reason, never a 500, and nothing of it stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

ROW = {"stars": 2.0, "share": 0.5, "kind": "language"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key != name}


def fault(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, f"{answer.status_code} {answer.text}"
    found: dict[str, str] = answer.json()["faults"][0]
    return found


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({}, "rows.1", "has neither entity nor features"),
        ({"features": without("share")}, "rows.1.features.share", "is missing"),
        ({"entity": "zig", "features": without("share")}, "rows.1.features.share", "is missing"),
        ({"features": {}}, "rows.1.features.stars", "is missing"),
        ({"features": {**ROW, "age": 1}}, "rows.1.features.age", "is not a feature of this release"),
        ({"features": {**ROW, "\ud800": 1}}, "rows.1.features.\ud800", "is not a feature of this release"),
        ({"features": {**ROW, "stars": "9"}}, "rows.1.features.stars", "is not a number that can be used"),
        ({"features": {**ROW, "stars": True}}, "rows.1.features.stars", "is not a number that can be used"),
        ({"features": {**ROW, "stars": None}}, "rows.1.features.stars", "is not a number that can be used"),
        ({"features": {**ROW, "stars": [1]}}, "rows.1.features.stars", "is not a number that can be used"),
        ({"features": {**ROW, "stars": 1e300}}, "rows.1.features.stars", "is not a number that can be used"),
        (
            {"features": {**ROW, "stars": 10**400}},
            "rows.1.features.stars",
            "is not a number that can be used",
        ),
        ({"features": {**ROW, "kind": 3}}, "rows.1.features.kind", "is not a text that can be used"),
        ({"features": {**ROW, "kind": ""}}, "rows.1.features.kind", "is not a text that can be used"),
        ({"features": {**ROW, "kind": "\ud800"}}, "rows.1.features.kind", "is not a text that can be used"),
        ({"features": [1, 2]}, "rows.1.features", "Input should be a valid dictionary"),
        ({"entity": ""}, "rows.1.entity", "String should have at least 1 character"),
        ({"entity": "x" * 129}, "rows.1.entity", "String should have at most 128 characters"),
        ({"entity": "a\x00b"}, "rows.1.entity", "String should match pattern"),
        ({"entity": 3}, "rows.1.entity", "Input should be a valid string"),
        ({"name": "python"}, "rows.1", "unknown field 'name'; allowed: entity, features"),
    ],
)
def test_a_wrong_row_names_field_and_reason(
    row: dict[str, Any], field: str, reason: str, refused: Running, world: World
) -> None:
    found = fault(refused.predict({"entity": "python"}, row))
    assert found["field"] == field
    assert found["reason"].startswith(reason)


def test_what_is_allowed_is_told(refused: Running) -> None:
    assert "stars, share, kind" in fault(refused.predict({"features": without("kind")}))["allowed"]
    assert "framework, language" in fault(refused.predict({"features": {**ROW, "kind": 1}}))["allowed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"as_of": "2016-01-01T00:00:00"}, "as_of"),
        ({"as_of": "2016-01-01"}, "as_of"),
        ({"as_of": 5}, "as_of"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "as_of"),
        ({"as_of": "9999-12-31T23:59:59-12:00"}, "as_of"),
        ({"as_of": "2190-01-01T00:00:00Z"}, "as_of"),
        ({"period": "2016-13-01"}, "period"),
        ({"period": 20160101}, "period"),
        ({"rows": []}, "rows"),
        ({"rows": [{"entity": "python"}] * 1001}, "rows"),
        ({"rows": {"entity": "python"}}, "rows"),
        ({"rwos": []}, ""),
    ],
)
def test_a_wrong_request_names_the_field(body: dict[str, Any], field: str, refused: Running) -> None:
    content = {"rows": [{"entity": "python"}], **body}
    assert fault(refused.client.post("/v1/radar/predictions", json=content))["field"] == field


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'"rows"', 422),
        (b"NaN", 422),
        (b'{"rows": [{"features": {"stars": NaN, "share": 0, "kind": "language"}}]}', 422),
        (b'{"rows": [{"features": {"stars": -Infinity, "share": 0, "kind": "language"}}]}', 422),
        (b'{"rows": [{"features": {"stars": 1e999, "share": 0, "kind": "language"}}]}', 422),
        (b'{"rows": NaN}', 422),
        (b'{"rows": [{"entity": NaN}]}', 422),
        (b'{"rows": [{"entity": "\\ud800"}]}', 422),
        (b'{"rows": [{"\\ud800": 1}]}', 422),
        (b'{"as_of": Infinity, "rows": [{"entity": "python"}]}', 422),
        (b"\xff\xff\xff", 400),
        (b'{"rows": [{"features": {"stars": ' + b"9" * 5000 + b"}}]}", 400),
        (b"[" * 200_000, 400),
    ],
)
def test_no_body_causes_a_500(content: bytes, status: int, refused: Running) -> None:
    for path in ("predictions", "outcomes", "reports"):
        answer = refused.client.post(
            f"/v1/radar/{path}", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]
        assert answer.json()["faults"][0]["reason"]


def test_a_form_or_plain_text_is_not_taken_for_json(refused: Running) -> None:
    # what a page in a browser could send to this machine without asking
    content = json.dumps({"rows": [{"entity": "python"}]})
    answer = refused.client.post(
        "/v1/radar/predictions", content=content, headers={"content-type": "text/plain"}
    )
    found = fault(answer)
    assert (found["field"], found["reason"], found["allowed"]) == (
        "Content-Type",
        "is 'text/plain'",
        "application/json",
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused(chunked: bool, refused: Running) -> None:
    parts = [b'{"rows": [{"entity": "python"}]', b" " * 3_000_000, b"}"]
    content = iter(parts) if chunked else b"".join(parts)
    answer = refused.client.post(
        "/v1/radar/predictions", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert "1000000" in answer.json()["error"]


@pytest.mark.parametrize("path", ["predictions", "outcomes", "reports", "ranking", "release"])
def test_an_unknown_use_case_names_those_that_are_live(path: str, refused: Running) -> None:
    bodies: dict[str, Any] = {
        "predictions": {"rows": [{"entity": "python"}]},
        "outcomes": {"outcomes": [{"prediction_id": "p", "value": 1, "observed_at": "2016-01-01T00:00:00Z"}]},
        "reports": {"reports": [{"id": "r", "metric": "productivity", "release": 1, "value": 1,
                                 "period": "2016-01-01", "observed_at": "2016-01-01T00:00:00Z"}]},
    }  # fmt: skip
    method = "POST" if path in bodies else "GET"
    answer = refused.client.request(method, f"/v1/rador/{path}", json=bodies.get(path))
    assert answer.status_code == 404
    assert "'rador'" in answer.json()["error"]
    assert answer.json()["faults"][0]["allowed"] == "radar"


def test_before_the_first_promotion_nothing_is_live(world: World, start: Start) -> None:
    world.sign()
    world.release(1)
    service = start(world)
    assert service.client.get("/ready").json() == {"ready": True, "use_cases": {}}
    answer = service.predict({"entity": "python"})
    assert answer.status_code == 404
    assert "none yet" in answer.json()["error"]
    assert "when its first release is promoted" in answer.json()["error"]


@pytest.mark.parametrize("top", ["0", "1001", "x", "NaN"])
def test_a_wrong_top_is_refused(top: str, refused: Running) -> None:
    assert fault(refused.client.get(f"/v1/radar/ranking?top={top}"))["field"] == "top"


def test_unknown_paths_and_methods_have_the_same_shape(refused: Running) -> None:
    assert refused.client.get("/v2").json() == {"error": "Not Found", "faults": []}
    answer = refused.client.get("/v1/radar/predictions")
    assert (answer.status_code, answer.json()["error"]) == (405, "Method Not Allowed")


def test_the_open_api_document_knows_every_answer(refused: Running) -> None:
    document = refused.client.get("/openapi.json").json()
    answers = document["paths"]["/v1/{use_case}/predictions"]["post"]["responses"]
    assert sorted(answers) == ["200", "401", "403", "404", "413", "422", "503", "default"]
    assert answers["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")
    assert "HTTPValidationError" not in document["components"]["schemas"]
    moment = document["components"]["schemas"]["Outcome"]["properties"]["observed_at"]
    assert (moment["type"], moment["format"]) == ("string", "date-time")


@pytest.mark.parametrize("compiled", [False, True])
def test_a_category_that_the_encoder_refuses_is_the_clients_fault(
    compiled: bool, world: World, start: Start
) -> None:
    world.release(1, handle_unknown="error", compiled=compiled)
    world.promote(1)
    service = start(world)
    assert service.predict({"features": ROW}).status_code == 200
    found = fault(service.predict({"features": {**ROW, "kind": "game"}}))
    assert found["reason"].startswith("the release cannot use these features")
    assert len(world.rows()) == 1
