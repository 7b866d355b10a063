"""From counts to the raw panel: shares, gaps that are not zero, outages that are found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.collection.counts import CountTable
from include.kreislauf.collection.gathering import Gathering
from include.kreislauf.collection.panel import Observed, counted_panel, join, observe
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.store.tables import Tables
from tests.support.folder_source import TECHNOLOGIES, FolderSource, at, months_of, write_months

PROBLEM = Problem(kind="regression", entity="tech", time="quarter_start", period="quarter")
AS_OF = "2017-01-01"


def observed(
    tmp_path: Path, as_of: str = AS_OF, *, source_class: type[FolderSource] = FolderSource, **fields: object
) -> Observed:
    """What the folder shows, through gathering and the table."""
    source, tables = source_class(tmp_path / "source", **fields), Tables(str(tmp_path / "tables"), "radar")
    moment = at(as_of)
    gathering = Gathering({"folder": source}, tables, as_of=moment, now=moment)
    gathering.read_all()
    table = CountTable(tables, "folder")
    version = table.version() or ""
    return observe(source, table.rows(version, moment), gathering.units("folder"), moment, "quarter", version)


def panel(tmp_path: Path, as_of: str = AS_OF, min_coverage: float = 0.5) -> pd.DataFrame:
    return counted_panel(observed(tmp_path, as_of), TECHNOLOGIES, PROBLEM, min_coverage)


def value(frame: pd.DataFrame, tech: str, quarter: str, column: str) -> float:
    rows = frame[(frame["tech"] == tech) & (frame["quarter_start"] == quarter)]
    return float(rows[column].iloc[0])


def test_shares_are_of_everything_counted_in_the_period(tmp_path: Path) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=6, basic=3, other=1)
    frame = panel(tmp_path)
    assert value(frame, "ada", "2015-04-01", "share") == pytest.approx(0.6)
    assert value(frame, "ada", "2015-04-01", "count") == 18
    assert len(frame) == 3 * 8


def test_a_technology_that_was_looked_for_and_not_found_counts_zero(tmp_path: Path) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=6)
    assert value(panel(tmp_path), "cobol", "2015-04-01", "count") == 0


def test_a_technology_without_a_name_in_the_source_is_empty(tmp_path: Path) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=6)
    nameless = TECHNOLOGIES[2].model_copy(update={"tags": ()})
    frame = counted_panel(observed(tmp_path), [*TECHNOLOGIES[:2], nameless], PROBLEM, 0.5)
    assert frame.loc[frame["tech"] == "cobol", ["share", "count"]].isna().all(axis=None)


@pytest.mark.parametrize(("gone", "empty"), [(1, False), (2, True), (3, True)])
def test_a_period_with_too_few_files_is_missing_and_not_zero(tmp_path: Path, gone: int, empty: bool) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=60, basic=30)
    for month in months_of(2015)[3 : 3 + gone]:
        (tmp_path / "source" / f"{month}.json").unlink()
    frame = panel(tmp_path)
    assert pd.isna(value(frame, "ada", "2015-04-01", "share")) is empty
    assert pd.isna(value(frame, "cobol", "2015-04-01", "share")) is empty
    if not empty:  # the share is that of the files that are there
        assert value(frame, "ada", "2015-04-01", "share") == pytest.approx(2 / 3)


def test_an_outage_is_found_from_the_data_and_left_out(tmp_path: Path) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=600, basic=300)
    write_months(tmp_path / "source", ["2015-08"], basic=1)  # a file with a single event
    seen = observed(tmp_path)
    assert seen.coverage.of_state("outage") == ["2015-08"]
    frame = counted_panel(seen, TECHNOLOGIES, PROBLEM, 0.5)
    assert value(frame, "ada", "2015-07-01", "count") == 1200
    assert value(frame, "ada", "2015-07-01", "share") == pytest.approx(2 / 3)


def test_a_slow_fall_is_no_outage(tmp_path: Path) -> None:
    months = months_of(2015, 2016)
    falling = {month: {"ada": int(1000 * 0.85**number) + 1} for number, month in enumerate(months)}
    write_months(tmp_path / "source", falling)
    assert observed(tmp_path).coverage.of_state("outage") == []


@pytest.mark.parametrize(("as_of", "newest"), [("2016-12-31", "2016-07-01"), ("2017-01-01", "2016-10-01")])
def test_only_complete_periods_are_shown(tmp_path: Path, as_of: str, newest: str) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=6)
    assert panel(tmp_path, as_of)["quarter_start"].max() == pd.Timestamp(newest)


def test_sources_stand_side_by_side_from_the_first_sight_of_a_technology(tmp_path: Path) -> None:
    months = months_of(2015, 2016)
    write_months(
        tmp_path / "source",
        {key: {"ada": 5} for key in months} | {key: {"ada": 5, "cobol": 1} for key in months[15:]},
    )
    frame = join([panel(tmp_path)], TECHNOLOGIES, PROBLEM)
    assert list(frame.columns) == ["tech", "kind", "quarter_start", "share", "count"]
    assert set(frame["tech"]) == {"ada", "cobol"}
    assert frame.loc[frame["tech"] == "cobol", "quarter_start"].min() == pd.Timestamp("2016-04-01")
    assert set(frame["kind"]) == {"language"}
