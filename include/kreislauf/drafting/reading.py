"""Looking at a table wherever it is: CSV, Parquet, Delta, or the rows of a query."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from include.kreislauf.collection.access import Access, NotThere
from include.kreislauf.collection.selecting import Select, one_select, select_rows
from include.kreislauf.drafting.sampling import SAMPLE_ROWS, Sample
from include.kreislauf.drafting.table import MOST_VALUES, DraftError, Place, Table

HEAD_BYTES = 64 * 1024
BLOCK_BYTES = 8 << 20
QUERY_ROWS = 5 * SAMPLE_ROWS
OTHER_SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar"}
LONGEST_NAME = 128


def look(place: Place, access: Access, as_of: datetime) -> Table:
    """See what a place holds, in bounded memory however large it is.

    Parameters
    ----------
    access: the way to files, servers and databases, which the installation's rules hold for.
    as_of: what a query's ``:as_of`` stands for.

    Raises
    ------
    DraftError: it is empty, no table, in another encoding or with another separator than collection reads.
    SourceError: it cannot be reached.
    """
    if place.query:
        return _query(place, access, as_of)
    url = access.resolve(place.url)
    if url.endswith("/") or (Path(url) / "_delta_log").is_dir():
        return _delta(place, url)
    try:
        with access.open(url) as file:
            read = _parquet if url.endswith((".parquet", ".pq")) else _csv
            return read(place, file)
    except NotThere as error:
        raise DraftError("there is no such file", where=url, next_step="correct --data") from error


def _csv(place: Place, file: BinaryIO) -> Table:
    _require_text(place, file)
    try:
        names = _opened(file).schema.names
        _require_header(place, names)
        reader = _opened(file, csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))
        sample = Sample(len(names))
        sample.take(reader)
    except pa.ArrowInvalid as error:
        raise _unreadable(place, str(error)) from error
    if not sample.rows:
        raise DraftError("has columns but no rows", where=place.text, next_step="name a table with rows")
    # by way of pandas, so that types and missing values are those that collection will see
    buffer = io.BytesIO()
    csv.write_csv(sample.table(), buffer)
    frame = pd.read_csv(io.BytesIO(buffer.getvalue()), low_memory=False)
    counts = {name: _as_read(found) for name, found in _named(sample, frame).items()}
    return _table(place, frame, sample.rows, counts)


def _opened(file: BinaryIO, convert: csv.ConvertOptions | None = None) -> csv.CSVStreamingReader:
    file.seek(0)
    options = csv.ReadOptions(block_size=BLOCK_BYTES), csv.ParseOptions(newlines_in_values=True)
    return csv.open_csv(file, *options, convert)


def _require_text(place: Place, file: BinaryIO) -> None:
    head = file.read(HEAD_BYTES)
    if not head.strip():
        raise DraftError(
            "the file is empty", where=place.text, next_step="name a table with a header and rows"
        )
    _require_utf8(place, head)


def _require_header(place: Place, names: list[str]) -> None:
    for separator, said in OTHER_SEPARATORS.items() if len(names) == 1 else ():
        if separator in names[0]:
            raise DraftError(
                f"columns are separated by {said}", where=f"{place.text}, line 1", allowed="commas",
                next_step="save the table as comma-separated CSV or as Parquet",
            )  # fmt: skip
    if all(map(_is_number, names)):
        raise DraftError(
            f"the first line holds numbers ({', '.join(names[:5])})", where=place.text,
            allowed="a header with names", next_step="add a first line with the names of the columns",
        )  # fmt: skip


def _require_utf8(place: Place, head: bytes) -> None:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) == HEAD_BYTES and error.start > HEAD_BYTES - 4:
            return  # a character that is cut at the end of what was read
        raise DraftError(
            f"not UTF-8 at byte {error.start}", where=place.text, allowed="UTF-8",
            next_step="save the file as UTF-8 (most tools ask for the encoding when they export)",
        ) from error  # fmt: skip


def _unreadable(place: Place, said: str) -> DraftError:
    if "UTF8" in said or "UTF-8" in said:
        return DraftError(
            f"not UTF-8: {said}", where=place.text, allowed="UTF-8", next_step="save the file as UTF-8"
        )
    return DraftError(
        f"cannot be parsed: {said.splitlines()[0][:300]}", where=place.text, allowed="CSV (UTF-8, commas) or Parquet",
        next_step="correct the lines, or export the table again",
    )  # fmt: skip


def _is_number(name: str) -> bool:
    try:
        return isfinite(float(name))
    except ValueError:
        return False


def _as_read(found: Mapping[Any, int]) -> dict[str, int]:
    """Counts of texts of a CSV, under what collection makes of these texts."""
    keys = ["" if key is None else str(key) for key in found]
    buffer = io.BytesIO()
    csv.write_csv(pa.table({"value": pa.array(keys, pa.string())}), buffer)
    values = pd.read_csv(io.BytesIO(buffer.getvalue()), skip_blank_lines=False)["value"]
    total: Counter[str] = Counter()
    for value, count in zip(values, found.values(), strict=True):
        if not pd.isna(value):
            total[str(value)] += count
    return dict(total)


def _parquet(place: Place, file: BinaryIO) -> Table:
    try:
        opened = parquet.ParquetFile(file)
        return _arrow(place, opened.schema_arrow, lambda names: opened.iter_batches(columns=names))
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(place, str(error)) from error


def _delta(place: Place, url: str) -> Table:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        dataset = DeltaTable(url.rstrip("/")).to_pyarrow_dataset()
    except TableNotFoundError as error:
        raise DraftError("holds no Delta table", where=url, next_step="correct --data") from error
    except (DeltaError, OSError, ValueError) as error:
        raise DraftError(f"the Delta table cannot be read: {error}", where=url) from error
    return _arrow(place, dataset.schema, lambda names: dataset.to_batches(columns=names))


def _arrow(
    place: Place, schema: pa.Schema, batches: Callable[[list[str]], Iterator[pa.RecordBatch]]
) -> Table:
    """Rows that have types of their own."""
    nested = {field.name: "nested" for field in schema if pa.types.is_nested(field.type)}
    names = [name for name in schema.names if name not in nested]
    if not names:
        raise DraftError(
            "has no columns but nested ones", where=place.text, allowed="columns of numbers, texts or dates"
        )
    sample = Sample(len(names))
    sample.take(batches(names))
    if not sample.rows:
        raise DraftError("has columns but no rows", where=place.text, next_step="name a table with rows")
    frame = sample.table().to_pandas()
    counts = {
        name: {str(value): count for value, count in found.items() if not pd.isna(value)}
        for name, found in _named(sample, frame).items()
    }
    why = f"holds lists or records ({place.text}): only numbers, texts and dates can be used"
    return _table(place, frame, sample.rows, counts, dict.fromkeys(nested, why))


def _named(sample: Sample, frame: pd.DataFrame) -> dict[str, Counter[Any]]:
    return {str(frame.columns[number]): found for number, found in sample.counts.items()}


def _query(place: Place, access: Access, as_of: datetime) -> Table:
    """The first rows of a query, and how many it gives in all."""
    where = f"--query (connection {place.connection})"
    url = access.connection(place.connection)

    def rows_of(query: str, most: int) -> tuple[list[str], list[tuple[object, ...]]]:
        select = Select(query, place.connection, where, {"as_of": as_of}, access.rules.deadline, most)
        return select_rows(select, url, access.hide)

    whole = one_select(Select(place.query, place.connection, where, {}, access.rules.deadline, 1))
    _, [(total,)] = rows_of(f"SELECT count(*) FROM ({whole}\n) AS drafted", 1)  # noqa: S608 - the query is the user's own
    names, rows = rows_of(f"SELECT * FROM ({whole}\n) AS drafted LIMIT {QUERY_ROWS}", QUERY_ROWS)  # noqa: S608
    if not rows:
        raise DraftError("the query gives no rows", where=where, next_step="correct the query")
    frame = pd.DataFrame(rows, columns=names)
    few = {name: frame[name].dropna() for name in names}
    counts = {
        name: {str(value): int(count) for value, count in values.astype("str").value_counts().items()}
        for name, values in few.items() if values.nunique() <= MOST_VALUES
    }  # fmt: skip
    count = int(str(total))
    notes = (f"only the first {QUERY_ROWS:,} of {count:,} rows were looked at",) if count > len(rows) else ()
    kept = frame.sample(SAMPLE_ROWS, random_state=0).sort_index() if len(frame) > SAMPLE_ROWS else frame
    return _table(place, kept, count, counts, notes=notes)


def _table(
    place: Place, frame: pd.DataFrame, rows: int, counts: Mapping[str, Mapping[str, int]],
    left_out: Mapping[str, str] = MappingProxyType({}), notes: tuple[str, ...] = (),
) -> Table:  # fmt: skip
    """Without columns that a contract cannot name."""
    unnameable = {str(name): why for name in frame.columns if (why := _unnameable(str(name)))}
    kept = frame.drop(columns=list(unnameable))
    if not len(kept.columns):
        raise DraftError(
            "has no column that a contract can name",
            where=place.text,
            allowed="names of up to 128 characters",
        )
    if rows > len(frame):
        notes = (*notes, f"a sample of {len(frame):,} of {rows:,} rows was profiled, drawn at random")
    return Table(place, kept.reset_index(drop=True), rows, counts, {**left_out, **unnameable}, notes)


def _unnameable(name: str) -> str:
    if not name.strip():
        return "has no name"
    if len(name) > LONGEST_NAME:
        return f"its name has {len(name)} characters; at most {LONGEST_NAME} are allowed"
    if any(ord(one) < 32 or ord(one) == 127 for one in name):
        return "its name holds control characters, such as a line break"
    return ""
