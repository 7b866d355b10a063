"""Collection: what the sources knew at a time, once; and a stop, with the reason, when they cannot give it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.collection.step import RAW, collect, read_sources
from include.kreislauf.collection.table import available
from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Role, Stage
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import Column, TableSource
from include.kreislauf.simulation.panel import PANEL_PATH
from include.kreislauf.store.cycles import State
from include.kreislauf.store.tables import Tables
from tests.support.fixtures import MakeLap
from tests.support.lap import Lap
from tests.support.script import Script
from tests.support.use_cases import write_use_case

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
Change = Callable[[str], str | bytes]


def panel(lap: Lap) -> Path:
    return Path(lap.settings.data) / PANEL_PATH


def table(lap: Lap) -> pd.DataFrame:
    """The delivered file."""
    return pd.read_csv(panel(lap), parse_dates=["quarter_start"])


def read(lap: Lap, as_of: datetime = AS_OF) -> pd.DataFrame:
    """What collection would keep."""
    return read_sources(lap.order(as_of), lap.contract, lap.settings)


def raw_versions(lap: Lap, name: str = "radar") -> set[str]:
    tables = Tables(lap.settings.tables, name)
    commits = [f"{cycle.key}|{attempt}" for cycle in lap.cycles() for attempt in (1, 2, 3)]
    return {found for commit in commits if (found := tables.find(RAW, commit))}


def in_cell(column: str, value: str) -> Change:
    """The first row with another value in one column."""

    def change(text: str) -> str:
        header, first, *rest = text.splitlines(keepends=True)
        cells = first.rstrip("\n").split(",")
        cells[header.rstrip("\n").split(",").index(column)] = value
        return "".join([header, ",".join(cells) + "\n", *rest])

    return change


def first_row(text: str) -> str:
    return text.splitlines(keepends=True)[1]


FAULTS: dict[str, tuple[Change, str]] = {
    "missing column": (lambda text: text.replace("jobs_share", "jobs_part", 1), "column jobs_share is missing; the file has tech"),
    "two missing columns": (lambda text: text.replace("jobs_", "job_"), "column jobs_with_tech, jobs_share is missing"),
    "empty file": (lambda text: "", "the file is empty"),
    "only a header": (lambda text: text.splitlines()[0] + "\n", "has columns but no rows"),
    "only white space": (lambda text: "\n \n\n", "the file is empty"),
    "duplicate rows": (lambda text: text + first_row(text), "duplicate rows"),
    "text in a number column": (in_cell("jobs_share", "many"), "column jobs_share: 'many' in row 2 is not a number"),
    "no date": (in_cell("quarter_start", "soon"), "column quarter_start: 'soon' in row 2 is not a date"),
    "out of range": (in_cell("jobs_share", "1.5"), "jobs_share: fails less_than_or_equal_to(1.0), found 1.5 in row 2"),
    "below the range": (in_cell("jobs_with_tech", "-1"), "jobs_with_tech: fails greater_than_or_equal_to(0.0), found -1.0 in row 2"),
    "infinite": (in_cell("gh_repo_new_stars", "inf"), "gh_repo_new_stars: fails finite, found inf in row 2"),
    "no entity": (in_cell("tech", ""), "tech: fails not_nullable"),
    "not UTF-8": (lambda text: text.encode().replace(b"lang", b"\xff\xfe", 1), "cannot be parsed"),
    "too many cells": (lambda text: text.replace(first_row(text), "1," * 40 + "\n", 1) + "1," * 90 + "\n", "cannot be parsed"),
    "not a table": (lambda text: b"\x00\x01\x02PK\x03\x04" * 99, "column tech"),
}  # fmt: skip


@pytest.fixture
def live(make_lap: MakeLap, script: Script) -> Lap:
    """A live release; collection is real, the other disciplines follow a script."""
    lap = make_lap(script, real=[Stage.COLLECTION])
    lap.manual(Role.REQUIREMENTS, as_of=AS_OF)
    return lap


def stopped(lap: Lap, as_of: datetime = datetime(2017, 1, 1, tzinfo=UTC)) -> Loop:
    """Collect once more: the cycle must stop at collection, and everything else stay as it is."""
    release, versions = lap.live(), raw_versions(lap)
    *rest, loop = lap.manual(Role.REQUIREMENTS, as_of=as_of)
    cycle = lap.cycles()[-1]
    assert isinstance(loop, Loop)
    assert loop.edge is Edge.DATA_ENGINEERING_TO_REQUIREMENTS
    assert [one.stage for one in rest if isinstance(one, Handover)] == [Stage.REQUIREMENTS]
    assert [one.stage for one in lap.handovers(cycle.cycle_id)] == [Stage.REQUIREMENTS]
    assert (cycle.state, cycle.note) == (State.WAITING, loop.text)
    assert (lap.live(), raw_versions(lap)) == (release, versions)
    return loop


# Sources that cannot give what is needed


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_stops_the_cycle_with_its_reason(live: Lap, fault: str) -> None:
    change, said = FAULTS[fault]
    text = panel(live).read_text()
    broken = change(text)
    panel(live).write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    loop = stopped(live)
    assert loop.reason is Reason.SOURCE_FAILED
    assert said in loop.text
    assert loop.text.startswith(str(panel(live)))
    assert loop.evidence[0].note == loop.text


def test_a_missing_file_stops_the_cycle_with_its_reason(live: Lap) -> None:
    panel(live).unlink()
    loop = stopped(live)
    assert loop.reason is Reason.SOURCE_FAILED
    assert loop.text == f"{panel(live)}: file not found; next: deliver the file or correct the URL"


def test_stale_data_stop_the_cycle(live: Lap) -> None:
    loop = stopped(live, datetime(2022, 7, 1, tzinfo=UTC))
    assert loop.reason is Reason.COVERAGE_TOO_LOW
    assert (
        "the newest row is of 2021-10-01, 3 quarters before 2022-07-01; allowed: at most 2 quarters"
        in loop.text
    )


def test_data_of_two_periods_ago_are_fresh_enough(live: Lap) -> None:
    live.manual(Role.REQUIREMENTS, as_of=datetime(2022, 4, 1, tzinfo=UTC))
    assert live.cycles()[-1].state is State.LIVE


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ({"min_entities": 999}, "rows of 40 entities are known as of 2017-01-01; allowed: at least 200 rows of 999 entities"),
        ({"min_rows": 99_999}, "allowed: at least 99999 rows of 15 entities"),
    ],
)  # fmt: skip
def test_too_little_data_stops_the_cycle(live: Lap, quality: dict[str, int], said: str) -> None:
    write_use_case(live.settings.use_cases, quality=quality)
    loop = stopped(live)
    assert loop.reason is Reason.COVERAGE_TOO_LOW
    assert said in loop.text


def test_before_anything_was_available_there_are_no_data(live: Lap) -> None:
    loop = stopped(live, datetime(2011, 3, 31, tzinfo=UTC))
    assert "0 rows of 0 entities are known as of 2011-03-31" in loop.text


def test_after_the_source_was_mended_an_approval_carries_on(live: Lap) -> None:
    whole = panel(live).read_text()
    panel(live).write_text("")
    stopped(live)
    panel(live).write_text(whole)
    live.answer(approved=True)
    assert live.cycles()[-1].state is State.LIVE


def test_an_installation_without_data_is_told_which_variable_to_set(live: Lap) -> None:
    live.settings = live.settings.model_copy(update={"data": ""})
    assert "uses {data}, but KREISLAUF_DATA is not set" in stopped(live).text


# What was known at a time

PROBLEM = Problem(kind="regression", entity="tech", time="start", period="quarter")
starts = st.integers(0, 60).map(lambda number: pd.Timestamp("2010-01-01") + pd.DateOffset(months=3 * number))


@settings(deadline=None)
@given(
    st.lists(starts, min_size=1, max_size=20, unique=True),
    st.integers(0, 6000).map(lambda day: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=day)),
    st.integers(0, 200),
)
def test_law_as_of_never_sees_what_was_not_yet_available(
    periods: list[pd.Timestamp], as_of: datetime, delay: int
) -> None:
    columns = {"tech": Column(type="text"), "start": Column(type="date")}
    source = TableSource(kind="table", name="panel", url="x", available_after_days=delay, columns=columns)
    frame = pd.DataFrame({"tech": "a", "start": periods})
    seen = set(available(frame, source, PROBLEM, as_of)["start"])
    for period in periods:
        ended = (period + pd.DateOffset(months=3)).tz_localize("UTC") + timedelta(days=delay)
        assert (period in seen) is (ended <= as_of)


@pytest.mark.parametrize("delay", [0, 45])
@pytest.mark.parametrize("as_of", ["2016-01-01", "2016-02-14", "2016-02-15", "2016-12-31", "2017-01-01"])
def test_a_version_holds_exactly_the_rows_known_at_its_time(lap: Lap, as_of: str, delay: int) -> None:
    source = lap.contract.sources[0].model_dump()
    write_use_case(lap.settings.use_cases, sources=[{**source, "available_after_days": delay}])
    kept = read(lap, datetime.fromisoformat(as_of).replace(tzinfo=UTC))
    all_rows = table(lap)
    known = all_rows["quarter_start"] + pd.DateOffset(months=3) + timedelta(days=delay) <= pd.Timestamp(as_of)
    assert set(zip(kept["tech"], kept["quarter_start"], strict=True)) == set(
        zip(all_rows["tech"][known], all_rows["quarter_start"][known], strict=True)
    )


def test_rows_added_later_change_nothing_about_an_earlier_time(lap: Lap) -> None:
    before = read(lap)
    early = table(lap)[table(lap)["quarter_start"] < "2016-01-01"]
    early.to_csv(panel(lap), index=False)
    pd.testing.assert_frame_equal(read(lap), before)


# Versions


def test_a_version_is_written_once_per_attempt(lap: Lap) -> None:
    order = lap.order(AS_OF)
    first, again = collect(order, lap.contract, lap.settings), collect(order, lap.contract, lap.settings)
    assert first.message == again.message
    assert isinstance(first.message, Handover)
    assert raw_versions(lap) == {first.message.output} == {"raw@0"}
    same, fresh = (
        collect(order.model_copy(update={"attempt": attempt, **more}), lap.contract, lap.settings).message
        for attempt, more in ((2, {}), (3, {"fresh": True}))
    )
    assert isinstance(same, Handover)
    assert isinstance(fresh, Handover)
    assert (same.output, fresh.output) == ("raw@0", "raw@1"), (
        "the same content, unless a person wants it made anew"
    )


def test_a_version_keeps_what_was_delivered_when_it_was_made(lap: Lap) -> None:
    made = collect(lap.order(AS_OF), lap.contract, lap.settings).message
    assert isinstance(made, Handover)
    before = read(lap)
    panel(lap).write_text("")
    pd.testing.assert_frame_equal(
        Tables(lap.settings.tables, "radar").read(made.output), before, check_dtype=False
    )


def test_a_version_holds_only_the_contracts_columns_with_their_types(lap: Lap) -> None:
    found = read(lap)
    assert list(found.columns) == list(lap.contract.sources[0].columns)
    assert {name: str(kind) for name, kind in found.dtypes.items() if name in ("tech", "jobs_with_tech")} == {
        "tech": "str",
        "jobs_with_tech": "float64",
    }
    assert pd.api.types.is_datetime64_dtype(found["quarter_start"])


def test_the_data_sheet_tells_what_the_version_holds(lap: Lap) -> None:
    made = collect(lap.order(AS_OF), lap.contract, lap.settings)
    assert isinstance(made.message, Handover)
    summary = made.message.summary
    assert (summary["first_period"], summary["last_period"]) == ("2011-01-01", "2015-10-01")
    for part in (f"{summary['rows']} rows of {summary['entities']} entities", "as of 2016-01-01", "| jobs_share | float64 |",
                 "- `panel` (table): `{data}/panel/tech_quarter_panel.csv`"):  # fmt: skip
        assert part in made.document


# Other forms of the same data


def test_a_parquet_file_is_read_like_a_csv_file(lap: Lap) -> None:
    before, target = read(lap), panel(lap).with_suffix(".parquet")
    table(lap).to_parquet(target, index=False)
    source = lap.contract.sources[0].model_dump()
    write_use_case(
        lap.settings.use_cases, sources=[{**source, "url": source["url"].replace(".csv", ".parquet")}]
    )
    pd.testing.assert_frame_equal(read(lap), before)


def test_a_file_that_is_no_parquet_file_stops_the_cycle(live: Lap) -> None:
    panel(live).rename(panel(live).with_suffix(".parquet")).write_text("tech,kind\n")
    source = live.contract.sources[0].model_dump()
    write_use_case(
        live.settings.use_cases, sources=[{**source, "url": source["url"].replace(".csv", ".parquet")}]
    )
    release = live.live()
    loop = live.manual(Role.REQUIREMENTS, as_of=datetime(2017, 1, 1, tzinfo=UTC))[-1]
    assert isinstance(loop, Loop)
    assert "cannot be parsed" in loop.text
    assert "allowed: CSV (UTF-8) or Parquet" in loop.text
    assert live.live() == release


@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT00:00:00Z", "%Y-%m-%d 00:00:00+00:00", "%Y-%m-%d 00:00", "%Y%m%d"]
)
def test_dates_may_be_written_in_any_form_of_iso_8601(lap: Lap, form: str) -> None:
    before = read(lap)
    table(lap).to_csv(panel(lap), index=False, date_format=form)
    pd.testing.assert_frame_equal(read(lap), before)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d %B %Y"])
def test_dates_in_which_day_and_month_can_be_mistaken_stop_the_cycle(live: Lap, form: str) -> None:
    table(live).to_csv(panel(live), index=False, date_format=form)
    assert "in row 2 is not a date, nor are " in (text := stopped(live).text)
    assert "allowed: ISO 8601, such as 2016-04-01" in text


def test_a_column_that_is_not_required_may_be_empty(lap: Lap) -> None:
    source = lap.contract.sources[0].model_dump()
    source["columns"]["note"] = {"type": "text"}
    source["columns"]["seen"] = {"type": "date"}
    write_use_case(lap.settings.use_cases, sources=[source])
    table(lap).assign(note=None, seen=None).to_csv(panel(lap), index=False)
    made = collect(lap.order(AS_OF), lap.contract, lap.settings).message
    assert isinstance(made, Handover)
    assert Tables(lap.settings.tables, "radar").read(made.output)["note"].isna().all()


def test_several_sources_are_joined_on_entity_and_time(lap: Lap) -> None:
    before, whole = read(lap), table(lap)
    jobs = ["jobs_with_tech", "jobs_share"]
    whole.drop(columns=jobs).to_csv(panel(lap), index=False)
    whole[["tech", "quarter_start", *jobs]].to_csv(panel(lap).with_name("jobs.csv"), index=False)
    source = lap.contract.sources[0].model_dump()
    columns = source["columns"]
    keys = {name: columns[name] for name in ("tech", "quarter_start")}
    first = {**source, "columns": {name: column for name, column in columns.items() if name not in jobs}}
    second = {
        **source,
        "name": "jobs",
        "url": "{data}/panel/jobs.csv",
        "columns": keys | {name: columns[name] for name in jobs},
    }
    write_use_case(lap.settings.use_cases, sources=[first, second])
    pd.testing.assert_frame_equal(read(lap)[list(before.columns)], before)
