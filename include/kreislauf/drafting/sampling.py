"""A look at all rows of a table in bounded memory: a random sample of them, and counts of columns with few values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.kreislauf.drafting.table import MOST_VALUES

SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 4_000_000
"""Of a table with many columns fewer rows are kept."""
SEED = 0


class Sample:
    """Rows drawn from batches, each as likely as any other.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir, Information Processing Letters 97 (2006):
    every row draws a number, and those with the smallest are kept.
    """

    def __init__(self, columns: int) -> None:
        self.size = max(1, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, columns)))
        self.rows = 0
        self.counts: dict[int, Counter[Any]] = {number: Counter() for number in range(columns)}
        self._random = np.random.default_rng(SEED)
        self._limit = 1.0
        self._kept: list[pa.RecordBatch] = []
        self._draws: list[npt.NDArray[np.float64]] = []
        self._places: list[npt.NDArray[np.int64]] = []

    def take(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Look at some batches."""
        for batch in batches:
            if batch.num_rows:
                self._count(batch)
                self._draw(batch)

    def table(self) -> pa.Table:
        """The rows that were kept, in their order."""
        self._shrink()
        places = np.concatenate(self._places)
        return pa.Table.from_batches(self._kept).take(np.argsort(places, kind="stable"))

    def _count(self, batch: pa.RecordBatch) -> None:
        for number in list(self.counts):
            found = pc.value_counts(batch.column(number))
            known = self.counts[number]
            if len(found) <= MOST_VALUES:
                known.update({one["values"]: one["counts"] for one in found.to_pylist()})
            if len(found) > MOST_VALUES or len(known) > MOST_VALUES + 1:  # one may be the missing value
                del self.counts[number]

    def _draw(self, batch: pa.RecordBatch) -> None:
        draws = self._random.random(batch.num_rows)
        chosen = np.flatnonzero(draws < self._limit)
        if chosen.size:
            self._kept.append(batch.take(chosen))
            self._draws.append(draws[chosen])
            self._places.append(self.rows + chosen)
        self.rows += batch.num_rows
        if sum(map(len, self._draws)) > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        draws = np.concatenate(self._draws)
        if draws.size <= self.size:
            return
        best = np.sort(np.argpartition(draws, self.size)[: self.size])
        kept = pa.Table.from_batches(self._kept).take(best).combine_chunks()
        self._kept = kept.to_batches()
        self._places = [np.concatenate(self._places)[best]]
        self._draws = [draws[best]]
        self._limit = float(draws[best].max())
