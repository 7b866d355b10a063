"""Sections of a contract that are valid alone, but not together: refused with line, what is wrong and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.business import DecisionValue, Outcomes
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_contract
from tests.requirements.test_business import OUTCOMES, REPORTED, VALUE

UPLIFT = {
    "kind": "portfolio_uplift", "name": "uplift", "top": 3, "gate_threshold": 0.1, "threshold": 0.1, "window_periods": 3,
}  # fmt: skip
BINARY: dict[str, Any] = {
    "version": 1, "name": "machines", "title": "Machines", "purpose": "Find failures before they happen.",
    "owner": "maintenance", "sign_off": "automatic",
    "problem": {"kind": "binary", "target": "failed", "classes": ["sound", "failure"], "entity": "machine",
                "time": "day", "period": "week"},
    "sources": [{"kind": "table", "name": "shifts", "url": "{data}/shifts.csv",
                 "columns": {"machine": {"type": "text"}, "day": {"type": "date"}, "failed": {"type": "text"},
                             "plant": {"type": "text"}, "heat": {"type": "number"}}}],
    "training": {"candidates": [{"family": "ridge"}]},
    "performance": {"metric": "log_loss", "baseline": "prior", "min_gain": 0.01},
    "business_metrics": [VALUE],
    "governor": {"cool_down_days": 7, "max_hops": 4},
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    "problem": {"kind": "regression", "target": "heat", "entity": "machine", "time": "day", "period": "week"},
    "performance": {"metric": "mae", "baseline": "persistence", "min_gain": 0.01},
    "business_metrics": [UPLIFT],
}
TIMELESS = {"time": None, "period": None}
MONTHLY = {**BINARY["problem"], "period": "month"}
COUNTED = {
    "kind": "job_ads",
    "name": "jobs",
    "since": "2011-01-01",
    "columns": {"ads": {"measure": "ads", "by": "term"}},
}


def written(folder: Path, changes: Mapping[str, Any]) -> Path:
    """A contract with other values: by section, or by section.field."""
    content: dict[str, Any] = json.loads(json.dumps(BINARY))
    for place, value in changes.items():
        section, _, field = place.partition(".")
        if field:
            content[section][field] = value
        else:
            content[section] = value
    path = folder / "machines" / "contract.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False), "utf-8")
    return path


def refused(folder: Path, changes: Mapping[str, Any], section: str) -> ContractError:
    """The error, which must name the line where a section begins."""
    path = written(folder, changes)
    with pytest.raises(ContractError) as raised:
        load_contract(path)
    line = next(
        n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(f"{section}:")
    )
    assert raised.value.where == f"{path}:{line}"
    return raised.value


VALID: dict[str, dict[str, Any]] = {
    "classes with a matrix": {},
    "numbers": NUMBERS,
    "numbers without time": {
        **NUMBERS, "problem": {**NUMBERS["problem"], **TIMELESS},
        "performance": {"metric": "rmse", "baseline": "prior", "min_gain": 0.0},
        "business_metrics": [{**OUTCOMES, "tolerance": 0.1, "gate_threshold": 0.7}],
    },
    "neither time nor entity": {
        "problem": {"kind": "binary", "target": "failed", "classes": ["sound", "failure"], "requests": "features"},
    },
    "groups": {"problem": {**BINARY["problem"], **TIMELESS, "group": "plant"}},
    "three classes, by hits": {
        "problem": {**BINARY["problem"], "kind": "multiclass", "classes": ["a", "b", "c"]},
        "business_metrics": [{**OUTCOMES, "gate_threshold": 0.7}],
    },
    "the Brier score": {
        "business_metrics": [{**OUTCOMES, "measure": "squared_error", "direction": "lower", "gate_threshold": 0.2,
                              "threshold": 0.25}],
    },
    "features.py makes the target": {"problem.target": None},
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_what_fits_is_taken(tmp_path: Path, name: str) -> None:
    assert load_contract(written(tmp_path, VALID[name])).gate_metric


PERFORMANCE = {
    "numbers' metric for classes": (
        {"performance.metric": "mae"}, "metric mae does not judge a problem of kind binary", "log_loss, brier"),
    "numbers' baseline for classes": (
        {"performance.baseline": "persistence"}, "baseline persistence does not judge a problem of kind binary", "prior"),
    "persistence without time": (
        {**NUMBERS, "problem": {**NUMBERS["problem"], **TIMELESS}},
        "baseline persistence does not judge a problem of kind regression without time", "prior"),
}  # fmt: skip


@pytest.mark.parametrize("name", PERFORMANCE)
def test_performance_fits_the_problem(tmp_path: Path, name: str) -> None:
    changes, what, allowed = PERFORMANCE[name]
    error = refused(tmp_path, changes, "performance")
    assert what in error.what
    assert error.allowed == allowed


SECOND = {"kind": "table", "name": "more", "url": "{data}/more.csv", "columns": {"machine": {"type": "text"}}}
COLUMNS = {
    "a source without the time": (
        {"sources": [*BINARY["sources"], SECOND]}, "the columns of source more lack day of the problem",
        "columns of the source in problem.entity and problem.time"),
    "no column of the target": (
        {"problem.target": "broken"}, "no source has the column broken of the problem",
        "columns of a source in problem.target and problem.group"),
    "no column of the group": (
        {"problem": {**BINARY["problem"], **TIMELESS, "group": "hall"}}, "no source has the column hall of the problem",
        "columns of a source in problem.target and problem.group"),
    "two sources without entity": (
        {"problem": {**BINARY["problem"], "entity": None, "requests": "features"},
         "sources": [*BINARY["sources"], {**SECOND, "columns": BINARY["sources"][0]["columns"]}]},
        "2 sources cannot be joined without an entity", "one source, or problem.entity (other than problem.group)"),
    "one name for two sources": (
        {"sources": BINARY["sources"] * 2}, "named twice: shifts", "each name once"),
    "counts without time": (
        {"problem": {**BINARY["problem"], **TIMELESS}, "sources": [*BINARY["sources"], COUNTED]},
        "source jobs counts by technology and period, but the problem lacks entity or time",
        "problem.entity, problem.time and problem.period"),
    "counts by the week": (
        {"sources": [*BINARY["sources"], COUNTED]}, "source jobs counts by the calendar, but the problem's period is week",
        "problem.period month, quarter, year"),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_sources_have_the_columns_of_the_problem(tmp_path: Path, name: str) -> None:
    changes, what, allowed = COLUMNS[name]
    error = refused(tmp_path, changes, "sources")
    assert what in error.what
    assert error.allowed == allowed


def test_counts_need_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(ContractError) as raised:
        load_contract(written(tmp_path, {"problem": MONTHLY, "sources": [*BINARY["sources"], COUNTED]}))
    assert "source jobs counts technologies, but there is no catalogue" in raised.value.what
    assert raised.value.allowed == "a technologies.yaml beside the contract"


HIT = {**OUTCOMES, "gate_threshold": 0.7}
METRICS = {
    "an uplift of classes": (
        {"business_metrics": [UPLIFT]}, "uplift: a portfolio uplift is of numbers by entity and period",
        "kind regression with entity and time; else decision_value or outcomes"),
    "an uplift without time": (
        {**NUMBERS, "problem": {**NUMBERS["problem"], **TIMELESS},
         "performance": {"metric": "mae", "baseline": "prior", "min_gain": 0.0}},
        "uplift: a portfolio uplift is of numbers by entity and period",
        "kind regression with entity and time; else decision_value or outcomes"),
    "costs for other classes": (
        {"problem.classes": ["no", "yes"]}, "downtime_avoided: costs for failure, sound",
        "the classes of the problem: no, yes"),
    "costs for numbers": (
        {**NUMBERS, "business_metrics": [VALUE]}, "downtime_avoided: costs for failure, sound",
        "the classes of the problem: none: kind binary or multiclass"),
    "a distance of classes": (
        {"business_metrics": [{**HIT, "measure": "absolute_error", "direction": "lower"}]},
        "hits: measure absolute_error with kind binary", "kind regression"),
    "the square of a position": (
        {"problem": {**BINARY["problem"], "kind": "multiclass", "classes": ["a", "b", "c"]},
         "business_metrics": [{**HIT, "measure": "squared_error", "direction": "lower"}]},
        "hits: measure squared_error with kind multiclass", "kind regression, binary"),
    "a hit of a class with a tolerance": (
        {"business_metrics": [{**HIT, "tolerance": 0.1}]}, "hits: a hit of a class has no tolerance",
        "tolerance with kind regression, and only there"),
    "a hit of a number without one": (
        {**NUMBERS, "business_metrics": [HIT]}, "hits: a hit of a number needs a tolerance",
        "tolerance with kind regression, and only there"),
    "nothing that a lab can compute": (
        {"business_metrics": [REPORTED, OUTCOMES]}, "the gate has no metric",
        "at least one of kind portfolio_uplift or decision_value, or of kind outcomes or own with a gate_threshold"),
    "one name for two metrics": (
        {"business_metrics": [VALUE, VALUE]}, "named twice: downtime_avoided", "each name once"),
}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_business_metrics_fit_the_problem(tmp_path: Path, name: str) -> None:
    changes, what, allowed = METRICS[name]
    error = refused(tmp_path, changes, "business_metrics")
    assert what in error.what
    assert error.allowed == allowed


def test_the_gate_takes_the_first_metric_that_a_lab_can_compute() -> None:
    def gate(*metrics: dict[str, Any]) -> object:
        return Contract.model_validate({**BINARY, "business_metrics": list(metrics)}).gate_metric

    assert isinstance(gate(REPORTED, OUTCOMES, VALUE), DecisionValue)
    assert isinstance(gate(REPORTED, {**HIT, "name": "gate"}, VALUE), Outcomes)


def test_a_fault_of_the_problem_is_not_told_again_by_those_who_need_it(tmp_path: Path) -> None:
    error = refused(tmp_path, {"problem.kind": "ordinal"}, "  kind")
    assert "problem.kind" in error.what
    assert ";" not in error.what
