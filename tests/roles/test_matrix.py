"""Role x DAG x action over REST: every cell is as declared, and nobody gets past it by a side door."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import sync_playwright
from sqlalchemy import create_engine, text

from include.kreislauf.embedded.airflow_api import AirflowApi
from plugins.roles.declaration import CANARY, EVERYTHING, RING, ROLES, Right
from tests.plugins.page_routes import page
from tests.roles.actions import ELSEWHERE, IN_A_DAG, Action, Place, side_doors
from tests.roles.server import ADMIN, EVERYBODY, NOBODY, PASSWORD, Server
from tests.support.missing import missing

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = pytest.mark.ring

DECLARED = {role.name: role for role in ROLES}
DAGS = (*RING, CANARY, "elsewhere")
PREFIX = "/kreislauf"


def expected(who: str, action: Action, dag_id: str) -> bool:
    """Whether the declaration lets somebody do it."""
    if who in (ADMIN, NOBODY):
        return who == ADMIN
    role = DECLARED[who]
    if action.needs is None or (action.people and not role.person):
        return False
    return role.may(action.needs, dag_id)


def prepared(server: Server, dag_id: str) -> Place:
    """A run with an open question, made by the administrator."""
    dag, run_id = f"/api/v2/dags/{dag_id}", f"run_{uuid4().hex[:8]}"
    body = {"dag_run_id": run_id, "logical_date": None}
    made = server.ask(ADMIN, "POST", f"{dag}/dagRuns", json=body)
    assert made.status_code == 200, made.text
    task = server.ask(ADMIN, "GET", f"{dag}/dagRuns/{run_id}/taskInstances").json()["task_instances"][0]
    assets = server.ask(ADMIN, "GET", "/api/v2/assets", params={"dag_ids": dag_id}).json()["assets"]
    park(server, task["id"])
    return Place(dag_id, run_id, task["task_id"], assets[0]["id"] if assets else 1)


PARK = (
    "INSERT INTO hitl_detail (ti_id, options, subject, multiple, params, params_input, created_at) "
    "VALUES (:id, '[\"Yes\", \"No\"]', 'Shall it?', 0, '{}', '{}', CURRENT_TIMESTAMP)",
    "UPDATE task_instance SET state = 'awaiting_input', try_number = 1 WHERE id = :id",
)


def park(server: Server, task_instance: str) -> None:
    """Have a task wait for an answer, as a human-in-the-loop task does: here no task runs."""
    engine = create_engine(server.database)
    with engine.begin() as db:
        for statement in PARK:
            assert db.execute(text(statement), {"id": task_instance.replace("-", "")}).rowcount == 1
    engine.dispose()


def outcome(server: Server, who: str | None, action: Action, place: Place) -> str:
    """``allowed``, ``refused``, or what else came of it. A request for many things answers 200 and tells of each."""
    answer = server.ask(who, **action.request(place))
    words = {200: "allowed", 201: "allowed", 204: "allowed", 403: "refused", 401: "no login"}
    found = words.get(answer.status_code, f"{answer.status_code} {answer.text[:300]}")
    many = (answer.json().get("update") or {}) if found == "allowed" and answer.content else {}
    return f"{many['errors']}" if many.get("errors") else found


@pytest.mark.parametrize("dag_id", DAGS)
@pytest.mark.parametrize("who", EVERYBODY)
def test_every_cell(server: Server, who: str, dag_id: str) -> None:
    place = prepared(server, dag_id)
    found = {action.name: outcome(server, who, action, place) for action in IN_A_DAG}
    wanted = {action.name: "allowed" if expected(who, action, dag_id) else "refused" for action in IN_A_DAG}
    assert found == wanted


@pytest.mark.parametrize("who", EVERYBODY)
def test_what_belongs_to_no_dag(server: Server, who: str) -> None:
    place = prepared(server, "mlops")
    found = {action.name: outcome(server, who, action, place) for action in ELSEWHERE}
    wanted = {action.name: "allowed" if expected(who, action, "mlops") else "refused" for action in ELSEWHERE}
    assert found == wanted


def test_without_a_login_nothing_is_answered(server: Server) -> None:
    place = prepared(server, "mlops")
    found = {action.name: outcome(server, None, action, place) for action in (*IN_A_DAG, *ELSEWHERE)}
    assert {*found.values()} == {"no login"}, found


def state_of(server: Server, place: Place) -> list[str]:
    """Everything of a DAG that somebody could have changed."""
    paths = (
        place.dag,
        place.run,
        f"{place.run}/taskInstances",
        f"{place.run}/hitlDetails",
        f"{place.dag}/dagRuns",
    )
    return [server.ask(ADMIN, "GET", path).text for path in paths]


BY_PATTERN = "pause by pattern"
"""Answers 200 to everybody, with the DAGs that it was allowed to change: none."""
NO_DOOR = {"answer anywhere": "404", "backfill": "422", "forget events": "refused"}
"""What nobody but the administrator gets through, and what it is told who may do the same at the front."""


@pytest.mark.parametrize("who", [role.name for role in ROLES if "mlops" not in role.works])
def test_side_doors_are_shut(server: Server, who: str) -> None:
    place = prepared(server, "mlops")
    before = state_of(server, place)
    doors = side_doors(own=min(DECLARED[who].starts))
    found = {door.name: outcome(server, who, door, place) for door in doors}
    assert [name for name, came in found.items() if came == "allowed"] == [BY_PATTERN]
    assert state_of(server, place) == before, found


def test_side_doors_are_open_to_those_who_may_use_the_front(server: Server) -> None:
    place = prepared(server, "mlops")
    before = state_of(server, place)
    found = {door.name: outcome(server, "MLOps Engineer", door, place) for door in side_doors("mlops")}
    assert {
        name: came for name, came in found.items() if not came.startswith(NO_DOOR.get(name, "allowed"))
    } == {}
    assert all(one != other for one, other in zip(state_of(server, place), before, strict=True))
    assert server.ask("MLOps Engineer", "PATCH", place.dag, json={"is_paused": False}).status_code == 200


@pytest.mark.parametrize(("path", "key"), [("dags", "dags"), ("dags/~/dagRuns?order_by=-id", "dag_runs")])
def test_lists_show_only_the_ring(server: Server, path: str, key: str) -> None:
    prepared(server, "elsewhere")
    for who in EVERYBODY:
        answer = server.ask(who, "GET", f"/api/v2/{path}")
        seen = {one["dag_id"] for one in answer.json().get(key, [])}
        assert ("elsewhere" in seen, seen <= EVERYTHING) == ((True, False) if who == ADMIN else (False, True))
        assert bool(seen) == (who != NOBODY)


# --- the workflow page


def test_the_page_asks_who_is_there(server: Server) -> None:
    for route in page().routes:
        path = PREFIX + re.sub(r"\{\w+.*?\}", "anything", route.path)  # type: ignore[attr-defined]
        for method in route.methods:  # type: ignore[attr-defined]
            assert server.ask(None, method, path).status_code == 401, (method, path)
            assert server.ask(NOBODY, method, path).status_code == 403, (method, path)


@pytest.mark.parametrize("who", [role.name for role in ROLES])
def test_every_role_sees_the_page(server: Server, who: str) -> None:
    for path in ("/", "/static/page.js", "/api/use-cases", "/api/use-cases/technology_radar"):
        assert server.ask(who, "GET", PREFIX + path).status_code == 200, path


@pytest.mark.parametrize("who", [role.name for role in ROLES])
def test_alerts_are_taken_from_those_who_may_start_monitoring(server: Server, who: str) -> None:
    answer = server.ask(who, "POST", f"{PREFIX}/api/alerts", json={"version": "4", "alerts": []})
    may = DECLARED[who].may(Right.START, "monitoring")
    assert answer.status_code == (200 if may else 403), answer.text


def test_the_watcher_can_watch(server: Server) -> None:
    with AirflowApi(server.url, "Watcher", server.env[PASSWORD]) as api:
        assert "monitoring" in {dag["dag_id"] for dag in api.dags()}
        run = api.trigger("monitoring", conf={"use_case": "technology_radar"})
        assert api.run("monitoring", run["dag_run_id"])["state"] == "queued"
        assert len(api.task_instances("monitoring", run["dag_run_id"])) > 1
        assert run["triggering_user_name"] == "Watcher"


@pytest.mark.browser
def test_a_person_logs_in_and_finds_the_page(server: Server) -> None:
    if not Path(CHROMIUM).exists():
        missing(CHROMIUM, "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(server.url)
        page.fill("input[name=username]", "Data Scientist")
        page.fill("input[name=password]", server.env[PASSWORD])
        page.keyboard.press("Enter")
        page.click("text=Kreislauf")
        page.frame_locator("iframe").locator("svg.ring").wait_for()
        page.goto(f"{server.url}/dags")
        page.get_by_role("link", name="data_engineering").first.wait_for()
        assert page.get_by_role("link", name="elsewhere").count() == 0
        browser.close()
