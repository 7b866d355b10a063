"""A table is seen as collection will read it, in bounded memory, and what cannot be read is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.drafting.reading import look
from include.kreislauf.drafting.sampling import Sample
from include.kreislauf.drafting.table import DraftError, Place
from include.kreislauf.settings import ROOT
from tests.drafting.tables import NOW, machines, seen, written


def test_a_csv_is_seen_as_pandas_reads_it(tmp_path: Path) -> None:
    frame = machines(load=[None, *range(239)], name=["NA", *"x" * 239])
    table = seen(written(frame, tmp_path))
    pd.testing.assert_frame_equal(table.frame, pd.read_csv(tmp_path / "table.csv"))
    assert (table.rows, table.sampled, table.left_out, table.notes) == (240, False, {}, ())


@pytest.mark.parametrize("kind", ["parquet", "delta", "sql"])
def test_every_form_shows_the_same(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, place = machines(), Place(url=f"{tmp_path}/table.parquet")
    if kind == "parquet":
        written(frame, tmp_path, "table.parquet")
    elif kind == "delta":
        place = Place(url=f"{tmp_path}/delta")
        write_deltalake(place.url, frame)
    else:
        url = f"sqlite:///{tmp_path}/plant.db"
        frame.to_sql("machines", create_engine(url), index=False)
        monkeypatch.setenv("KREISLAUF_CONNECTION_PLANT", url)
        place = Place(connection="plant", query="SELECT * FROM machines -- all of them")
    table = look(place, Access(AccessRules()), NOW)
    pd.testing.assert_frame_equal(table.frame, frame, check_dtype=False)
    assert table.rows == 240
    assert table.counts["state"] == frame["state"].value_counts().to_dict()


def test_nested_columns_are_told_and_left_out(tmp_path: Path) -> None:
    nested = pa.table({"x": range(30), "deep": [[1, 2]] * 30, "record": [{"a": 1}] * 30})
    pa.parquet.write_table(nested, tmp_path / "nested.parquet")
    table = seen(tmp_path / "nested.parquet")
    assert list(table.frame.columns) == ["x"]
    assert set(table.left_out) == {"deep", "record"}
    assert "lists or records" in table.left_out["deep"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"a,b\n", "has columns but no rows"),
        (b"a;b\n1;2\n", "separated by a semicolon"),
        (b"a\tb\n1\t2\n", "separated by a tab"),
        ("größe,b\n1,2\n".encode("latin-1"), "not UTF-8 at byte 2"),
        (b"a,b\n" + b"1,2\n" * 40_000 + b"\xe4,2\n", "not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        (b"1.5,2.5\n3.5,4.5\n", "the first line holds numbers"),
        (b"a,b\n1,2\n1,2,3\n", "cannot be parsed"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(DraftError, match=what) as caught:
        seen(path)
    assert caught.value.next_step
    assert "bad.csv" in caught.value.where


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match="no such file"):
        seen(tmp_path / "nothing.csv")


def test_columns_that_a_contract_cannot_name_are_left_out(tmp_path: Path) -> None:
    table = seen(written(machines(**{"x" * 129: 1, "two\nlines": 1, "Preis in € 😀": 1}), tmp_path))
    assert set(table.left_out) == {"x" * 129, "two\nlines"}
    assert "Preis in € 😀" in table.frame.columns


def test_a_large_file_is_sampled_in_bounded_memory(tmp_path: Path) -> None:
    """Half of the file's size would already be more than the look may take."""
    path, rows = tmp_path / "large.csv", 400_000
    block = machines(2_000, note="x" * 200).to_csv(index=False).split("\n", 1)
    with path.open("w") as file:
        file.write(f"{block[0]}\n")
        for number in range(rows // 2_000):
            file.write(block[1].replace("press", "rare", 1) if number == 150 else block[1])
    code = (
        "import resource; from tests.drafting.tables import seen; import pandas, pyarrow.csv; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        f"table = seen({str(path)!r}); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, table.rows, len(table.frame), table.counts['kind']['rare'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    kilobytes, seen_rows, kept, rare = map(int, said.split())
    assert (seen_rows, kept, rare) == (rows, 20_000, 1)
    assert kilobytes * 1024 < 2 * path.stat().st_size


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=8).filter(any))
def test_a_sample_keeps_the_order_and_counts_all(sizes: list[int]) -> None:
    sample, start = Sample(1), 0
    for size in sizes:
        sample.take([pa.record_batch({"n": np.arange(start, start + size)})])
        start += size
    kept = sample.table()["n"].to_numpy()
    assert sample.rows == start
    assert len(kept) == min(start, sample.size)
    assert (np.diff(kept) > 0).all()


def test_every_row_is_as_likely_as_any_other() -> None:
    sample = Sample(1)
    sample.take(
        [pa.record_batch({"n": np.arange(number * 10_000, (number + 1) * 10_000)}) for number in range(20)]
    )
    kept = sample.table()["n"].to_numpy()
    # a tenth of 20,000 in each tenth of the rows, give or take four standard deviations
    counts = np.histogram(kept, bins=10, range=(0, 200_000))[0]
    assert (abs(counts - 2_000) < 4 * np.sqrt(2_000 * 0.9)).all()
