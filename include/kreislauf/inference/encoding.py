"""Rows of features to rows of numbers by a :class:`Plan`: one in plain Python, many with numpy, bit for bit the same."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from include.kreislauf.errors import PreparationError
from include.kreislauf.inference.compiled import Flag, Number, Plan

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any] | Sequence[Any]
"""The features by name, or, for an encoder ``by_position``, numbers first, then categories, as the plan has them."""
Writes = tuple[tuple[int, float], ...]
"""Places of the encoded row and what to write there."""
NAN = float("nan")
LARGEST = 1e30
"""As ``FeatureEncoder`` pulls numbers in; a test holds the two together."""
WHERE = "features"


class RowEncoder:
    """Encodes rows that hold every feature; ``None`` and NaN are missing values. It keeps nothing between calls.

    Parameters
    ----------
    by_position: rows are sequences, numbers first, then categories, instead of mappings.
    """

    def __init__(self, plan: Plan, *, by_position: bool = False) -> None:
        self.plan = plan
        names = [*plan.numeric, *plan.categorical]
        # What a feature is found by in a row; everything below goes by it.
        self._name_of: dict[Any, str] = (
            dict(enumerate(names)) if by_position else {name: name for name in names}
        )
        key_of = {name: key for key, name in self._name_of.items()}
        self._limit = LARGEST if plan.bounded else math.inf
        # One place more than the row is wide, for what only has a flag: its number goes nowhere.
        self._template = [0.0] * (plan.width + 1)
        for flag in plan.flags:
            self._template[flag.place] = flag.present
        for table in plan.tables:
            self._template[table.place] = _value(table.other)
        self._missing = {key_of[name]: self._of_missing(name) for name in plan.numeric}
        scaled = [(key_of[one.feature], one.place, one.mean, one.scale) for one in plan.numbers]
        bare = {flag.feature for flag in plan.flags} - {one.feature for one in plan.numbers}
        self._numbers = tuple(scaled + [(key_of[name], plan.width, 0.0, 1.0) for name in sorted(bare)])
        self._features = list(dict.fromkeys(one[0] for one in self._numbers))
        self._sources = np.array([self._features.index(one[0]) for one in self._numbers], dtype=np.intp)
        self._places = np.array([one[1] for one in self._numbers], dtype=np.intp)
        self._means = np.array([[one[2]] for one in self._numbers]).reshape(-1, 1)
        self._scales = np.array([[one[3]] for one in self._numbers]).reshape(-1, 1)
        self._tables = {key_of[name]: self._lookup(name) for name in plan.categorical}
        self._hot = tuple(self._tables.items())
        self._blocks = {key: _Block.of(table, self._template) for key, table in self._hot}
        self._refused = {
            key_of[name]: [
                any(table.feature == name and table.refuses_missing for table in plan.tables),
                any(table.feature == name and table.refuses_other for table in plan.tables),
            ]
            for name in plan.categorical
        }

    def one(self, row: Row) -> array[float]:
        """The encoded row, ``width`` numbers and one that does not count.

        Raises
        ------
        PreparationError: a feature is missing, is no number, or a category is refused.
        """
        values = self._template[:]
        limit = self._limit
        try:
            for name, place, mean, scale in self._numbers:
                value = row[name]
                kind = value.__class__
                # Exactly these: a float32 of numpy would be compared and scaled in single precision.
                if (kind is float or kind is int) and -limit <= value <= limit:  # not so for NaN
                    values[place] = (value - mean) / scale
                else:
                    self._write_unusual(values, name, place, mean, scale, value)
            for name, table in self._hot:
                writes = table.get(row[name])
                if writes is None:
                    writes = self._writes_of(name, row[name])
                for place, value in writes:
                    values[place] = value
        except (LookupError, TypeError, OverflowError) as error:
            raise self._fault(row) from error
        return array("d", values)

    def many(self, rows: Sequence[Row]) -> Floats:
        """Encoded rows, (n, width); raises as :meth:`one`."""
        encoded = np.empty((len(rows), self.plan.width + 1))
        encoded[:] = self._template
        try:
            numbers = self._matrix(rows)
            with np.errstate(over="ignore"):  # as in plain Python
                scaled = (numbers[self._sources] - self._means) / self._scales
            encoded[:, self._places] = scaled.T
            self._write_missing(encoded, np.isnan(numbers))
            for key, block in self._blocks.items():
                self._write_categories(encoded, [row[key] for row in rows], key, block)
        except (LookupError, TypeError, OverflowError) as error:
            for row in rows:
                self.one(row)  # says which feature is at fault
            raise PreparationError("rows cannot be encoded", where=WHERE) from error
        return encoded[:, : self.plan.width]

    def _matrix(self, rows: Sequence[Row]) -> Floats:
        """Usable numbers, (features, n)."""
        columns = [[row[name] for row in rows] for name in self._features]
        try:
            flat = array("d", chain.from_iterable(columns))  # array takes no text for a number, numpy would
        except (TypeError, OverflowError):
            flat = array("d", [self._usable(value) for column in columns for value in column])
        numbers: Floats = np.frombuffer(flat).reshape(len(columns), len(rows))
        if self.plan.bounded:
            return np.clip(np.where(np.isfinite(numbers), numbers, NAN), -LARGEST, LARGEST)
        return numbers

    def _write_unusual(
        self, values: list[float], name: str, place: int, mean: float, scale: float, value: Any
    ) -> None:
        """What is missing, infinite or too large."""
        number = self._usable(value)
        if math.isnan(number):
            for one, written in self._missing[name]:
                values[one] = written
        else:
            values[place] = (number - mean) / scale

    def _usable(self, value: Any) -> float:
        """A number within the bounds; NaN where there is none."""
        if value is None:
            return NAN
        if isinstance(value, str | bytes):
            raise TypeError
        try:
            number = float(value)
        except OverflowError:
            number = math.inf  # a whole number beyond all floating-point ones
        if not self.plan.bounded or math.isnan(number):
            return number
        return NAN if math.isinf(number) else max(-LARGEST, min(LARGEST, number))

    def _write_missing(self, encoded: Floats, missing: npt.NDArray[np.bool_]) -> None:
        for number in np.flatnonzero(missing.any(axis=1)).tolist():
            for place, value in self._missing[self._features[number]]:
                encoded[missing[number], place] = value

    def _write_categories(self, encoded: Floats, values: list[Any], key: Any, block: _Block) -> None:
        """The places that a category touches, for all rows at once; what is unusual, value by value."""
        try:
            lines = [block.lines[value] for value in values]
        except (KeyError, TypeError):
            table = self._tables[key]
            found = ((value, table.get(value)) for value in values)
            lines = [
                block.line_of(self._writes_of(key, value) if writes is None else writes)
                for value, writes in found
            ]
        if block.places.size:
            encoded[:, block.places] = block.contents[lines]

    def _writes_of(self, name: str, value: Any) -> Writes:
        """For what is not among the known texts."""
        table = self._tables[name]
        text = _text(value) if self.plan.as_text else value
        if text is None or text != text:
            text = None
        elif not isinstance(text, str):
            text = ""  # no text is the same as any number
        if text is not None and text in table:
            return table[text]
        refuses_missing, refuses_other = self._refused[name]
        if refuses_missing if text is None else refuses_other:
            known = self._name_of[name]
            raise PreparationError(
                f"{known} is {value!r}", where=WHERE, allowed=self.plan.categorical[known],
                next_step="send a value that was seen in training",
            )  # fmt: skip
        return table[None] if text is None else ()

    def _of_missing(self, name: str) -> Writes:
        columns: list[Number | Flag] = [*self.plan.numbers, *self.plan.flags]
        return tuple((one.place, _value(one.missing)) for one in columns if one.feature == name)

    def _lookup(self, name: str) -> dict[str | None, Writes]:
        """By text, and ``None`` for a missing one, the places that differ from the template."""
        tables = [table for table in self.plan.tables if table.feature == name]
        texts = sorted({text for table in tables for text in table.values})
        found: dict[str | None, Writes] = {
            text: tuple((table.place, table.values[text]) for table in tables if text in table.values)
            for text in texts
        }
        if not any(table.refuses_missing for table in tables):
            found[None] = tuple((table.place, _value(table.missing)) for table in tables)
        return {text: self._needed(writes) for text, writes in found.items()}

    def _needed(self, writes: Writes) -> Writes:
        return tuple((place, value) for place, value in writes if value != self._template[place])

    def _fault(self, row: Row) -> PreparationError:
        """What is wrong with a row that could not be encoded."""
        needed = [*self._features, *self._tables]
        there = row if isinstance(row, Mapping) else range(len(row))
        if lacking := [self._name_of[key] for key in needed if key not in there]:
            names = [self._name_of[key] for key in needed]
            return PreparationError(f"features are missing: {', '.join(lacking)}", where=WHERE, allowed=names)
        for key, *_ in self._numbers:
            try:
                self._usable(row[key]) - 0.0
            except (TypeError, ValueError):
                return PreparationError(
                    f"{self._name_of[key]} is {row[key]!r}", where=WHERE, allowed="a number, or none"
                )
        return PreparationError("a number is too large, or a category is no text", where=WHERE)


class _Block:
    """The places that one category touches, and what stands there for each of its values.

    Parameters
    ----------
    lines: by value, its line of ``contents``, (lines, places).
    """

    def __init__(self, places: list[int], template: Sequence[float]) -> None:
        self.places = np.array(places, dtype=np.intp)
        self.contents = np.empty((0, len(places)))
        self.lines: dict[Any, int] = {}
        self._template = template
        self._line_of_writes: dict[Writes, int] = {}

    @classmethod
    def of(cls, table: Mapping[Any, Writes], template: Sequence[float]) -> _Block:
        """The block of a category's table."""
        found = cls(sorted({place for writes in table.values() for place, _ in writes}), template)
        found.lines = {value: found.line_of(writes) for value, writes in table.items()}
        found.line_of(())
        return found

    def line_of(self, writes: Writes) -> int:
        """The line of some writes; :meth:`of` has made one for each that there can be."""
        known = self._line_of_writes.get(writes)
        if known is None:
            written = {**{place: self._template[place] for place in self.places.tolist()}, **dict(writes)}
            line = [[written[place] for place in self.places.tolist()]]
            known = self._line_of_writes[writes] = len(self.contents)
            self.contents = np.vstack([self.contents, np.array(line).reshape(1, -1)])
        return known


def _value(number: float | None) -> float:
    return NAN if number is None else number


def _text(value: Any) -> str | None:
    """A category as ``FeatureEncoder`` reads it: 1.0 is ``1``, as in a column of whole numbers with missing ones."""
    if value is None or value.__class__.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return str(value)
