"""The content of a data version: told apart when it differs, recognised after it was written, and damage to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.store.tables import Tables, content_of

FRAME = pd.DataFrame({
    "tech": ["python", None, "nan"], "day": pd.to_datetime(["2016-01-01", None, "2016-04-01"]),
    "share": [0.5, np.nan, np.inf], "count": [1, 2, 3], "known": [True, False, True],
})  # fmt: skip
TEXT = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3))
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6))


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path), "radar")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXT, NUMBERS), min_size=1, max_size=5), st.lists(st.tuples(TEXT, NUMBERS), min_size=1, max_size=5))  # fmt: skip
def test_equal_rows_have_equal_content_and_others_have_not(
    one: list[tuple[Any, Any]], other: list[tuple[Any, Any]]
) -> None:
    contents = [
        content_of(pd.DataFrame({
            "text": pd.Series([text for text, _ in rows], dtype=kind),
            "number": pd.Series([number for _, number in rows], dtype="float64"),
        }))
        for rows, kind in ((one, "object"), (one, "str"), (other, "str"))
    ]  # fmt: skip
    assert contents[0] == contents[1]
    assert (contents[1] == contents[2]) == (one == other)


def test_the_content_is_the_same_after_writing_and_reading(tables: Tables) -> None:
    version = tables.write("raw", FRAME, "c1")
    assert content_of(tables.read(version)) == content_of(FRAME)
    assert tables.fault(version) == ""


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(count=[1, 2, 4]), FRAME.rename(columns={"share": "part"}), FRAME.iloc[::-1], FRAME.iloc[:2],
        FRAME.assign(tech=["python", "nan", "nan"]), FRAME.assign(count=["1", "2", "3"]), FRAME[FRAME.columns[::-1]],
    ],
    ids=["value", "name", "order", "rows", "missing", "type", "columns"],
)  # fmt: skip
def test_what_differs_is_another_version(tables: Tables, other: pd.DataFrame) -> None:
    assert tables.write("raw", FRAME, "c1") == "raw@0"
    assert tables.write("raw", other.reset_index(drop=True), "c2", cut_off=True) == "raw@1"


def test_the_newest_version_is_named_where_the_content_is_the_same(tables: Tables) -> None:
    tables.write("raw", FRAME, "c1")
    assert tables.write("raw", FRAME, "c2", cut_off=True) == "raw@0"
    assert tables.write("raw", FRAME, "c3") == "raw@1"


def test_an_older_version_of_the_same_content_is_not_named(tables: Tables) -> None:
    """What is newest stays newest: who asks for the newest version must not get what was replaced."""
    tables.write("raw", FRAME, "c1")
    tables.write("raw", FRAME.iloc[:1], "c2", cut_off=True)
    assert tables.write("raw", FRAME, "c3", cut_off=True) == "raw@2"


def test_a_version_whose_files_are_gone_is_written_again(tables: Tables, tmp_path: Path) -> None:
    version = tables.write("raw", FRAME, "c1")
    for file in tmp_path.rglob("*.parquet"):
        file.unlink()
    assert "cannot be opened" in tables.fault(version)
    assert tables.write("raw", FRAME, "c2", cut_off=True) == "raw@1"
    assert tables.fault("raw@1") == ""


def test_a_version_whose_rows_were_changed_is_found_out(tables: Tables, tmp_path: Path) -> None:
    version = tables.write("raw", FRAME, "c1")
    [file] = tmp_path.rglob("*.parquet")
    tables.write("raw", FRAME.assign(count=[1, 2, 4]), "c2")
    [other] = {*tmp_path.rglob("*.parquet")} - {file}
    file.write_bytes(other.read_bytes())
    assert tables.fault(version) == "raw@0: its content was changed after it was written"


def test_a_version_that_never_was_is_a_fault(tables: Tables) -> None:
    assert "raw@0 cannot be opened" in tables.fault("raw@0")
    assert "does not name a data version" in tables.fault("raw")
