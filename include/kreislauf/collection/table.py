"""Source kind ``table``: rows from a CSV or Parquet file or a Delta table, checked against the contract's columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from include.kreislauf.collection.access import Access
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.sources import Column, Rows, TableSource

SHOWN_FAULTS = 3
SHOWN_COLUMNS = 30
EXACT = 2.0**53
"""Below it, a float64 holds every whole number."""
FIRST_LINE = 2
"""Number of a file's first row, as people count lines: the header is the first line."""
OBJECT_STORES = ("s3", "gs", "gcs", "abfs", "abfss")


def read_table(
    source: TableSource, problem: Problem, data: str, as_of: datetime, access: Access | None = None
) -> pd.DataFrame:
    """The declared columns of every row that was available at ``as_of``, sorted by entity and time; of rows without
    time, in the order of the file.

    Parameters
    ----------
    data: what ``{data}`` in the source's URL stands for.
    as_of: rows of times that ended later (plus the source's delay) are left out.
    access: the way to http(s) URLs, which the installation's rules hold for.

    Returns
    -------
    Frame with the contract's columns: text as ``str``, number as ``float64``, date as ``datetime64`` (no zone).

    Raises
    ------
    SourceError: missing file or column, empty file, wrong type, value out of range, duplicate rows, a key without value.
    """
    url = resolve_url(source, data)
    return checked(_read(url, access, source), source, problem, url, as_of)


def checked(
    frame: pd.DataFrame,
    source: Rows,
    problem: Problem,
    where: str,
    as_of: datetime,
    first_row: int = FIRST_LINE,
) -> pd.DataFrame:
    """Rows as they were delivered, as :func:`read_table` returns them.

    Parameters
    ----------
    where: the source, in errors.
    first_row: number of the first row, in errors.

    Raises
    ------
    SourceError: missing column, no rows, wrong type, value out of range, duplicate rows.
    """
    if missing := [name for name in source.columns if name not in frame.columns]:
        raise SourceError(
            f"column {_listed(missing)} is missing; the file has {_listed(frame.columns)}",
            where=where, next_step="correct the contract's columns or the source",
        )  # fmt: skip
    if frame.empty:
        raise SourceError("has columns but no rows", where=where, next_step="deliver the data again")
    valid = _validate(frame[list(source.columns)], source, problem, where, first_row)
    return available(valid, source, problem, as_of)


def available(frame: pd.DataFrame, source: Rows, problem: Problem, as_of: datetime) -> pd.DataFrame:
    """Rows whose time had ended, and whose delay had passed, at ``as_of``; all of those without time."""
    if problem.time is None:
        return frame.reset_index(drop=True)
    known_at = problem.ends_of(frame[problem.time]) + timedelta(days=source.available_after_days)
    kept = frame[known_at <= pd.Timestamp(as_of).tz_convert(None)]
    return kept.sort_values(problem.keys, kind="stable", ignore_index=True)


def resolve_url(source: TableSource, data: str) -> str:
    """The source's URL with ``{data}`` filled in.

    Raises
    ------
    SourceError: the URL uses ``{data}`` but the installation does not set it.
    """
    if "{data}" in source.url and not data:
        raise SourceError(
            "uses {data}, but KREISLAUF_DATA is not set", where=source.url,
            next_step="set KREISLAUF_DATA to the folder or URL of the data",
        )  # fmt: skip
    return source.url.replace("{data}", data.rstrip("/"))


def _read(url: str, access: Access | None, source: TableSource) -> pd.DataFrame:
    if url.endswith("/") or (Path(url) / "_delta_log").is_dir():
        return _read_delta(url)
    try:
        with _open(url, access) as file:
            if url.endswith((".parquet", ".pq")):
                return pd.read_parquet(file)
            # as it stands there: 007 is no 7, and 1 beside an empty field no 1.0
            texts = {name: str for name, column in source.columns.items() if column.type != "number"}
            return pd.read_csv(file, dtype=texts)
    except ImportError as error:
        raise SourceError(
            f"needs a package that is not installed: {error}",
            where=url,
            next_step="install it for every worker",
        ) from error
    except FileNotFoundError as error:
        raise SourceError(
            "file not found", where=url, next_step="deliver the file or correct the URL"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise SourceError("the file is empty", where=url, next_step="deliver the data again") from error
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise SourceError(
            f"cannot be parsed: {error}", where=url, allowed="CSV (UTF-8) or Parquet"
        ) from error


def _read_delta(url: str) -> pd.DataFrame:
    """The newest version of a Delta table: a folder that holds ``_delta_log``, or a URL that ends with ``/``."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        frame: pd.DataFrame = DeltaTable(url.rstrip("/")).to_pandas()
    except TableNotFoundError as error:
        raise SourceError(
            "holds no Delta table", where=url, next_step="deliver the table or correct the URL"
        ) from error
    except (DeltaError, OSError, ValueError) as error:
        raise SourceError(f"the Delta table cannot be read: {error}", where=url) from error
    return frame


def _open(url: str, access: Access | None) -> Any:
    """A file to read: object stores through Arrow, which brings their clients along, all else through fsspec."""
    if access is not None and url.startswith(("http://", "https://")):
        return access.open(url)
    if url.split("://")[0] in OBJECT_STORES:
        from pyarrow import fs

        store, path = fs.FileSystem.from_uri(url)
        return store.open_input_file(path)
    return fsspec.open(url, "rb")


def _validate(
    frame: pd.DataFrame, source: Rows, problem: Problem, where: str, first_row: int
) -> pd.DataFrame:
    schema = pa.DataFrameSchema(
        {
            name: _column(column, key=name in (*problem.keys, problem.group))
            for name, column in source.columns.items()
        },
        unique=problem.unique or None,
    )
    try:
        return schema.validate(_convert(frame, source, where, first_row), lazy=True)
    except SchemaErrors as error:
        raise SourceError(
            _describe(error.failure_cases, first_row), where=where, next_step="correct the source's rows"
        ) from error


def _convert(frame: pd.DataFrame, source: Rows, where: str, first_row: int) -> pd.DataFrame:
    """Declared types; the first value that does not fit is named with its row, as people count lines of a file."""
    converted: dict[str, Any] = {}
    for name, column in source.columns.items():
        values = frame[name]
        if column.type == "text":
            converted[name] = _text(values)
            continue
        parsed: Any = pd.to_numeric(values, errors="coerce") if column.type == "number" else _dates(values)
        if len(bad := values.index[parsed.isna() & values.notna()]):
            raise SourceError(
                f"column {name}: {values[bad[0]]!r} in row {bad[0] + first_row} is not a {column.type}"
                + (f", nor are {len(bad) - 1} others" if len(bad) > 1 else ""),
                where=where, allowed="ISO 8601, such as 2016-04-01" if column.type == "date" else "",
                next_step="correct the source's rows",
            )  # fmt: skip
        converted[name] = parsed.astype("float64") if column.type == "number" else parsed
    return pd.DataFrame(converted)


def _text(values: pd.Series) -> pd.Series:
    """Text; a column of whole numbers with empty fields among them holds 1.0 for 1."""
    whole = pd.api.types.is_float_dtype(values) and bool(
        ((values.dropna() % 1 == 0) & (values.dropna().abs() < EXACT)).all()
    )
    given = values.astype("Int64") if whole else values
    return given.astype("str").where(values.notna(), None)


def _dates(values: pd.Series) -> pd.Series:
    """Dates in UTC, without a zone. Text must be ISO 8601, so that no month is taken for a day."""
    given = values
    if not pd.api.types.is_datetime64_any_dtype(values):
        given = values.astype("str").where(values.notna())
    return pd.to_datetime(given, errors="coerce", utc=True, format="ISO8601").dt.tz_localize(None)


def _listed(names: Iterable[object]) -> str:
    first = [str(name) for name in names]
    more = f" and {len(first) - SHOWN_COLUMNS} more" if len(first) > SHOWN_COLUMNS else ""
    return ", ".join(first[:SHOWN_COLUMNS]) + more


def _column(column: Column, *, key: bool) -> pa.Column:
    checks = []
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum))
    if column.type == "number":
        checks.append(pa.Check(lambda values: ~values.isin([float("inf"), float("-inf")]), name="finite"))
    return pa.Column(checks=checks, nullable=not (column.required or key))


def _describe(cases: pd.DataFrame, first_row: int) -> str:
    """The first few faults, each with column, rule, value and row."""
    shown = []
    for case in cases.head(SHOWN_FAULTS).to_dict("records"):
        row = f" in row {int(case['index']) + first_row}" if pd.notna(case["index"]) else ""
        rule = "duplicate rows" if "unique" in str(case["check"]) else f"fails {case['check']}"
        shown.append(f"{case['column'] or 'rows'}: {rule}, found {case['failure_case']!r}{row}")
    more = f"; and {len(cases) - SHOWN_FAULTS} more" if len(cases) > SHOWN_FAULTS else ""
    return "; ".join(shown) + more
