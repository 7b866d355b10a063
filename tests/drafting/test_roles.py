"""What each column is for: as wished, or proposed; what cannot be is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.kreislauf.drafting.profiling import profile
from include.kreislauf.drafting.roles import Roles, questions, roles_of
from include.kreislauf.drafting.table import DraftError
from include.kreislauf.drafting.wishes import Wishes
from tests.drafting.tables import ROWS, machines, table_of

MONTHS = pd.date_range("2024-01-01", periods=24, freq="MS").strftime("%Y-%m-%d")


def roles(frame: pd.DataFrame, folder: Path, **wished: Any) -> Roles:
    table = table_of(frame, folder)
    return roles_of(table, profile(table), Wishes(name="machines", **{"target": "state", **wished}))


def asked(frame: pd.DataFrame, folder: Path, **wished: Any) -> dict[str, tuple[tuple[str, ...], str]]:
    table = table_of(frame, folder)
    found = questions(table, profile(table), Wishes(name="machines", purpose="p", **wished))
    return {one.field: (one.proposals, one.default) for one in found}


@pytest.mark.parametrize(
    ("wished", "kind", "classes"),
    [
        ({"target": "state"}, "binary", ("ok", "broken")),
        ({"target": "state", "positive": "ok"}, "binary", ("broken", "ok")),
        ({"target": "kind"}, "multiclass", ("drill", "lathe", "press")),
        ({"target": "wear"}, "regression", ()),
        ({"target": "flag"}, "binary", ("0", "1")),
        ({"target": "grade"}, "multiclass", ("1", "2", "10")),
        ({"target": "grade", "kind": "regression"}, "regression", ()),
        ({"target": "holes"}, "binary", ("0", "1")),
        ({"target": "truth"}, "binary", ("False", "True")),
    ],
)
def test_kinds_and_classes(
    wished: dict[str, str], kind: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    further = {
        "flag": [0, 1] * 120,
        "grade": [1, 2, 10] * 80,
        "holes": [0, 1, None] * 80,
        "truth": [True, False] * 120,
    }
    target = roles(machines(**further), tmp_path, **wished).target
    assert (target.kind, target.classes) == (kind, classes)


@pytest.mark.parametrize(
    ("columns", "wished", "what"),
    [
        ({}, {"target": "nothing"}, "there is no column 'nothing'"),
        ({}, {"target": ""}, "no target is named"),
        ({"state": ["ok"] * ROWS}, {}, "always 'ok': there is nothing to predict"),
        ({"state": [None] * ROWS}, {}, "never known"),
        ({"state": ["ok", "broken"] * 8 + [None] * 224}, {}, "known in 16 rows only"),
        ({"state": ["broken", *["ok"] * 239]}, {}, "classes with too few rows: 'broken' (1)"),
        ({"state": [f"s{number}" for number in range(ROWS)]}, {}, "240 different values"),
        ({}, {"kind": "regression"}, "holds no numbers"),
        ({}, {"kind": "multiclass"}, "has 2 classes"),
        ({}, {"positive": "fine"}, "there is no class 'fine'"),
        ({}, {"entity": "nothing"}, "there is no column 'nothing'"),
        ({}, {"time": "kind"}, "holds texts"),
        ({"day": ["03/04/2024", "04/04/2024"] * 120}, {"time": "day"}, "look like dates"),
        ({"day": ["2024-01-01", "2024-01-02"] * 120}, {"time": "day"}, "rows lie in 2 hours only"),
        ({"day": [*MONTHS] * 10}, {"time": "day", "period": "fortnight"}, "unknown period 'fortnight'"),
        ({"day": [*MONTHS] * 10}, {"time": "day", "period": "year"}, "rows lie in 2 years"),
        ({}, {"entity": "kind", "group": "kind"}, "cannot be entity, group at once"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(
    columns: dict[str, Any], wished: dict[str, str], what: str, tmp_path: Path
) -> None:
    with pytest.raises(DraftError) as caught:
        roles(machines(**columns), tmp_path, **wished)
    assert what in caught.value.text
    assert caught.value.allowed


def test_a_table_without_features_is_told(tmp_path: Path) -> None:
    frame = machines()[["state"]].assign(id=range(ROWS), always=1)
    with pytest.raises(DraftError, match=r"no column is left to learn from \(id: .*always: always 1"):
        roles(frame, tmp_path)


def test_columns_in_trouble_and_reserved_names_are_hidden(tmp_path: Path) -> None:
    found = roles(
        machines(id=range(ROWS), target=range(ROWS, 0, -1), entity=[1, 2] * 120), tmp_path, target="state"
    )
    assert set(found.hidden) == {"id", "target", "entity"}
    assert "rename it" in found.hidden["entity"]
    assert found.features == ("load", "heat", "kind", "wear")


def test_time_is_proposed_where_there_is_one_column_of_dates(tmp_path: Path) -> None:
    frame = machines(month=[*MONTHS] * 10)
    assert asked(frame, tmp_path, target="wear")["time"] == (("month", "none"), "month")
    calendar = roles(frame, tmp_path).calendar
    assert calendar
    assert (calendar.time, calendar.period, calendar.periods) == ("month", "month", 24)
    assert roles(frame, tmp_path, time="none").calendar is None


def test_of_two_columns_of_dates_none_is_taken(tmp_path: Path) -> None:
    frame = machines(month=[*MONTHS] * 10, other=[*MONTHS] * 10)
    assert asked(frame, tmp_path, target="wear")["time"] == (("month", "other", "none"), "none")
    assert roles(frame, tmp_path).calendar is None


def test_rows_of_one_customer_are_proposed_as_a_group(tmp_path: Path) -> None:
    frame = machines(customer_id=[number // 4 for number in range(ROWS)])
    assert asked(frame, tmp_path, target="wear")["group"] == (("customer_id", "none"), "customer_id")
    assert roles(frame, tmp_path).group == "customer_id"
    assert "customer_id" in roles(frame, tmp_path, group="none").features


def test_targets_are_proposed_by_name_and_then_from_the_end(tmp_path: Path) -> None:
    frame = machines(label=["a", "b"] * 120)[["label", "load", "heat", "kind"]]
    assert asked(frame, tmp_path)["target"] == (("label", "kind", "heat", "load"), "")


def test_whole_numbers_with_few_values_are_asked_about(tmp_path: Path) -> None:
    assert asked(machines(grade=[1, 2, 10] * 80), tmp_path, target="grade")["kind"] == (
        ("multiclass", "regression"),
        "multiclass",
    )


@pytest.mark.parametrize(
    ("times", "period", "hours"),
    [
        (pd.date_range("2024-01-01", periods=ROWS, freq="8h"), "day", 8.0),
        (pd.date_range("2024-01-01", periods=ROWS, freq="D"), "week", 24.0),
        (pd.date_range("1990-01-01", periods=ROWS, freq="MS"), "quarter", 730.0),
    ],
)
def test_the_longest_period_with_enough_of_them_is_proposed(
    times: Any, period: str, hours: float, tmp_path: Path
) -> None:
    calendar = roles(machines(at=times.strftime("%Y-%m-%dT%H:%M:%S")), tmp_path).calendar
    assert calendar
    assert calendar.period == period
    assert calendar.row_hours == pytest.approx(hours, rel=0.02)
