"""Data versions: Delta Lake tables, one commit per (cycle, stage, attempt).

A version is named ``table@number``. Whoever asks for the same commit twice gets the same version: a killed and
repeated step leaves no duplicate.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from include.kreislauf.errors import StoreError

_COMMIT = "kreislauf.commit"
_TRIES = 10
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
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        for _ in range(_TRIES):
            if (known := self.find(table, commit)) is not None:
                return known
            # Another writer was faster: look again. deltalake's own retry would add the rows of two first writers up.
            with suppress(CommitFailedError):
                write_deltalake(
                    self._url(table), rows, mode="overwrite", schema_mode="overwrite",
                    storage_options=self.storage_options,
                    commit_properties=CommitProperties(custom_metadata={_COMMIT: commit}, max_commit_retries=0),
                )  # fmt: skip
        raise StoreError(
            f"other writers were faster {_TRIES} times", where=self._url(table), next_step="repeat the task"
        )

    def find(self, table: str, commit: str) -> str | None:
        """The version that a commit made first, or ``None``."""
        try:
            opened = DeltaTable(self._url(table), storage_options=self.storage_options)
        except TableNotFoundError:
            return None
        versions = (entry["version"] for entry in reversed(_history(opened)) if entry.get(_COMMIT) == commit)
        return next((f"{table}@{version}" for version in versions), None)

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
