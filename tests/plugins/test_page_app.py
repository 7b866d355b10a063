"""The workflow page's app on its own: its files, its data, its errors, its guards, its colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from include.kreislauf.settings import ROOT, Settings
from tests.plugins.page_routes import allow, page, routes
from tests.plugins.story import NAME

STATIC = ROOT / "plugins" / "workflow_page" / "static"


def refuse() -> None:
    raise HTTPException(403)


@pytest.fixture
def client(
    told: Settings, as_environment: Callable[[Settings], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    """The app without Airflow around it, on the installation of the story."""
    for name, value in as_environment(told).items():
        monkeypatch.setenv(name, value)
    return TestClient(page())


def test_the_api_answers(client: TestClient) -> None:
    assert [one["name"] for one in client.get("/api/use-cases").json()] == [NAME, "wrong_name"]
    view = client.get(f"/api/use-cases/{NAME}").json()
    assert view["live"]["version"] == 2
    assert view["cycles"][-1]["reason"].endswith("</script>")


def test_files_are_the_page_s_own_and_nothing_else_loads(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    for path in STATIC.iterdir():
        assert client.get(f"/static/{path.name}").content == path.read_bytes()
        assert not re.findall(r"(?:src|href|url\()=?[\"']?https?://", path.read_text())
    for name in ("..%2Fapi.py", "%2E%2E%2Fguards.py", "api.py", ".airflowignore"):
        assert client.get(f"/static/{name}").status_code == 404


def test_errors_say_what_is_wrong_and_what_to_do(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = client.get("/api/use-cases/nothing")
    assert unknown.status_code == 404
    assert unknown.json()["allowed"].startswith(NAME)
    monkeypatch.setenv("KREISLAUF_STORE_URL", "sqlite:////nowhere/at/all.db")
    for path in ("/api/use-cases", f"/api/use-cases/{NAME}"):
        away = client.get(path)
        assert away.status_code == 503
        assert "store upgrade" in away.json()["next_step"]


@pytest.mark.parametrize(
    ("see", "data", "expected"), [(refuse, allow, [403] * 5), (allow, refuse, [200, 200, 403, 403, 403])]
)
def test_the_guards_stand_before_every_route(
    told: Settings, see: Any, data: Any, expected: list[int]
) -> None:
    app = page(page_guard=see, data_guard=data)
    answers = [TestClient(app).get(path).status_code for path in routes(app)]
    assert answers == expected
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert TestClient(app).get(path).status_code == 404


def test_colours_have_contrast() -> None:
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (STATIC / "style.css").read_text())
    for theme in (0, 1):
        colour = {name: both[theme] for name, *both in pairs}
        for ink in ("text", "muted", "accent", "good", "bad", "warn"):
            assert contrast(colour[ink], colour["card"]) >= 4.5, (theme, ink)
        for paper in ("page", "accent-soft", "bad-soft"):
            assert contrast(colour["text"], colour[paper]) >= 4.5, (theme, paper)
        assert contrast(colour["muted"], colour["page"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Contrast ratio after WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
