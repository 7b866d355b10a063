"""Alertmanager's webhook on the page's app: each alert starts one run, and nothing else gets through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from include.kreislauf.settings import Settings
from tests.plugins.page_routes import page
from tests.plugins.story import NAME

LABELS = {"alertname": "Ignored", "kreislauf_use_case": NAME, "kreislauf_loop": "monitoring→data_engineering"}


def alert(**fields: Any) -> dict[str, Any]:
    """An alert as Alertmanager 0.28 sends it."""
    return {
        "status": "firing", "labels": LABELS, "annotations": {"summary": "nobody follows"},
        "startsAt": "2026-05-01T12:00:00.123Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph", "fingerprint": "a1b2c3d4e5f60718", **fields,
    }  # fmt: skip


def group(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "kreislauf",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    }  # fmt: skip


Runs = dict[str, dict[str, str]]


@pytest.fixture
def runs() -> Runs:
    return {}


@pytest.fixture
def client(
    told: Settings,
    as_environment: Callable[[Settings], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    runs: Runs,
) -> TestClient:
    """The app on the installation of the story; runs are remembered."""
    for name, value in as_environment(told).items():
        monkeypatch.setenv(name, value)

    def start(run_id: str, form: dict[str, str]) -> bool:
        return runs.setdefault(run_id, form) is form

    return TestClient(page(start=start))


def test_an_alert_starts_one_run_however_often_it_is_sent(client: TestClient, runs: Runs) -> None:
    answers = [client.post("/api/alerts", json=group(alert())).json() for _ in range(3)]
    assert [one["result"] for (one,) in answers] == ["raised", "known", "known"]
    assert runs == {
        "alert__a1b2c3d4e5f60718__20260501T120000": {
            "use_case": NAME, "loop": "monitoring→data_engineering", "by": "kreislauf",
            "reason": "alert Ignored since 2026-05-01 12:00: nobody follows",
        }
    }  # fmt: skip


def test_one_that_fires_anew_is_a_new_one(client: TestClient, runs: Runs) -> None:
    client.post("/api/alerts", json=group(alert(), alert(startsAt="2026-05-02T12:00:00+02:00")))
    assert len(runs) == 2


def test_an_arrow_may_be_typed(client: TestClient, runs: Runs) -> None:
    labels = LABELS | {"kreislauf_loop": "monitoring->requirements"}
    client.post("/api/alerts", json=group(alert(labels=labels)))
    assert [form["loop"] for form in runs.values()] == ["monitoring→requirements"]


@pytest.mark.parametrize("fields", [
    {"status": "resolved"}, {"labels": {"alertname": "KreislaufBusinessMetricBreach", "kreislauf_use_case": NAME}},
])  # fmt: skip
def test_what_asks_for_no_loop_is_ignored(client: TestClient, runs: Runs, fields: dict[str, Any]) -> None:
    answer = client.post("/api/alerts", json=group(alert(**fields)))
    assert (answer.status_code, answer.json()[0]["result"], runs) == (200, "ignored", {})


@pytest.mark.parametrize(("label", "value", "said"), [
    ("kreislauf_use_case", "unheard_of", f"allowed: {NAME}"),
    ("kreislauf_loop", "mlops→data_science", "allowed: monitoring→mlops, monitoring→data_science"),
])  # fmt: skip
def test_wrong_labels_are_told_and_the_others_taken(
    client: TestClient, runs: Runs, label: str, value: str, said: str
) -> None:
    wrong = alert(labels=LABELS | {label: value}, fingerprint="ff")
    answer = client.post("/api/alerts", json=group(wrong, alert()))
    assert answer.status_code == 422
    assert [one["result"] for one in answer.json()] == ["wrong", "raised"]
    assert said in answer.json()[0]["reason"]
    assert len(runs) == 1


@pytest.mark.parametrize("fields", [
    {"fingerprint": "../../x"}, {"fingerprint": ""}, {"startsAt": "2026-05-01T12:00:00"}, {"status": "odd"},
    {"labels": {"kreislauf_use_case": 5}},
])  # fmt: skip
def test_what_is_no_alert_is_refused(client: TestClient, fields: dict[str, Any]) -> None:
    assert client.post("/api/alerts", json=group(alert(**fields))).status_code == 422


def test_a_form_on_somebody_else_s_page_cannot_send_one(client: TestClient) -> None:
    import json

    body = json.dumps(group(alert())).encode()
    answer = client.post("/api/alerts", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 422


def test_its_guards_stand_before_it() -> None:
    def refuse() -> None:
        raise HTTPException(403)

    for guard in ("page_guard", "alert_guard"):
        assert TestClient(page(**{guard: refuse})).post("/api/alerts", json=group(alert())).status_code == 403
