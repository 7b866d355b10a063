"""Every route × every kind of key: who may do what, and that a refusal comes before anything else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from include.kreislauf.service.app import create_app
from include.kreislauf.service.gate import OPEN, SCOPES, needed
from include.kreislauf.settings import Settings
from include.kreislauf.store import api_keys
from include.kreislauf.store.api_keys import Scope
from tests.service.conftest import Running, Start, World, serving
from tests.service.keys import NOW, make_key

ROUTES = [
    (method, route.path)
    for route in create_app(Settings(store_url="sqlite://")).routes
    for method in sorted(getattr(route, "methods", None) or ())
    if isinstance(route, APIRoute) or route.path == "/openapi.json"  # type: ignore[attr-defined]
]
BODIES: dict[str, Any] = {
    "predictions": {"rows": [{"entity": "python"}]},
    "outcomes": {"outcomes": [{"prediction_id": "p", "value": 1, "observed_at": "2016-01-01T00:00:00Z"}]},
    "reports": {"reports": [{"id": "r", "metric": "productivity", "release": 9, "value": 1,
                             "period": "2016-01-01", "observed_at": "2016-01-01T00:00:00Z"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def guarded(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, dict[str, str]]]:
    """A service with keys of every kind, by what they are."""
    world = World.live(tmp_path_factory.mktemp("guarded"), empty_store)
    store = world.store
    keys = {str(scope): make_key(store, scope)[1] for scope in Scope}
    keys |= {f"not {scope}": make_key(store, *({*Scope} - {scope, Scope.ADMIN}))[1] for scope in Scope}
    keys["other use case"] = make_key(store, Scope.ADMIN, use_case="other")[1]
    keys["expired"] = make_key(store, *Scope, days=-1)[1]
    revoked, keys["revoked"] = make_key(store, *Scope)
    with store.write() as db:
        api_keys.revoke(db, revoked, NOW)
    keys["wrong"] = keys["admin"][:-4] + ("AAAA" if keys["admin"][-4:] != "AAAA" else "BBBB")
    keys["made up"] = "krl_0123456789ab_" + "x" * 43
    keys["other words"] = "let me in"
    with serving(world, key=keys["admin"]) as running:
        yield running, keys


def ask(service: Running, method: str, path: str, key: str | None, header: str = "authorization") -> int:
    sent = {} if key is None else {header: f"Bearer {key}" if header == "authorization" else key}
    url = path.replace("{use_case}", "radar")
    body = BODIES.get(path.split("/")[-1])
    answer = service.client.request(method, url, json=body, headers={"authorization": "", **sent})
    if answer.status_code in (401, 403):
        assert method == "HEAD" or answer.json()["error"]
        assert not key or key not in answer.text
        assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    return answer.status_code


def test_the_routes_are_all_of_them() -> None:
    assert len(ROUTES) > 9
    for _, path in ROUTES:
        assert path in OPEN or path.split("/")[-1] in SCOPES, f"{path} has no scope of its own"


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_every_route_with_every_key(
    method: str, path: str, header: str, guarded: tuple[Running, dict[str, str]]
) -> None:
    service, keys = guarded
    scope, use_case = needed(path.replace("{use_case}", "radar"))
    if scope is None:
        assert {ask(service, method, path, key, header) for key in (None, *keys.values())} == {200}
        return
    assert ask(service, method, path, None) == 401
    for bad in ("wrong", "made up", "other words", "expired", "revoked"):
        assert ask(service, method, path, keys[bad], header) == 401, bad
    for name in (
        f"not {scope}",
        "other use case",
        *(str(one) for one in Scope if one not in (scope, "admin")),
    ):
        assert ask(service, method, path, keys[name], header) == 403, name
    unknown_ids = {"outcomes": 404, "reports": 404}
    for good in (str(scope), "admin"):
        assert ask(service, method, path, keys[good], header) == unknown_ids.get(path.split("/")[-1], 200), (
            good
        )
    assert bool(use_case) == ("{use_case}" in path)


def test_paths_that_no_route_has_tell_nothing_without_a_key(guarded: tuple[Running, dict[str, str]]) -> None:
    service, keys = guarded
    for path in ("/", "/nothing", "/v1", "/v1/radar", "/v1/radar/secret", "/docs"):
        assert ask(service, "GET", path, None) == 401
        assert ask(service, "GET", path, keys["predict"]) == 403
        assert ask(service, "GET", path, keys["admin"]) == 404


def test_what_is_refused_is_counted_and_nothing_is_stored(guarded: tuple[Running, dict[str, str]]) -> None:
    service, keys = guarded
    before = service.client.get("/metrics").text
    assert ask(service, "POST", "/v1/{use_case}/predictions", keys["metrics"]) == 403
    after = service.client.get("/metrics").text
    line = 'kreislauf_refused_total{why="wrong_scope"}'
    counts = [float(text.split(line)[1].split()[0]) if line in text else 0.0 for text in (before, after)]
    assert counts[1] == counts[0] + 1


def test_a_service_without_keys_is_open_until_the_first_one_is_made(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    service = start(world)
    assert service.predict({"entity": "python"}).status_code == 200
    _, text = make_key(world.store, Scope.PREDICT)
    service.wait(lambda found: found.status_code == 401, "/v1/radar/ranking")
    assert ask(service, "POST", "/v1/{use_case}/predictions", text) == 200


def test_a_revoked_key_is_refused_within_seconds(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    key, text = make_key(world.store, Scope.PREDICT)
    service = start(world, key=text)
    assert service.predict({"entity": "python"}).status_code == 200
    with world.store.write() as db:
        api_keys.revoke(db, key, datetime.now(UTC))
    service.wait(lambda found: found.status_code == 401, "/v1/radar/ranking", seconds=10)


def test_where_keys_are_required_nobody_comes_in_without_one(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    service = start(world, keys_required=True)
    assert service.predict({"entity": "python"}).status_code == 401


def test_the_open_api_document_names_the_scope_of_every_operation(
    guarded: tuple[Running, dict[str, str]],
) -> None:
    service, _ = guarded
    for path, operations in service.client.get("/openapi.json").json()["paths"].items():
        scope, _ = needed(path)
        for operation in operations.values():
            assert ("security" in operation) == (scope is not None)
            assert scope is None or f"Scope: `{scope}`" in operation["description"]
            assert scope is None or {"401", "403"} <= set(operation["responses"])


def test_outcomes_and_reports_are_logged_with_who_sent_them(world: World, start: Start) -> None:
    world.release(1)
    world.promote(1)
    world.sign()
    key_id, text = make_key(world.store, Scope.ADMIN)
    service = start(world)
    send = {"X-API-Key": text}
    then = {"observed_at": "2016-01-01T00:00:00Z"}
    found = service.client.post("/v1/radar/predictions", json={"rows": [{"entity": "python"}]}, headers=send)
    outcome = {"prediction_id": found.json()["predictions"][0]["prediction_id"], "value": 1.0, **then}
    report = {"id": "r", "metric": "productivity", "release": 1, "value": 1.0, "period": "2016-01-01", **then}
    for kind, item in (("outcomes", outcome), ("reports", report)):
        answer = service.client.post(f"/v1/radar/{kind}", json={kind: [item]}, headers=send)
        assert answer.status_code == 200, answer.text
        assert [one.client for one in world.rows(kind)] == [key_id]
