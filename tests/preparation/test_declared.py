"""Features without code: the declared columns, with the time at which each target was known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.classes import positions
from include.kreislauf.preparation.declared import DeclaredFeatures, features_of
from include.kreislauf.preparation.features import ContractFaultError, day_of
from include.kreislauf.requirements.problem import Problem
from tests.preparation.tables import table_contract
from tests.support.use_cases import write_use_case

COLUMNS = {"x": "number", "kind": "text", "made": "date", "label": "text"}
BINARY = {"kind": "binary", "target": "label", "classes": ["no", "yes"]}
WEEKS = {"time": "start", "period": "week", "row_hours": 8.0, "entity": "machine"}
AS_OF = date(2024, 1, 15)
"""A Monday."""


def rows(**values: Any) -> pd.DataFrame:
    frame = pd.DataFrame({
        "x": [1.0, np.nan, 3.0], "kind": ["a", None, "b"], "made": pd.to_datetime(["2020-01-01"] * 3),
        "label": ["no", "yes", None],
    })  # fmt: skip
    return frame.assign(**values)


def shifts(*starts: str) -> pd.DataFrame:
    given = pd.DataFrame({"machine": "m", "start": pd.to_datetime(list(starts)), "x": 1.0, "label": "no"})
    return given.assign(kind="a", made=given["start"])


def weekly(**problem: Any) -> DeclaredFeatures:
    columns = {**COLUMNS, "machine": "text", "start": "date"}
    return DeclaredFeatures(table_contract(columns, {**BINARY, **WEEKS, **problem}))


def test_numbers_and_texts_are_features_but_no_date_and_no_target() -> None:
    module = DeclaredFeatures(table_contract(COLUMNS, BINARY))
    assert (module.NUMERIC, module.CATEGORICAL, module.MAY_BE_MISSING) == (("x",), ("kind",), ("x",))
    built = module.build(rows(), AS_OF)
    assert list(built.columns) == ["entity", "x", "kind", "target"]
    assert list(built["entity"]) == ["000000000", "000000001", "000000002"]
    assert list(built["kind"]) == ["a", "missing", "b"]
    assert built["x"].isna().tolist() == [False, True, False]


def test_a_column_that_is_no_feature_entity_and_group_are_left_out() -> None:
    columns = {**COLUMNS, "id": {"type": "number", "feature": False}, "who": "text", "site": "text"}
    module = DeclaredFeatures(table_contract(columns, {**BINARY, "entity": "who", "group": "site"}))
    assert (module.NUMERIC, module.CATEGORICAL) == (("x",), ("kind",))
    built = module.build(rows(id=1.0, who=["p", "q", "r"], site=["s", "s", "t"]), AS_OF)
    assert list(built["entity"]) == ["p", "q", "r"]
    assert list(built["group"]) == ["s", "s", "t"]


def test_rows_without_time_are_all_there_and_what_happened_is_known_where_it_stands() -> None:
    module = DeclaredFeatures(table_contract(COLUMNS, BINARY))
    happened = module.outcomes(rows(), AS_OF)
    assert happened.to_dict("list") == {"entity": ["000000000", "000000001"], "outcome": ["no", "yes"]}


def test_a_row_is_there_when_its_hours_are_over_and_its_target_when_the_horizon_is() -> None:
    """Week 1 begins on 1 January; the target of its rows ends with week 2, which is over on the 15th."""
    starts = [
        "2024-01-01T06:00",
        "2024-01-07T22:00",
        "2024-01-08T06:00",
        "2024-01-14T14:00",
        "2024-01-14T22:00",
    ]
    built = weekly().build(shifts(*starts), AS_OF)
    assert [f"{one:%d %H}" for one in built["period"]] == ["01 06", "07 22", "08 06", "14 14"]
    assert built["target"].notna().tolist() == [True, True, False, False]
    a_week_later = weekly().build(shifts(*starts), date(2024, 1, 22))
    assert a_week_later["target"].notna().tolist() == [True] * 5
    assert len(weekly().outcomes(shifts(*starts), AS_OF)) == 2


def test_without_hours_a_row_is_there_when_its_period_is_over() -> None:
    starts = shifts("2024-01-01", "2024-01-08", "2024-01-15")
    assert len(weekly(row_hours=None).build(starts, AS_OF)) == 2


def test_of_hours_the_time_counts_not_only_the_day() -> None:
    module = weekly(period="hour", row_hours=None)
    noon = datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
    hours = shifts("2024-01-15T09:00", "2024-01-15T10:00", "2024-01-15T11:00", "2024-01-15T12:00")
    hourly, daily = (Problem.model_validate({**BINARY, **WEEKS, "period": one}) for one in ("hour", "day"))
    assert day_of(noon, daily) == date(2024, 1, 15)
    built = module.build(hours, day_of(noon, hourly))
    assert built["target"].notna().tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["entity", "target", "period", "group"])
def test_a_column_with_a_name_of_the_table_itself_is_told_where_it_is_taken(name: str) -> None:
    columns = {**COLUMNS, name: "number", "machine": "text", "start": "date", "site": "text"}
    plain = table_contract({**columns, "site": "text"}, {**BINARY, "group": "site"})
    timed = table_contract(columns, {**BINARY, **WEEKS})
    at_fault = {"entity": (plain, timed), "target": (plain, timed), "period": (timed,), "group": (plain,)}[
        name
    ]
    for contract in (plain, timed):
        if contract not in at_fault:
            assert name in DeclaredFeatures(contract).NUMERIC
            continue
        with pytest.raises(ContractFaultError) as error:
            DeclaredFeatures(contract)
        assert f"{name} cannot be the name of a feature" in error.value.text
        assert "feature: false" in error.value.next_step


def test_a_contract_without_a_feature_is_told_so() -> None:
    with pytest.raises(ContractFaultError, match="no declared column is left to learn from"):
        DeclaredFeatures(table_contract({"x": {"type": "number", "feature": False}, "label": "text"}, BINARY))


def test_the_file_decides_where_there_is_one(tmp_path: Path) -> None:
    radar = write_use_case(tmp_path)
    assert features_of(radar, tmp_path).NUMERIC[0] == "level"
    table = table_contract(COLUMNS, BINARY)
    assert features_of(table, tmp_path).NUMERIC == ("x",)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "features.py").write_text("NUMERIC = ()\n")
    with pytest.raises(PreparationError, match="lacks CATEGORICAL"):
        features_of(table, tmp_path)
    (tmp_path / "radar" / "features.py").unlink()
    with pytest.raises(PreparationError, match=r"has no features\.py; next: add one"):
        features_of(radar, tmp_path)


def test_classes_are_positions_in_the_contracts_order() -> None:
    problem = table_contract(COLUMNS, {**BINARY, "classes": ["yes", "no"]}).problem
    found = positions(pd.Series(["no", None, "yes"]), problem)
    assert found.fillna(-1).tolist() == [1.0, -1.0, 0.0]
    numbered = table_contract(COLUMNS, {**BINARY, "classes": ["0", "1"]}).problem
    assert positions(pd.Series([1.0, np.nan, 0.0]), numbered).fillna(-1).tolist() == [1.0, -1.0, 0.0]
    number = table_contract({"x": "number", "y": "number"}, {"target": "y"}).problem
    assert positions(pd.Series([2.5]), number).tolist() == [2.5]


def test_an_unknown_class_is_named_with_what_is_allowed() -> None:
    problem = table_contract(COLUMNS, BINARY).problem
    with pytest.raises(ContractFaultError) as error:
        positions(pd.Series(["no", "maybe", "maybe", None]), problem)
    assert "'maybe' in 2 rows" in error.value.text
    assert "allowed: no, yes" in error.value.text
    assert "problem.classes" in error.value.next_step
