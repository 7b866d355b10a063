"""Data versions: Delta Lake tables.

A version is named ``table@number``. Tables that are written whole have one commit per (cycle, stage, attempt): whoever
asks for the same commit twice gets the same version. Tables that are appended to decide under the same rule what is
still to be added: a killed and repeated step leaves no duplicate.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pds
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from pandas.api.types import (
    is_bool_dtype,
    is_datetime64_any_dtype,
    is_integer_dtype,
    is_numeric_dtype,
)
from pandas.util import hash_array

from include.kreislauf.errors import StoreError

_COMMIT = "kreislauf.commit"
_INPUTS = "kreislauf.inputs"
_CONTENT = "kreislauf.content"
_TRIES = 10
_APPEND_TRIES = 200
_COMPACT_FROM = 24
"""Files in one partition from which they are put together."""
_VERSION = re.compile(r"^(?P<table>[a-z0-9_]+)@(?P<number>\d+)$")


class Tables:
    """The Delta tables of one use case below a folder or object-store URL."""

    def __init__(self, base_url: str, use_case: str, storage_options: dict[str, str] | None = None) -> None:
        self.base_url = f"{base_url}/{use_case}"
        self.storage_options = storage_options

    def write(
        self, table: str, frame: pd.DataFrame, commit: str, inputs: dict[str, str] | None = None, *,
        cut_off: bool = False,
    ) -> str:  # fmt: skip
        """Write a whole table as its next version; returns ``table@number``.

        Parameters
        ----------
        commit: what this version is for; a commit written before is found again instead of written twice.
        inputs: versions of the tables that it was made from, kept with the commit.
        cut_off: whether the newest version is named, instead of a new one written, where its content is the same.
        """
        content = content_of(frame)
        metadata = {_COMMIT: commit, _CONTENT: content}
        metadata |= {_INPUTS: json.dumps(inputs, sort_keys=True)} if inputs else {}
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        for _ in range(_TRIES):
            if (known := self.find(table, commit)) is not None:
                return known
            if cut_off and (known := self._newest_with(table, content)) is not None:
                return known
            # Another writer was faster: look again. deltalake's own retry would add the rows of two first writers up.
            with suppress(CommitFailedError):
                write_deltalake(
                    self._url(table), rows, mode="overwrite", schema_mode="overwrite",
                    storage_options=self.storage_options,
                    commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0),
                )  # fmt: skip
        raise StoreError(
            f"other writers were faster {_TRIES} times", where=self._url(table), next_step="repeat the task"
        )

    def append(
        self,
        table: str,
        still_new: Callable[[Snapshot], pa.Table],
        schema: pa.Schema,
        partition_by: Sequence[str],
    ) -> str:
        """Add rows to an append-only table, which is made if need be; returns the version that holds them.

        Parameters
        ----------
        still_new: the rows that a snapshot of the table lacks; asked again when another writer was faster.
        schema: of the rows.
        partition_by: columns whose values name the folders of the files.

        Raises
        ------
        StoreError: other writers were faster too often.
        """
        self._make(table, schema, partition_by)
        for number in range(_APPEND_TRIES):
            snapshot = self._open(table)
            rows = still_new(snapshot)
            if not rows.num_rows:
                return snapshot.version
            following = snapshot.number + 1  # writing takes the snapshot's table along
            # A commit right after the snapshot: it fails when there has been another one in between.
            with suppress(CommitFailedError):
                write_deltalake(
                    snapshot.table,
                    rows,
                    mode="append",
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
                return f"{table}@{following}"
            time.sleep(random.uniform(0, 0.02 * min(number + 1, 25)))  # noqa: S311
        raise StoreError(
            f"other writers were faster {_APPEND_TRIES} times",
            where=self._url(table),
            next_step="repeat the task",
        )

    def _make(self, table: str, schema: pa.Schema, partition_by: Sequence[str]) -> None:
        """An empty table, unless there is one. Rows that came with it would be added up where two writers make it."""
        if self.snapshot(table) is None:
            with suppress(CommitFailedError):
                DeltaTable.create(
                    self._url(table), schema, mode="ignore", partition_by=list(partition_by),
                    configuration={"delta.appendOnly": "true"}, storage_options=self.storage_options,
                )  # fmt: skip

    def _open(self, table: str) -> Snapshot:
        return Snapshot(table, DeltaTable(self._url(table), storage_options=self.storage_options))

    def snapshot(self, table: str, number: int | None = None) -> Snapshot | None:
        """A table as it is now, or as of one version; ``None`` where there is no such table."""
        try:
            return Snapshot(
                table, DeltaTable(self._url(table), version=number, storage_options=self.storage_options)
            )
        except TableNotFoundError:
            return None

    def compact(self, table: str) -> str | None:
        """Put the small files of a table's partitions together, where there are many; returns the version then."""
        if (snapshot := self.snapshot(table)) is None:
            return None
        opened = snapshot.table
        files = opened.get_add_actions(flatten=True).num_rows
        folders = max(1, len(opened.partitions()))
        if files / folders >= _COMPACT_FROM:
            with suppress(CommitFailedError):  # somebody else is at it
                opened.optimize.compact()
        return f"{table}@{opened.version()}"

    def find(self, table: str, commit: str) -> str | None:
        """The version that a commit made first, or ``None``."""
        if (snapshot := self.snapshot(table)) is None:
            return None
        opened = snapshot.table
        versions = (entry["version"] for entry in reversed(_history(opened)) if entry.get(_COMMIT) == commit)
        return next((f"{table}@{version}" for version in versions), None)

    def _newest_with(self, table: str, content: str) -> str | None:
        """The newest version, if its content is this one, and is still there."""
        snapshot = self.snapshot(table)
        if snapshot is None or _history(snapshot.table)[0].get(_CONTENT) != content:
            return None
        newest = f"{table}@{snapshot.table.version()}"
        return None if self.fault(newest) else newest

    def fault(self, version: str) -> str:
        """Why the rows of one version are not there as they were written; empty: they are."""
        try:
            found, number = content_of(self.read(version)), int(version.rpartition("@")[2])
        except StoreError as error:
            return error.text
        snapshot = self.snapshot(version.rpartition("@")[0])
        history = _history(snapshot.table) if snapshot else []
        written = next((one.get(_CONTENT) for one in history if one["version"] == number), None)
        return "" if written in (None, found) else f"{version}: its content was changed after it was written"

    def read(self, version: str) -> pd.DataFrame:
        """The rows of one version.

        Raises
        ------
        StoreError: the version's name is malformed, or there is no such version.
        """
        if (match := _VERSION.fullmatch(version)) is None:
            raise StoreError(f"{version!r} does not name a data version", allowed="table@number")
        url = self._url(match["table"])
        try:
            table = DeltaTable(url, version=int(match["number"]), storage_options=self.storage_options)
            frame: pd.DataFrame = table.to_pandas()
        except Exception as error:  # deltalake raises several unrelated types here
            raise StoreError(f"data version {version} cannot be opened: {error}", where=url) from error
        return frame

    def _url(self, table: str) -> str:
        return f"{self.base_url}/{table}"


class Snapshot:
    """One table at one version; holds the list of its files, not their rows."""

    def __init__(self, name: str, table: DeltaTable) -> None:
        self.name, self.table = name, table

    @property
    def number(self) -> int:
        """Number of the version."""
        return int(self.table.version())

    @property
    def version(self) -> str:
        """``table@number``."""
        return f"{self.name}@{self.number}"

    def rows(self, where: pds.Expression | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows, those only that fulfil a condition; partitions that cannot hold any are not opened."""
        return self.table.to_pyarrow_dataset().to_table(columns=columns and list(columns), filter=where)


def content_of(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's columns and rows: the same before it is written and after it is read.

    How numbers, times and texts are kept in memory does not count, nor does the index.
    """
    found = hashlib.sha256()
    for name, column in frame.items():
        kind, values = _plain(column)
        found.update(f"{name!r} {kind} {len(values)}\n".encode())
        found.update(column.isna().to_numpy().tobytes())
        found.update(hash_array(values, categorize=False).tobytes())
    return found.hexdigest()


def _plain(column: pd.Series) -> tuple[str, Any]:
    """Kind and values of a column, in one way of keeping them for each kind."""
    if is_datetime64_any_dtype(column):
        utc = pd.to_datetime(column, utc=True).dt.tz_localize(None)
        return "time", utc.astype("datetime64[us]").to_numpy().view("int64")
    if is_bool_dtype(column) or is_integer_dtype(column):
        return "integer", column.astype("Int64").fillna(0).to_numpy("int64")
    if is_numeric_dtype(column):
        return "number", column.to_numpy("float64", na_value=0.0)
    return "text", column.astype("object").where(column.notna(), "").astype(str).to_numpy(object)


def _history(table: DeltaTable) -> list[dict[str, Any]]:
    """Every commit of a table with its version, newest first.

    deltalake lists the commits as they are now, but numbers them down from the version that was opened: a commit in
    between would shift every number.
    """
    while True:
        opened = table.version()
        history: list[dict[str, Any]] = table.history()
        table.update_incremental()
        if table.version() == opened:
            return history
