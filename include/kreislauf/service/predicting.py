"""From the rows of a request to predictions of one champion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from include.kreislauf.service.champions import Champion
from include.kreislauf.service.problems import MAX_FAULTS, invalid
from include.kreislauf.service.schemas import Fault, Row

MAX_MAGNITUDE = 1e30  # tree models compute in float32, which ends at 3.4e38
MAX_TEXT = 128
MAX_SHOWN = 20


@dataclass(frozen=True)
class Predicted:
    """The prediction for one row."""

    entity: str | None
    known: bool
    value: float | None


def predict(champion: Champion, rows: Sequence[Row]) -> list[Predicted]:
    """Predict all rows, those with features of their own in one call of the model.

    Raises
    ------
    RefusedError: a row has neither entity nor features, or its features are not those of the release.
    """
    faults = chain.from_iterable(_faults(champion, index, row) for index, row in enumerate(rows))
    if first := list(islice(faults, MAX_FAULTS)):
        raise invalid(first)
    computed = _compute(champion, rows)
    return [_predicted(champion, row, computed.get(index)) for index, row in enumerate(rows)]


def _compute(champion: Champion, rows: Sequence[Row]) -> dict[int, float]:
    given = {
        index: row.features
        for index, row in enumerate(rows)
        if row.features is not None and (row.entity is None or row.entity in champion.values)
    }
    if not given:
        return {}
    found = dict(zip(given, champion.release.predict(list(given.values())).tolist(), strict=True))
    wrong = [index for index, value in found.items() if not math.isfinite(value)]
    if wrong:
        reason = "the prediction for these features is not a finite number"
        raise invalid([Fault(field=f"rows.{index}.features", reason=reason) for index in wrong])
    return found


def _predicted(champion: Champion, row: Row, computed: float | None) -> Predicted:
    if row.entity is None:
        features = row.features or {}
        known = all(features[name] in seen for name, seen in champion.categorical.items())
        return Predicted(None, known, computed)
    if row.entity not in champion.values:
        return Predicted(row.entity, False, None)
    return Predicted(row.entity, True, champion.values[row.entity] if computed is None else computed)


def _faults(champion: Champion, index: int, row: Row) -> Iterator[Fault]:
    if row.features is None:
        if row.entity is None:
            yield Fault(
                field=f"rows.{index}", reason="has neither entity nor features", allowed="entity, features"
            )
        return
    expected = [*champion.release.numeric, *champion.categorical]
    yield from _wrong_names(f"rows.{index}.features", row.features, expected)
    for name in expected:
        if name in row.features and (fault := _wrong_value(champion, name, row.features[name])):
            yield fault.model_copy(update={"field": f"rows.{index}.features.{name}"})


def _wrong_names(where: str, features: Mapping[str, Any], expected: Sequence[str]) -> Iterator[Fault]:
    allowed = f"exactly these features: {', '.join(expected)}"
    for name in expected:
        if name not in features:
            yield Fault(field=f"{where}.{name}", reason="is missing", allowed=allowed)
    for name in sorted(set(features) - set(expected)):
        yield Fault(
            field=f"{where}.{name[:MAX_TEXT]}", reason="is not a feature of this release", allowed=allowed
        )


def _wrong_value(champion: Champion, name: str, value: Any) -> Fault | None:
    if name in champion.numeric:
        # bool is an int in Python, but true is no number in JSON; abs of an int never overflows
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and abs(value) <= MAX_MAGNITUDE:
            return None
        allowed = f"finite numbers between {-MAX_MAGNITUDE:g} and {MAX_MAGNITUDE:g}"
        return Fault(field=name, reason="is not a number that can be used", allowed=allowed)
    seen = champion.categorical[name]
    if isinstance(value, str) and (value in seen or (0 < len(value) <= MAX_TEXT and value.isprintable())):
        return None
    shown = ", ".join(sorted(seen)[:MAX_SHOWN])
    allowed = f"a text of 1 to {MAX_TEXT} printable characters; seen in training: {shown}"
    return Fault(field=name, reason="is not a text that can be used", allowed=allowed)
