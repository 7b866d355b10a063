"""A table as a draft sees it: a sample of its rows, and what the look at all of them has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from include.kreislauf.errors import KreislaufError

MOST_VALUES = 100
"""Columns with more different values are not counted value by value: they hold no classes."""


class DraftError(KreislaufError):
    """No contract can be drafted: the data cannot be read, or the wishes do not fit them."""


@dataclass(frozen=True)
class Place:
    """Where the rows are.

    Parameters
    ----------
    url: of a CSV or Parquet file or a Delta table, as it will stand in the contract.
    connection, query: of a database, instead of a URL.
    """

    url: str = ""
    connection: str = ""
    query: str = ""

    @property
    def text(self) -> str:
        """For people."""
        return self.url or f"connection {self.connection}"


@dataclass(frozen=True)
class Table:
    """What was seen of the rows.

    Parameters
    ----------
    frame: a sample, in the order of the table; all rows where there are few.
    rows: how many there are.
    counts: by column with few different values, how often each is there in all rows (missing ones are not counted),
        as the text that collection makes of it.
    left_out: by column why it cannot be used at all.
    notes: what a person should know of the reading.
    """

    place: Place
    frame: pd.DataFrame = field(repr=False)
    rows: int
    counts: Mapping[str, Mapping[str, int]] = field(repr=False)
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def sampled(self) -> bool:
        """Whether the frame holds only a part of the rows."""
        return self.rows > len(self.frame)
