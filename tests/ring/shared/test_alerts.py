"""An alert of Prometheus raises a loop in a real Airflow: once, and past the governor."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from include.kreislauf.handovers import MACHINE, Edge, Role
from include.kreislauf.store import messages
from tests.ring.conftest import USE_CASE, RunningRing
from tests.ring.shared.test_ring import answer_all

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]


def send(ring: RunningRing, fingerprint: str, starts_at: str, loop: str, **headers: str) -> httpx.Response:
    """Call the webhook as Alertmanager does."""
    labels = {"alertname": "Ignored", "kreislauf_use_case": USE_CASE, "kreislauf_loop": loop}
    alert = {"status": "firing", "labels": labels, "startsAt": starts_at, "fingerprint": fingerprint}
    body = {"version": "4", "alerts": [alert]}
    url = f"{ring.stack.airflow_url}/kreislauf/api/alerts"
    return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


def login(ring: RunningRing) -> dict[str, str]:
    body = {"username": ring.stack.username, "password": ring.stack.password}
    answer = httpx.post(f"{ring.stack.airflow_url}/auth/token", json=body, trust_env=False)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def loops(ring: RunningRing) -> list[messages.LoopRow]:
    with ring.store.read() as db:
        return messages.loops_of(db, USE_CASE, edges=(Edge.MONITORING_TO_REQUIREMENTS,))


def test_an_alert_raises_its_loop_once(ring: RunningRing) -> None:
    assert send(ring, "aa", "2026-05-01T12:00:00Z", "monitoring→requirements").status_code == 401
    before, header = len(loops(ring)), login(ring)
    answers = [
        send(ring, "aa", "2026-05-01T12:00:00Z", "monitoring→requirements", **header) for _ in range(2)
    ]
    results: list[dict[str, Any]] = [answer.json()[0] for answer in answers]
    assert [one["result"] for one in results] == ["raised", "known"]
    ring.api.wait_for_run(Role.MONITORING, results[0]["run_id"], expect="success", timeout=120)
    ring.rest()
    row = loops(ring)[-1]
    assert len(loops(ring)) == before + 1
    assert row.loop.by == MACHINE
    assert "alert Ignored since 2026-05-01 12:00" in row.loop.text
    assert row.state in ("accepted", "refused"), row
    assert row.decision
    answer_all(ring, "Reject")
