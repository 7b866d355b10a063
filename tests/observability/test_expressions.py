"""Every expression of the dashboards and rules on a real Prometheus over a real service, exporter and StatsD."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from include.kreislauf.exporting.exporter import serving as exporting
from include.kreislauf.handovers import Role
from include.kreislauf.settings import ROOT
from include.kreislauf.store import cycles, schema
from include.kreislauf.store.cycles import State
from tests.service.conftest import Running, World, serving
from tests.support import expressions
from tests.support.airflow_stats import SENTINEL
from tests.support.expressions import ALWAYS_MAY_MISS, check_expressions
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.outcomes import happen
from tests.support.prometheus import running_prometheus
from tests.support.script import Script
from tests.support.statsd import SETTINGS, StatsdExporter, running_statsd_exporter

SERVED = "served"
"""The use case whose release has files; that of the ring has none, and cannot be loaded."""
AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
FOLDER = ROOT / "include" / "observability" / "prometheus"
GOOD_WHEN_MISSING = ALWAYS_MAY_MISS | {
    "kreislauf_shadow_requests_total": "no release computes unseen here: tests/service/test_service_arms.py",
    "kreislauf_limited_total": "nobody sends too much here: tests/service/test_service_rate.py",
    "kreislauf_refused_total": "the service of this test needs no key: tests/service/test_service_keys.py",
}  # fmt: skip
"""What this world need not have, and why."""


@pytest.fixture
def world(make_lap: MakeLap) -> World:
    """A store after a loop, with a cycle at work, a question, a message that waits, and a release that is tried."""
    lap = make_lap(Script())
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    lap.check([happen(lap, f"2016Q{number}", -0.05, productivity=90) for number in (1, 2, 3)][-1])
    lap.run(lap.by_hand(Role.REQUIREMENTS, as_of=AS_OF))
    world = World(lap.settings.home, lap.store)
    world.sign(SERVED)
    world.release(1, SERVED)
    world.promote(1, SERVED)
    _open_ends(lap)
    return world


def _open_ends(lap: Lap) -> None:
    now = datetime.now(UTC)
    with lap.store.write() as db:
        waiting = cycles.open_cycle(
            db, SERVED, origin="x", started_by="test", reason="test", as_of=AS_OF, now=now
        )
        cycles.set_state(db, waiting, State.WAITING, now)
        row = {"use_case": lap.use_case, "version": 1, "cycle_id": "c", "attempt": 1, "state": "shadow", "share": 0.1,
               "note": "", "evidence": {}, "created_at": now, "state_at": now}  # fmt: skip
        db.execute(schema.rollouts.insert().values(row))
        body = {"business_metrics": [{"maturity_days": 5}]}
        signed = {
            "use_case": "other",
            "hash": "a",
            "body": body,
            "first_seen": now,
            "decision": "signed",
            "decided_at": now,
        }
        db.execute(schema.contracts.insert().values(signed))


def use(service: Running) -> None:
    """Requests of every kind."""
    answers = service.predict({"entity": "python"}, {"entity": "zig"}, use_case=SERVED).json()["predictions"]
    outcome = {
        "prediction_id": answers[0]["prediction_id"],
        "value": 1,
        "observed_at": "2016-04-01T00:00:00Z",
    }
    service.client.post(f"/v1/{SERVED}/outcomes", json={"outcomes": [outcome]})
    report = {"id": "a", "metric": "productivity", "release": 1, "value": 99.0, "period": "2016-01-01T00:00:00Z", "observed_at": "2016-04-01T00:00:00Z"}  # fmt: skip
    service.client.post(f"/v1/{SERVED}/reports", json={"reports": [report]})


def send(exporter: StatsdExporter, folder: Path) -> None:
    environment = {**SETTINGS, "AIRFLOW__METRICS__STATSD_PORT": str(exporter.udp), "AIRFLOW_HOME": str(folder), "PATH": "/usr/bin"}  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "tests.support.airflow_stats"],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=120,
    )


@pytest.fixture
def prometheus(world: World, tmp_path: Path) -> Iterator[str]:
    """A server with the bundle's own configuration, but for addresses and pace, that has scraped all of them."""
    with ExitStack() as stack:
        service = stack.enter_context(serving(world, ready=False))
        statsd = stack.enter_context(running_statsd_exporter(tmp_path))
        port = stack.enter_context(exporting(world.store, "127.0.0.1", 0, lambda: datetime.now(UTC)))
        service.wait(lambda found: found.json().get("use_cases", {}).get(SERVED) == 1)
        folder = tmp_path / "prometheus"
        folder.mkdir()
        config = configured(service.url, f"127.0.0.1:{port}", f"127.0.0.1:{statsd.web}")
        url = stack.enter_context(running_prometheus(folder, {}, config))
        wait_for(url, "min(up{job!='prometheus'}) == 1 and count(up{job!='prometheus'}) == 3")
        for number in (1, 2):
            use(service)
            send(statsd, tmp_path)
            wait_for(url, f"{SENTINEL}_total == {number}")
            wait_for(url, 'kreislauf_outcomes_total{answer=~"stored|known"} >= 1')
        time.sleep(2.5)  # two more scrapes: rates and derivatives need them
        yield url


def configured(service: str, workflow: str, airflow: str) -> str:
    """The configuration that ships, with other addresses, for a server that knows no time to lose."""
    config: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "rules" / "*.yml")]
    places = {"prediction-service": service.removeprefix("http://"), "workflow": workflow, "airflow": airflow}
    for job in config["scrape_configs"]:
        job.pop("authorization", None)
        if job["job_name"] in places:
            job["static_configs"][0]["targets"] = [places[job["job_name"]]]
    return yaml.safe_dump(config)


def wait_for(url: str, expression: str, seconds: float = 60) -> None:
    """Ask until an expression finds something."""
    end = time.monotonic() + seconds
    while not httpx.post(f"{url}/api/v1/query", data={"query": expression}, trust_env=False).json()["data"][
        "result"
    ]:
        assert time.monotonic() < end, (
            f"{expression}: {httpx.get(f'{url}/api/v1/targets', trust_env=False).text}"
        )
        time.sleep(0.2)


def test_every_expression_is_understood_and_finds_what_it_reads(prometheus: str) -> None:
    problems = check_expressions(prometheus, {})
    unlisted = [one for one in problems if not any(part in one for part in GOOD_WHEN_MISSING)]
    assert not unlisted, "\n".join(unlisted)
    listed = set(GOOD_WHEN_MISSING) - set(ALWAYS_MAY_MISS)
    assert {part for part in listed if not any(part in one for one in problems)} == set(), "found, and listed"
    assert check_expressions(prometheus, GOOD_WHEN_MISSING) == []
    loaded = httpx.get(f"{prometheus}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    health = {rule["name"]: rule["health"] for group in loaded for rule in group["rules"]}
    assert set(health.values()) == {"ok"}
    assert len(health) > 25


def test_wrong_expressions_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = json.loads(expressions.DASHBOARDS[0].read_text())
    targets = [target for panel in board["panels"] for target in panel.get("targets", ())]
    targets[0]["expr"], targets[1]["expr"] = "sum by (", "sum(kreislauf_unheard_of)"
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**board, "panels": [{"title": "wrong", "targets": targets[:2]}]}))
    monkeypatch.setattr(expressions, "DASHBOARDS", [path])
    monkeypatch.setattr(expressions, "RULES", [])
    with running_prometheus(tmp_path, {"x": [(datetime.now(UTC) - timedelta(minutes=1), 1.0)]}) as url:
        problems = check_expressions(url)
    assert any("wrong: " in one and "parse error" in one for one in problems), problems
    assert any("nothing is found by kreislauf_unheard_of" in one for one in problems), problems


def test_every_selector_of_an_expression_is_seen() -> None:
    text = 'sum by (up) (rate(kreislauf_x_total{a=~"b"}[5m])) / on (kreislauf_z) airflow_y or vector(0) unless up{job="x"} offset 1h'
    assert expressions.selectors(text) == ['kreislauf_x_total{a=~"b"}', "airflow_y", 'up{job="x"}']
