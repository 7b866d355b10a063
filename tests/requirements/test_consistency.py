"""What of a contract must fit together: each misfit is told with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.preparation.tables import table_contract

COLUMNS = {"x": "number", "y": "number", "who": "text", "day": "date", "site": "text"}
TIMED = {"time": "day", "period": "day"}


def fault(
    columns: dict[str, Any] | None = None, problem: dict[str, Any] | None = None, **more: Any
) -> tuple[str, str]:
    """What is wrong, and what would be allowed."""
    with pytest.raises(ValidationError) as raised:
        table_contract({**COLUMNS, **(columns or {})}, {"target": "y", **(problem or {})}, **more)
    error = raised.value.errors()[0]
    return error["msg"], error.get("ctx", {}).get("expected", "")


@pytest.mark.parametrize(
    ("problem", "said", "allowed"),
    [
        ({"target": "who"}, "column who of source rows is of type text, but it is the target of a problem of kind regression", "type number"),
        ({"time": "x", "period": "day"}, "column x of source rows is of type number, but it is the time", "type date"),
        ({"entity": "x"}, "column x of source rows is of type number, but it is the entity", "type text"),
        ({"group": "day"}, "column day of source rows is of type date, but it is the group", "type text or number"),
        ({"kind": "binary", "classes": ["0", "1"], "target": "day"}, "column day of source rows is of type date, but it is the target", "type text or number"),
    ],
)  # fmt: skip
def test_a_column_has_a_type_that_fits_its_role(problem: dict[str, Any], said: str, allowed: str) -> None:
    text, expected = fault(problem=problem)
    assert text.startswith(said)
    assert expected == allowed


@pytest.mark.parametrize(
    ("problem", "step", "said"),
    [
        ({}, {"step": "keep_latest"}, "keep_latest goes by what a row is about"),
        (TIMED, {"step": "keep_latest"}, "keep_latest goes by what a row is about"),
        ({"entity": "who", "group": "who"}, {"step": "keep_latest"}, "keep_latest goes by what a row is about"),
        ({"entity": "who"}, {"step": "fill_previous", "columns": ["x"]}, "fill_previous goes by entity and time"),
        (TIMED, {"step": "fill_previous", "columns": ["x"]}, "fill_previous goes by entity and time"),
    ],
)  # fmt: skip
def test_cleaning_goes_by_what_the_rows_have(
    problem: dict[str, Any], step: dict[str, Any], said: str
) -> None:
    text, allowed = fault(problem=problem, preparation={"cleaning": [step]})
    assert text.startswith(said)
    assert "problem.entity" in allowed


def test_cleaning_that_goes_by_keys_is_allowed_where_there_are_some() -> None:
    latest, previous = {"step": "keep_latest"}, {"step": "fill_previous", "columns": ["x"]}
    for problem, steps in (({"entity": "who"}, [latest]), ({"entity": "who", **TIMED}, [latest, previous])):
        found = table_contract(COLUMNS, {"target": "y", **problem}, preparation={"cleaning": steps})
        assert len(found.preparation.cleaning) == len(steps)


@pytest.mark.parametrize("name", ["a\nb", "tab\there", "\x00", "next\x85line"])
def test_a_name_with_a_control_character_is_refused(name: str) -> None:
    text, allowed = fault({name: "number"})
    assert text == f"{name!r} holds a control character, such as a line break"
    assert "rename the column" in allowed


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        'the "best"',
        "it's",
        "🚀",
        "'; DROP TABLE raw; --",
        "a,b;c",
        "{x}=(1)",
        "Größe",
        "__missing",
    ],
)
def test_any_other_name_is_allowed(name: str) -> None:
    assert name in table_contract({**COLUMNS, name: "number"}, {"target": "y"}).sources[0].columns


def test_sources_of_rows_that_may_repeat_cannot_be_joined() -> None:
    declared = {name: {"type": kind} for name, kind in COLUMNS.items()}
    both = [{"kind": "table", "name": name, "url": "x.csv", "columns": declared} for name in ("one", "two")]
    text, allowed = fault(problem={"entity": "who", "group": "who"}, sources=both)
    assert text == "2 sources cannot be joined without an entity whose rows are there once"
    assert allowed == "one source, or problem.entity (other than problem.group)"


def test_a_column_comes_from_one_source() -> None:
    sources = [
        {
            "kind": "table",
            "name": name,
            "url": "x.csv",
            "columns": {one: {"type": COLUMNS[one]} for one in columns},
        }
        for name, columns in (("first", ("who", "x", "y")), ("second", ("who", "x")))
    ]
    text, allowed = fault(problem={"entity": "who"}, sources=sources)
    assert text == "column x is in more than one source"
    assert allowed == "each column in one source, but for entity and time"
