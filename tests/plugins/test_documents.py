"""Model cards and data sheets over the page's app: the files themselves, guarded, and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from include.kreislauf.settings import Settings
from tests.plugins.page_routes import allow, page
from tests.plugins.story import NAME

BASE = f"/documents/{NAME}/c0002-2015-10-01/1"
AsEnvironment = Callable[[Settings], dict[str, str]]


@pytest.fixture
def client(told: Settings, as_environment: AsEnvironment, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    for name, value in as_environment(told).items():
        monkeypatch.setenv(name, value)
    return TestClient(page())


def folder(settings: Settings, kind: str) -> Path:
    return settings.artefacts / NAME / kind / "c0002-2015-10-01-1"


def test_a_model_card_is_the_file(client: TestClient, told: Settings) -> None:
    answer = client.get(f"{BASE}/model_card")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (folder(told, "model_cards") / "model_card.html").read_bytes()


def test_a_data_sheet_is_text_with_its_picture(client: TestClient) -> None:
    answer = client.get(f"{BASE}/data_sheet")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "# Data sheet: → <b>text</b>\n"
    picture = client.get(f"{BASE}/data_sheet.png")
    assert (picture.headers["content-type"], picture.content[1:4]) == ("image/png", b"PNG")


@pytest.mark.parametrize("name", ["model_card", "data_sheet", "data_sheet.png", "nothing"])
def test_a_document_may_do_nothing(client: TestClient, name: str) -> None:
    headers = client.get(f"{BASE}/{name}").headers
    rules = [rule.strip() for rule in headers["content-security-policy"].split(";")]
    assert sorted(rules) == sorted(
        [
            "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'",
            "frame-ancestors 'self'", "sandbox",
        ]
    )  # fmt: skip
    assert headers["x-content-type-options"] == "nosniff"
    assert "'self'" in client.get("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"/documents/{NAME}/c0001-2014-01-01/1/model_card", f"no model card of {NAME}, cycle c0001-2014-01-01, attempt 1"),
        (f"/documents/{NAME}/c0002-2015-10-01/2/data_sheet", "attempt 2"),
        ("/documents/unknown/c0002-2015-10-01/1/model_card", "no model card of unknown"),
        (f"{BASE}/model_card.md", "Allowed: model_card, data_sheet"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_in_words(client: TestClient, path: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert said in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/documents/..%2F..%2Fsecrets/c1/1/model_card", "/documents/%2E%2E/c0002-2015-10-01/1/model_card",
        f"/documents/{NAME}/..%2Fdata_sheets%2Fc0002-2015-10-01/1/data_sheet", f"/documents/{NAME}/%2E%2E/1/model_card",
        f"/documents/{NAME}/c1%00/1/model_card", f"/documents/{NAME}/c1%0A/1/model_card", f"/documents/{NAME}%0A/c1/1/model_card",
        f"/documents/{NAME}/c1%5C..%5C..%5Cx/1/model_card", f"/documents/{NAME}/c0002-2015-10-01/1%2F..%2F1/model_card",
        f"/documents/{NAME}/c0002-2015-10-01/0/model_card", f"/documents/{NAME}/c0002-2015-10-01/-1/model_card",
        f"/documents/{NAME}/c0002-2015-10-01/x/model_card", f"{BASE}/..%2F..%2Fmodel_card.html", f"{BASE}/model_card.html",
        f"{BASE}/%2E%2E", f"{BASE}/", "/documents/", "/documents",
    ],
)  # fmt: skip
def test_tricks_with_paths_lead_nowhere(client: TestClient, told: Settings, path: str) -> None:
    secret = told.artefacts / "secrets" / "model_cards" / "c1-1" / "model_card.html"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("secret")
    (told.artefacts.parent / "model_cards" / "c0002-2015-10-01-1").mkdir(parents=True, exist_ok=True)
    (told.artefacts.parent / "model_cards" / "c0002-2015-10-01-1" / "model_card.html").write_text("secret")
    answer = client.get(path)
    assert answer.status_code in (404, 422), answer.text
    assert answer.text != "secret"


def test_both_guards_stand_before_documents(told: Settings, as_environment: AsEnvironment) -> None:
    def refuse() -> Any:
        raise HTTPException(403)

    for guards in ({"page_guard": refuse, "data_guard": allow}, {"page_guard": allow, "data_guard": refuse}):
        stranger = TestClient(page(**guards))
        for path in (
            f"{BASE}/model_card",
            f"{BASE}/nothing",
            "/documents/A/../1/x",
            f"/documents/{NAME}/A/0/x",
        ):
            assert stranger.get(path).status_code in (403, 404)
            assert "model card" not in stranger.get(path).text
        assert stranger.get(f"{BASE}/model_card").status_code == 403
