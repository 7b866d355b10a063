"""Data versions: Delta Lake tables, one commit per (cycle, stage, attempt).

A version is named ``table@number``. Whoever asks for the same commit twice gets the same version: a killed and
repeated step leaves no duplicate.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from include.kreislauf.errors import StoreError

_COMMIT = "kreislauf.commit"
_VERSION = re.compile(r"^(?P<table>[a-z0-9_]+)@(?P<number>\d+)$")


class Tables:
    """The Delta tables of one use case below a folder or object-store URL."""

    def __init__(self, base_url: str, use_case: str, storage_options: dict[str, str] | None = None) -> None:
        self.base_url = f"{base_url}/{use_case}"
        self.storage_options = storage_options

    def write(self, table: str, frame: pd.DataFrame, commit: str) -> str:
        """Write a whole table as its next version; returns ``table@number``.

        Parameters
        ----------
        commit: what this version is for; a commit written before is found again instead of written twice.
        """
        if (known := self.find(table, commit)) is not None:
            return known
        url = self._url(table)
        write_deltalake(
            url, pa.Table.from_pandas(frame, preserve_index=False), mode="overwrite", schema_mode="overwrite",
            storage_options=self.storage_options,
            commit_properties=CommitProperties(custom_metadata={_COMMIT: commit}),
        )  # fmt: skip
        found = self.find(table, commit)
        if found is None:
            raise StoreError("the commit just written is not in the table's history", where=url)
        return found

    def find(self, table: str, commit: str) -> str | None:
        """The version that a commit made, or ``None``."""
        try:
            history: list[dict[str, Any]] = DeltaTable(
                self._url(table), storage_options=self.storage_options
            ).history()
        except TableNotFoundError:
            return None
        return next(
            (f"{table}@{entry['version']}" for entry in history if entry.get(_COMMIT) == commit), None
        )

    def read(self, version: str) -> pd.DataFrame:
        """The rows of one version.

        Raises
        ------
        StoreError: the version's name is malformed, or there is no such version.
        """
        if (match := _VERSION.match(version)) is None:
            raise StoreError(f"{version!r} does not name a data version", allowed="table@number")
        url = self._url(match["table"])
        try:
            table = DeltaTable(url, version=int(match["number"]), storage_options=self.storage_options)
        except Exception as error:  # deltalake raises several unrelated types here
            raise StoreError(f"data version {version} cannot be opened: {error}", where=url) from error
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _url(self, table: str) -> str:
        return f"{self.base_url}/{table}"
