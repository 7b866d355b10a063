"""Tables without time, without entity, with shifts of hours; dates, numbers and texts as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.collection.step import collect_alone
from include.kreislauf.collection.table import read_table
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Handover, StepResult
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.sources import TableSource
from include.kreislauf.settings import Settings
from include.kreislauf.store.tables import Tables
from tests.preparation.tables import table_contract
from tests.support.strange import STRANGE

AS_OF = datetime(2024, 1, 15, 12, tzinfo=UTC)
"""A Monday."""
COLUMNS = {"x": "number", "kind": "text", "y": "number"}
SHIFTS = {"entity": "machine", "time": "start", "period": "week", "row_hours": 8.0, "target": "y"}


def written(folder: Path, text: str, columns: dict[str, Any] | None = None, **problem: Any) -> Contract:
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return table_contract(columns or COLUMNS, {"target": "y", **problem})


def read(contract: Contract, folder: Path) -> pd.DataFrame:
    source = contract.sources[0]
    assert isinstance(source, TableSource)
    return read_table(source, contract.problem, str(folder), AS_OF)


def collected(contract: Contract, folder: Path) -> StepResult:
    settings = Settings(home=folder / "home", data=str(folder))
    result = collect_alone(contract, settings, as_of=AS_OF, now=AS_OF)
    assert isinstance(result.message, Handover), result.document
    return result


def refused(contract: Contract, folder: Path) -> SourceError:
    with pytest.raises(SourceError) as error:
        read(contract, folder)
    return error.value


def shifts(folder: Path, *starts: str) -> Contract:
    lines = "".join(f"{name},{start},1,2\n" for name, start in (one.split(" ") for one in starts))
    columns = {"machine": "text", "start": "date", "x": "number", "y": "number"}
    return written(folder, f"machine,start,x,y\n{lines}", columns, **SHIFTS)


def test_rows_without_key_keep_their_order_and_may_repeat(tmp_path: Path) -> None:
    contract = written(tmp_path, "x,kind,y\n3,b,1\n1,a,2\n3,b,1\n")
    assert read(contract, tmp_path)["x"].tolist() == [3.0, 1.0, 3.0]
    result = collected(contract, tmp_path)
    assert isinstance(result.message, Handover)
    assert set(result.message.summary) >= {"rows", "missing_share"}
    assert not {"entities", "first_period", "last_period"} & set(result.message.summary)
    assert "warning: 1 of 3 rows repeat another one in every column" in str(
        result.message.summary["findings"]
    )
    assert "3 rows.\n" in result.document
    assert "! duplicates: 1 of 3 rows repeat another one in every column" in result.document
    assert "freshness" not in result.document


def test_an_entity_without_time_is_there_once(tmp_path: Path) -> None:
    contract = written(tmp_path, "x,kind,y\n1,b,1\n2,a,2\n", entity="kind")
    assert read(contract, tmp_path)["kind"].tolist() == ["b", "a"]
    assert "2 rows of 2 entities.\n" in collected(contract, tmp_path).document
    twice = written(tmp_path, "x,kind,y\n1,b,1\n2,b,2\n", entity="kind")
    assert "duplicate rows" in refused(twice, tmp_path).what
    grouped = written(tmp_path, "x,kind,y\n1,b,1\n2,b,2\n", entity="kind", group="kind")
    assert len(read(grouped, tmp_path)) == 2


def test_time_without_entity_is_no_key(tmp_path: Path) -> None:
    columns = {**COLUMNS, "day": "date"}
    contract = written(
        tmp_path, "x,kind,y,day\n1,b,1,2024-01-14\n2,a,2,2024-01-13\n3,a,2,2024-01-14\n", columns,
        time="day", period="day",
    )  # fmt: skip
    assert read(contract, tmp_path)["x"].tolist() == [2.0, 1.0, 3.0]
    document = collected(contract, tmp_path).document
    assert "3 rows, days 2024-01-13\nto 2024-01-14." in document


def test_a_shift_is_there_when_its_hours_are_over_not_its_week(tmp_path: Path) -> None:
    contract = shifts(
        tmp_path, "m 2024-01-15T02:00", "m 2024-01-15T04:00", "m 2024-01-15T05:00", "k 2024-01-14"
    )
    found = read(contract, tmp_path)
    assert [f"{name} {start:%d %H}" for name, start in zip(found["machine"], found["start"], strict=True)] == [
        "k 14 00", "m 15 02", "m 15 04",
    ]  # fmt: skip
    weekly = contract.problem.model_copy(update={"row_hours": None})
    assert len(read(contract.model_copy(update={"problem": weekly}), tmp_path)) == 0


def test_several_shifts_of_a_period_are_told_apart_by_their_time(tmp_path: Path) -> None:
    document = collected(shifts(tmp_path, "m 2024-01-15T02:00", "m 2024-01-14T18:00"), tmp_path).document
    assert "2 rows of 1 entities, weeks 2024-01-14\nto 2024-01-15." in document
    assert "✓ freshness: the newest row is of 2024-01-15, 0 weeks before 2024-01-15" in document
    assert "duplicate rows" in refused(shifts(tmp_path, "m 2024-01-14", "m 2024-01-14"), tmp_path).what


def test_a_key_without_a_value_is_refused(tmp_path: Path) -> None:
    columns = {**COLUMNS, "day": "date"}
    contract = written(
        tmp_path, "x,kind,y,day\n1,b,1,2024-01-02\n1,b,1,\n", columns, time="day", period="day"
    )  # fmt: skip
    assert "day: fails not_nullable" in refused(contract, tmp_path).what
    assert "in row 3" in refused(contract, tmp_path).what


@pytest.mark.parametrize("day", ["2016-04-03", "2016-04-03T10:00:00Z", "20160403", "2016-4-3"])
def test_iso_dates_pass(tmp_path: Path, day: str) -> None:
    contract = written(tmp_path, f"x,kind,y,day\n1,b,1,{day}\n", {**COLUMNS, "day": "date"})
    assert f"{read(contract, tmp_path)['day'].iloc[0]:%Y-%m-%d}" == "2016-04-03"


@pytest.mark.parametrize("day", ["03/04/2016", "03.04.2016", "3 April 2016", "42463", "03-04-2016"])
def test_no_month_is_taken_for_a_day(tmp_path: Path, day: str) -> None:
    columns = {**COLUMNS, "day": "date"}
    contract = written(tmp_path, f"x,kind,y,day\n1,b,1,2016-04-03\n1,b,1,{day}\n1,b,1,{day}\n", columns)
    error = refused(contract, tmp_path)
    assert error.what == f"column day: '{day}' in row 3 is not a date, nor are 1 others"
    assert error.allowed == "ISO 8601, such as 2016-04-01"


def test_text_is_what_stands_in_the_file(tmp_path: Path) -> None:
    contract = written(tmp_path, "x,kind,y\n1,007,1\n1,1,1\n1,,1\n1,True,1\n")
    assert read(contract, tmp_path)["kind"].fillna("-").tolist() == ["007", "1", "-", "True"]


def test_whole_numbers_with_gaps_are_text_without_a_point(tmp_path: Path) -> None:
    contract = table_contract(COLUMNS, {"target": "y"}, url="{data}/table.parquet")
    for kinds, expected in (
        ([7.0, np.nan], ["7", "-"]),
        ([1e300, 7.0], ["1e+300", "7.0"]),
        ([0.5, np.inf], ["0.5", "inf"]),
    ):
        frame = pd.DataFrame({"x": [1.0, 2.0], "kind": kinds, "y": [1, 2]})
        frame.to_parquet(tmp_path / "table.parquet")
        assert read(contract, tmp_path)["kind"].fillna("-").tolist() == expected


def test_sparse_and_empty_columns_are_kept_and_told(tmp_path: Path) -> None:
    lines = "".join(f"{'5' if number == 3 else ''},,{number}\n" for number in range(10))
    contract = written(tmp_path, f"x,kind,y\n{lines}")
    result = collected(contract, tmp_path)
    assert "! completeness: values are missing in most rows: kind 100.0%, x 90.0%" in result.document
    assert isinstance(result.message, Handover)
    assert result.message.summary["missing_share"] == {"x": 0.9, "kind": 1.0}
    assert list(Tables(str(tmp_path / "home" / "tables"), "table").read(result.message.output)) == [
        "x",
        "kind",
        "y",
    ]


def test_of_many_columns_only_some_are_listed(tmp_path: Path) -> None:
    many = {f"c{number}": "number" for number in range(2000)}
    (tmp_path / "table.csv").write_text(f"{','.join(many)}\n{'1,' * 1999}1\n")
    error = refused(table_contract({**many, "y": "number"}, {"target": "y"}), tmp_path)
    assert error.what.startswith("column y is missing; the file has c0, c1, ")
    assert error.what.endswith("c29 and 1970 more")


def test_strange_names_are_columns_as_any_other(tmp_path: Path) -> None:
    frame = pd.DataFrame({**{name: [1.0, 2.0, 3.0] for name in STRANGE}, "y": [1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "table.csv", index=False)
    result = collected(
        table_contract({**dict.fromkeys(STRANGE, "number"), "y": "number"}, {"target": "y"}), tmp_path
    )
    assert isinstance(result.message, Handover)
    kept = Tables(str(tmp_path / "home" / "tables"), "table").read(result.message.output)
    pd.testing.assert_frame_equal(kept, frame)
    row = next(line for line in result.document.splitlines() if "{x}" in line)
    assert row.replace(r"\|", "").count("|") == 6
