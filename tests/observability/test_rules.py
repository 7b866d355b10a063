"""The alert rules that ship with the bundle: they parse, fire when they should, and name only metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from include.kreislauf.exporting.metrics import ALL as METRICS
from include.kreislauf.monitoring.signals import UNITS
from include.kreislauf.service.app import create_app
from include.kreislauf.settings import ROOT, Settings
from tests.support.prometheus import program
from tests.support.statsd import MAPPING

ALERTS = ROOT / "docs" / "how-to" / "alerts.md"
FOLDER = ROOT / "include" / "observability" / "prometheus"
RULES, TESTS = sorted(FOLDER.glob("rules/*.yml")), sorted(FOLDER.glob("tests/*.yml"))
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_parse(path: Path) -> None:
    promtool("check", "rules", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_when_they_are_due(path: Path) -> None:
    promtool("test", "rules", path)


def test_the_configuration_finds_the_rules(tmp_path: Path) -> None:
    config = (FOLDER / "prometheus.yml").read_text()
    key = tmp_path / "key"
    key.write_text("secret")
    copy = FOLDER.joinpath("prometheus.yml").name
    (tmp_path / copy).write_text(config.replace("/etc/prometheus/kreislauf/key", str(key)))
    (tmp_path / "rules").symlink_to(FOLDER / "rules")
    promtool("check", "config", tmp_path / copy)


def test_every_alert_is_tested() -> None:
    tested = {
        one["alertname"]
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for one in test["alert_rule_test"]
        if one.get("exp_alerts")
    }
    assert tested == {rule["alert"] for rule in rules()}


def test_every_metric_is_one_that_something_exports(tmp_path: Path) -> None:
    app = create_app(
        Settings.model_validate({"home": tmp_path, "store_url": f"sqlite:///{tmp_path}/none.db"})
    )
    by_service = {
        family.name + suffix
        for family in text_string_to_metric_families(app.state.service.metrics.text().decode())
        for suffix in SUFFIXES.get(family.type, ())
    }
    by_exporter = {metric.exported for metric in METRICS}
    assert not by_service & by_exporter, "told twice"
    by_airflow = {
        entry["name"] for entry in yaml.safe_load(MAPPING.read_text())["mappings"] if "name" in entry
    }
    bare = [re.sub(r'"[^"]*"', "", rule["expr"]) for rule in rules()]  # values of labels may look alike
    used = {name for text in bare for name in re.findall(r"\b(?:kreislauf|airflow)_\w+", text)}
    assert len(used) > 25
    assert used <= by_service | by_exporter | by_airflow


def test_every_signal_is_one_that_monitoring_takes() -> None:
    used = {name for rule in rules() for name in re.findall(r'signal!?="(\w+)"', rule["expr"])}
    assert used
    assert used <= set(UNITS)


def test_every_alert_says_what_to_do_next() -> None:
    headings = set(re.findall(r"^#+ (\w+)$", ALERTS.read_text(), re.MULTILINE))
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description", "next", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["runbook"] == f"docs/how-to/alerts.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings
