"""Grafana's dashboards: of the form that Grafana needs, no panel over another, provisioned where Compose puts them."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from include.kreislauf.settings import ROOT
from tests.observability.grafana import Dashboard, Panel, Place, QueryVariable
from tests.support.expressions import DASHBOARDS, OBSERVABILITY

PROVISIONING = OBSERVABILITY / "grafana" / "provisioning"
each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def read(path: Path) -> Dashboard:
    return Dashboard.model_validate_json(path.read_text())


def panels(board: Dashboard) -> list[Panel]:
    return [one for one in board.panels if isinstance(one, Panel)]


@each
def test_a_dashboard_is_of_the_form_that_grafana_needs(path: Path) -> None:
    board = read(path)
    assert board.uid == f"kreislauf-{path.stem}"
    assert "kreislauf" in board.tags
    assert len(panels(board)) >= 10


@each
def test_ids_and_titles_are_unique_within_a_row(path: Path) -> None:
    board = read(path)
    ids = [one.id for one in board.panels]
    assert len(ids) == len(set(ids))
    for one in panels(board):
        letters = [target.refId for target in one.targets]
        assert len(letters) == len(set(letters)), one.title


def overlap(one: Place, other: Place) -> bool:
    beside = one.x + one.w <= other.x or other.x + other.w <= one.x
    return not (beside or one.y + one.h <= other.y or other.y + other.h <= one.y)


@each
def test_no_panel_lies_over_another_or_outside(path: Path) -> None:
    board = read(path)
    for one, other in combinations(board.panels, 2):
        assert not overlap(one.gridPos, other.gridPos), (one.title, other.title)
    assert all(one.gridPos.x + one.gridPos.w <= 24 for one in board.panels)


@each
def test_thresholds_rise_from_a_base(path: Path) -> None:
    for one in panels(read(path)):
        values = [step.value for step in one.fieldConfig.defaults.thresholds.steps]
        assert values[0] is None, one.title
        rest = [value for value in values[1:] if value is not None]
        assert rest == sorted(set(rest)), one.title
        assert len(rest) == len(values) - 1, one.title


@each
def test_every_variable_is_declared_and_used(path: Path) -> None:
    board = read(path)
    declared = {one.name for one in board.templating.list if isinstance(one, QueryVariable)}
    texts = " ".join(target.expr for one in panels(board) for target in one.targets)
    used = set(re.findall(r"\$(\w+)", texts)) - {"__rate_interval", "__range", "__interval"}
    assert used == declared


@each
def test_the_uid_is_no_other_dashboards(path: Path) -> None:
    assert [json.loads(one.read_text())["uid"] for one in DASHBOARDS].count(read(path).uid) == 1


@pytest.mark.parametrize("change", [
    {"schemaVersion": 30}, {"uid": "x"}, {"pannels": []}, {"panels": []}, {"id": 7},
    {"panels": [{"id": 1, "type": "graph", "title": "old"}]},
])  # fmt: skip
def test_the_form_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Dashboard.model_validate({**json.loads(DASHBOARDS[0].read_text()), **change})


def test_overlap_is_seen() -> None:
    assert overlap(Place(h=4, w=4, x=0, y=0), Place(h=4, w=4, x=3, y=3))
    assert not overlap(Place(h=4, w=4, x=0, y=0), Place(h=4, w=4, x=4, y=0))


def test_grafana_is_told_where_prometheus_and_the_dashboards_are() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "kreislauf.yml").read_text())["providers"]
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    mounts = dict(one.split(":")[:2] for one in services["grafana"]["volumes"])
    assert mounts["./include/observability/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["./include/observability/grafana/dashboards"] == provider["options"]["path"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services


def test_airflow_sends_what_the_mapping_expects() -> None:
    settings = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["x-airflow-settings"]
    assert settings["AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED"] == "true"
    assert settings["AIRFLOW__METRICS__LEGACY_NAMES_ON"] == "false"
    assert settings["AIRFLOW__METRICS__STATSD_ON"] == "true"
