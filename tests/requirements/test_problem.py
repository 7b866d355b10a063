"""What is predicted: which kinds of target, rows and requests go together, and what is said where they do not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.kreislauf.requirements.problem import MAX_CLASSES, Problem, fitting

OF_NUMBERS = ("mae", "rmse")
TIMED = {"entity": "machine", "time": "day", "period": "week"}
KINDS: dict[str, dict[str, Any]] = {
    "regression": {"kind": "regression"},
    "binary": {"kind": "binary", "classes": ["sound", "failure"]},
    "multiclass": {"kind": "multiclass", "classes": ["a", "b", "c"]},
}


def problem(kind: str = "regression", **fields: Any) -> Problem:
    return Problem.model_validate({**KINDS[kind], **TIMED, **fields})


def fault(kind: str = "regression", **fields: Any) -> tuple[str, str]:
    """What is wrong, and what would be allowed."""
    with pytest.raises(ValidationError) as raised:
        problem(kind, **fields)
    [error] = raised.value.errors()
    return error["msg"], error.get("ctx", {}).get("expected", "")


@pytest.mark.parametrize(
    ("kind", "task"), [("regression", "regression"), ("binary", "classification"), ("multiclass", "classification")]
)  # fmt: skip
def test_training_knows_two_tasks(kind: str, task: str) -> None:
    assert problem(kind).task == task


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({}, ["machine", "day"]),
        ({"time": None, "period": None}, ["machine"]),
        ({"entity": None, "requests": "features"}, ["day"]),
        ({"entity": None, "time": None, "period": None, "requests": "features"}, []),
    ],
)
def test_the_keys_are_entity_and_time_as_far_as_there_are_any(
    fields: dict[str, Any], keys: list[str]
) -> None:
    assert problem(**fields).keys == keys


def test_rows_without_time_have_no_calendar() -> None:
    assert problem().calendar == "week"
    with pytest.raises(ValueError, match="rows without time have no periods"):
        _ = problem(time=None, period=None).calendar


@pytest.mark.parametrize("fields", [{"time": None}, {"period": None}])
def test_time_and_period_belong_together(fields: dict[str, Any]) -> None:
    assert fault(**fields) == ("time and period belong together", "both, or neither of them")


def test_shifts_need_time() -> None:
    assert problem(row_hours=8).row_hours == 8
    assert fault(time=None, period=None, row_hours=8) == (
        "row_hours without time",
        "row_hours with time and period",
    )


def test_rows_with_time_have_no_groups() -> None:
    assert problem(time=None, period=None, group="plant").group == "plant"
    assert fault(group="plant") == (
        "group with time",
        "group for rows without time: others are split by time",
    )


@pytest.mark.parametrize(
    ("kind", "classes", "allowed"),
    [
        ("regression", ["a", "b"], "none"),
        ("binary", [], "two: the second is the one whose probability is predicted"),
        ("binary", ["a"], "two: the second is the one whose probability is predicted"),
        ("binary", ["a", "b", "c"], "two: the second is the one whose probability is predicted"),
        ("multiclass", ["a", "b"], f"three to {MAX_CLASSES}; two are kind binary"),
        ("multiclass", [], f"three to {MAX_CLASSES}; two are kind binary"),
    ],
)
def test_each_kind_has_its_number_of_classes(kind: str, classes: list[str], allowed: str) -> None:
    assert fault(kind, classes=classes) == (f"{len(classes)} classes with kind {kind}", allowed)


def test_a_class_is_named_once() -> None:
    assert fault("multiclass", classes=["b", "a", "b", "a"]) == (
        "classes named twice: a, b",
        "each class once",
    )


@pytest.mark.parametrize("name", ["", "x" * 129, "line\nbreak", "nul\x00"])
def test_a_class_is_a_line_of_text(name: str) -> None:
    said, _ = fault("binary", classes=["sound", name])
    assert said.startswith("String should")


@pytest.mark.parametrize("name", ["größer", "class 'b'", "x; DROP TABLE x", "🔥"])
def test_a_class_may_be_any_line_of_text(name: str) -> None:
    assert problem("binary", classes=["sound", name]).classes == ("sound", name)


def test_who_asks_by_entity_needs_one() -> None:
    assert fault(entity=None) == (
        "requests by entity, but rows have none",
        "an entity, or requests: features",
    )


@pytest.mark.parametrize("fields", [{"target": "day"}, {"target": "machine"}, {"time": "machine"}])
def test_a_column_has_one_role(fields: dict[str, Any]) -> None:
    assert fault(**fields) == ("one column has two roles", "different columns for target, entity and time")


def test_the_entity_may_be_the_group() -> None:
    assert problem(time=None, period=None, group="machine").group == "machine"
    said, _ = fault(time=None, period=None, group="y", target="y")
    assert said == "one column has two roles"


@pytest.mark.parametrize(
    ("kind", "fields", "metrics", "baselines"),
    [
        ("regression", {}, OF_NUMBERS, ("prior", "persistence", "momentum", "drift")),
        ("regression", {"time": None, "period": None}, OF_NUMBERS, ("prior",)),
        ("binary", {}, ("log_loss", "brier"), ("prior",)),
        ("multiclass", {"time": None, "period": None}, ("log_loss", "brier"), ("prior",)),
    ],
)
def test_what_judges_a_kind(
    kind: str, fields: dict[str, Any], metrics: tuple[str, ...], baselines: tuple[str, ...]
) -> None:
    assert fitting(problem(kind, **fields)) == (metrics, baselines)
