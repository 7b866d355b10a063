"""The workflow page: nobody without a login gets anything, and what it shows is the store's, as text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import text

from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import HEAD
from tests.plugins.page_routes import page, routes
from tests.support.missing import missing

TITLE = "Future-proof software technologies"
PREFIX = "/kreislauf"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def stack(
    told: Settings,
    bundle_root: Path,
    as_environment: Callable[[Settings], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[EmbeddedStack]:
    """Airflow with an administrator, a reader, and somebody who may do nothing."""
    env = as_environment(told) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,reader:viewer,nobody:"
    }
    home = tmp_path_factory.mktemp("airflow")
    with EmbeddedStack(home, bundle_root, env=env, with_service=False, start_timeout=150.0) as started:
        yield started


def token(stack: EmbeddedStack, username: str) -> str:
    passwords = httpx.Response(200, content=(stack.airflow_home / "passwords.json").read_bytes()).json()
    body = {"username": username, "password": passwords[username]}
    answer = httpx.post(f"{stack.airflow_url}/auth/token", json=body)
    return str(answer.json()["access_token"])


def ask(stack: EmbeddedStack, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{stack.airflow_url}{PREFIX}{path}", headers=headers, timeout=60)


ROUTES = [
    *routes(page()),
    "/static/style.css",
    "/documents/technology_radar/c0002-2015-10-01/1/data_sheet",
    "/documents/technology_radar/c0002-2015-10-01/9/nothing",
    "/api/use-cases/nothing",
]


@pytest.mark.ring
@pytest.mark.parametrize("path", ROUTES)
def test_every_route_needs_a_login_and_a_right(stack: EmbeddedStack, path: str) -> None:
    assert ask(stack, path).status_code == 401
    assert ask(stack, path, Authorization="Bearer nonsense").status_code in (401, 403)
    assert ask(stack, path, Cookie="_token=nonsense").status_code in (401, 403)
    assert ask(stack, path, Authorization=f"Bearer {token(stack, 'nobody')}").status_code == 403
    expected = 404 if "nothing" in path else 200
    assert ask(stack, path, Authorization=f"Bearer {token(stack, 'reader')}").status_code == expected
    assert ask(stack, path, Cookie=f"_token={token(stack, 'admin')}").status_code == expected


@pytest.mark.ring
def test_alerts_are_taken_from_who_may_start_monitoring(stack: EmbeddedStack) -> None:
    labels = {"kreislauf_use_case": "technology_radar", "kreislauf_loop": "monitoring→requirements"}
    alert = {"status": "firing", "labels": labels, "startsAt": "2026-05-01T12:00:00Z", "fingerprint": "aa"}

    def send(**headers: str) -> httpx.Response:
        url = f"{stack.airflow_url}{PREFIX}/api/alerts"
        return httpx.post(url, json={"version": "4", "alerts": [alert]}, headers=headers, timeout=60)

    assert send().status_code == 401
    assert send(Authorization=f"Bearer {token(stack, 'reader')}").status_code == 403
    answer = send(Authorization=f"Bearer {token(stack, 'admin')}")
    assert (answer.status_code, "monitoring" in answer.text) == (503, True)  # here is no such DAG


@pytest.mark.ring
def test_airflow_lists_the_plugin_and_only_it(stack: EmbeddedStack) -> None:
    headers = {"Authorization": f"Bearer {token(stack, 'reader')}"}
    found = httpx.get(f"{stack.airflow_url}/api/v2/plugins", headers=headers).json()["plugins"]
    mine = next(plugin for plugin in found if plugin["name"] == "kreislauf")
    assert [app["url_prefix"] for app in mine["fastapi_apps"]] == [PREFIX]
    assert mine["external_views"][0]["href"] == "kreislauf/"
    errors = httpx.get(f"{stack.airflow_url}/api/v2/plugins/importErrors", headers=headers).json()
    assert errors["import_errors"] == []


FAKE = """
import sys
from fastapi import HTTPException
from plugins.workflow_page import guards
allowed = set(sys.argv[1:])
def requires(method, param_dag_id):
    def inner(request, user):
        if param_dag_id not in allowed:
            raise HTTPException(403)
    return inner
guards.requires_access_dag = requires
try:
    guards.may_see_workflow(None, None)
    print("yes")
except HTTPException as error:
    print(error.status_code)
"""
LOADED = """
import sys
from airflow.sdk.plugins_manager import integrate_macros_plugins
before = {name for name in ("fastapi", "sqlalchemy.orm", "pandas", "sklearn") if name in sys.modules}
integrate_macros_plugins()
after = {name for name in ("fastapi", "pandas", "sklearn", "api", "pages", "guards") if name in sys.modules}
print("kreislauf_plugin" in sys.modules, sorted(after - before))
"""


def run(stack: EmbeddedStack, code: str, *arguments: str) -> str:
    """Run code in a process like Airflow's own; returns the last line it says."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=stack.env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.ring
def test_the_right_to_read_one_dag_of_the_ring_is_enough(stack: EmbeddedStack) -> None:
    assert run(stack, FAKE, "mlops") == "yes"
    assert run(stack, FAKE, "another_dag") == "403"


@pytest.mark.ring
def test_a_task_loads_the_plugin_without_the_page(stack: EmbeddedStack) -> None:
    assert run(stack, LOADED) == "True []"


# --- in the browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        missing(CHROMIUM, "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def opened(
    browser: Browser, stack: EmbeddedStack, width: int, scheme: str = "light", expected: str = "never"
) -> Iterator[Page]:
    """The page as a logged-in person sees it; fails on any error in the console and on requests to elsewhere."""
    size, faults = {"width": width, "height": 900}, []
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_cookies([{"name": "_token", "value": token(stack, "reader"), "url": stack.airflow_url}])
    page = context.new_page()
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request", lambda made: None if made.url.startswith(stack.airflow_url) else faults.append(made.url)
    )
    page.goto(f"{stack.airflow_url}{PREFIX}/")
    page.wait_for_selector("svg.ring")
    yield page
    context.close()
    assert [fault for fault in faults if expected not in fault] == []


@pytest.mark.ring
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_shows_ring_metrics_and_cycles(
    stack: EmbeddedStack, browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    with opened(browser, stack, width, scheme) as page:
        words = page.get_by_role("img").first.get_attribute("aria-label") or ""
        assert "Cycle c0004-2017-10-01 is active, at training (data scientist)" in words
        assert "monitoring → data engineering: fired 3 times, 1 refused" in words
        assert page.locator(".node.is-here").text_content() == "trainingdata scientist"
        assert page.locator("svg.chart").count() == 2
        assert page.locator("svg.chart").first.locator(".mark").count() == 15
        assert page.locator("#live").inner_text().startswith("Release 2")
        assert page.locator("#cycles tbody tr").count() == 4
        assert "✓ yes" in page.locator("#cycles tbody tr").nth(2).inner_text()
        assert "differs from its folder" in page.get_by_role("alert").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)


@pytest.mark.ring
@pytest.mark.browser
@pytest.mark.parametrize("place", ["#live", "#cycles tbody tr:nth-child(3)"])
def test_a_click_shows_the_model_card(
    stack: EmbeddedStack, browser: Browser, tmp_path: Path, place: str
) -> None:
    with opened(browser, stack, 1280) as page:
        assert page.locator(place).locator("a").all_inner_texts() == ["model card", "data sheet"]
        assert page.locator("#cycles tbody tr").first.locator("a").count() == 0
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        page.locator(place).get_by_role("link", name="model card").click()
        page.wait_for_url(f"**{PREFIX}/documents/technology_radar/c0002-2015-10-01/1/model_card")
        assert page.get_by_role("heading", level=1).inner_text() == f"Model card: {TITLE}"
        pictures = page.locator("img")
        assert pictures.count() == 5
        drawn = "all => all.every((one) => one.complete && one.naturalWidth > 500)"
        assert pictures.evaluate_all(drawn)
        assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "12px"
        page.screenshot(path=tmp_path / "card.png")
        page.go_back()
        page.wait_for_selector("svg.ring")
        page.locator(place).get_by_role("link", name="data sheet").click()
        page.wait_for_selector("text=# Data sheet: → <b>text</b>")


@pytest.mark.ring
@pytest.mark.browser
def test_text_from_the_store_is_text(stack: EmbeddedStack, browser: Browser) -> None:
    with opened(browser, stack, 1280) as page:
        assert "<script>document.title" in page.locator("#cycles tbody tr").last.inner_text()
        assert page.title() == f"Kreislauf: {TITLE}"
        assert page.locator("main script").count() == 0


@pytest.mark.ring
@pytest.mark.browser
def test_the_page_follows_the_store_and_says_when_it_is_away(
    stack: EmbeddedStack, browser: Browser, told: Settings
) -> None:
    with opened(browser, stack, 1280, expected="status of 503") as page:
        set_revision(told, "0000")
        try:
            page.wait_for_selector("text=run: python -m include.kreislauf store upgrade", timeout=20_000)
            assert "Not up to date" in page.locator("#updated").inner_text()
        finally:
            set_revision(told, HEAD)
        page.wait_for_selector("text=Updated", timeout=20_000)
        assert page.locator("text=store upgrade").count() == 0


def set_revision(settings: Settings, revision: str) -> None:
    with Store(settings.store).write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


@pytest.mark.ring
@pytest.mark.browser
def test_the_page_inside_airflow(stack: EmbeddedStack, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(stack.airflow_url)
    page.fill("input[name=username]", stack.username)
    page.fill("input[name=password]", stack.password)
    page.keyboard.press("Enter")
    page.click("text=Kreislauf")
    frame = page.frame_locator("iframe")
    frame.locator("svg.ring").wait_for()
    assert page.url.endswith("/plugin/kreislauf/kreislauf/")
    frame.locator("#live").get_by_role("link", name="model card").click()
    frame.get_by_role("heading", name=f"Model card: {TITLE}").wait_for()
    page.evaluate("history.back()")  # only the frame goes back
    frame.locator("svg.ring").wait_for()
    frame.locator("#use-case").select_option("wrong_name")
    page.wait_for_url("**/plugin/kreislauf/kreislauf/?use_case=wrong_name")
    frame.get_by_text("Nothing is live yet.").wait_for()
    page.evaluate("localStorage.setItem('theme', 'dark')")
    frame.locator("html[data-theme=dark]").wait_for()
    context.close()
