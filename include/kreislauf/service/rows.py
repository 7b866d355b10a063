"""What a release says of the rows of a request: a prediction for each, or which fields are wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

from include.kreislauf.errors import PreparationError
from include.kreislauf.inference.served import MAX_TEXT
from include.kreislauf.service.problems import MAX_FAULTS, RefusedError, invalid
from include.kreislauf.service.schemas import Fault
from include.kreislauf.service.served_release import MAX_MAGNITUDE, ServedRelease, is_text

MAX_SHOWN = 20


class AskedRow(Protocol):
    """One row as a client sent it."""

    @property
    def entity(self) -> str | None: ...  # noqa: D102

    @property
    def features(self) -> Any: ...  # noqa: D102

    def features_text(self) -> str | None:
        """The features as JSON; ``None``: it has none."""


Found = list[tuple[str | None, bool, float | None]]
"""Per row: entity, whether it is known, and the prediction."""
Placed = list[tuple[str | None, bool, Any]]
"""The same, the prediction a number or a :class:`~include.kreislauf.inference.problem.ClassAnswer`."""


@dataclass(frozen=True)
class Given:
    """What the model has to compute for some rows.

    Parameters
    ----------
    values: of the features, numbers first, in the order of the rows that need it.
    known: per row, whether its features are.
    texts: per row, its features as JSON.
    """

    values: list[tuple[Any, ...]]
    known: list[bool]
    texts: list[str | None]


def given_by(release: ServedRelease, rows: Sequence[AskedRow]) -> Given:
    """Read the features of rows.

    Raises
    ------
    RefusedError: a row has neither entity nor features, or its features are not those of the release.
    """
    given, needs_features = Given([], [], []), release.needs_features
    for row in rows:
        entity, text, known = row.entity, row.features_text(), True
        if text is not None:
            read = release.read(text)
            if read is None:
                raise _refusal(release, rows)
            values, known = read
            if entity is None or needs_features or entity in release.values:
                given.values.append(values)
        elif entity is None or needs_features:
            raise _refusal(release, rows)
        given.known.append(known)
        given.texts.append(text)
    return given


def with_values(
    release: ServedRelease, rows: Sequence[AskedRow], given: Given, values: Iterable[Any]
) -> Placed:
    """What is answered for each row, from what the model computed for the given values."""
    computed, is_label = iter(values), release.needs_features
    found: Placed = []
    for row, known, text in zip(rows, given.known, given.texts, strict=True):
        entity = row.entity
        if entity is None or is_label:
            found.append((entity, known, next(computed)))
        elif entity not in release.values:
            found.append((entity, False, None))
        else:
            found.append((entity, True, release.values[entity] if text is None else next(computed)))
    return found


def require_finite(found: Placed) -> Found:
    """Numbers that can be answered.

    Raises
    ------
    RefusedError: a value is not a finite number.
    """
    wrong = [i for i, (_, _, value) in enumerate(found) if value is not None and not math.isfinite(value)]
    if wrong:
        reason = "the prediction for these features is not a finite number"
        raise invalid([Fault(field=f"rows.{index}.features", reason=reason) for index in wrong])
    return found


@contextmanager
def refusals() -> Iterator[None]:
    """An encoder that takes only what it has seen, of its own or scikit-learn's, refuses for the client's fault."""
    try:
        yield
    except (PreparationError, ValueError) as error:
        reason = f"the release cannot use these features: {error}"[:500]
        raise invalid([Fault(field="rows", reason=reason)]) from error


def _refusal(release: ServedRelease, rows: Sequence[AskedRow]) -> RefusedError:
    faults = chain.from_iterable(_faults(release, index, row) for index, row in enumerate(rows))
    return invalid(list(islice(faults, MAX_FAULTS)))


def _faults(release: ServedRelease, index: int, row: AskedRow) -> Iterator[Fault]:
    if row.features is None:
        if release.needs_features:
            allowed = f"exactly these features: {', '.join([*release.numeric, *release.categorical])}"
            yield Fault(field=f"rows.{index}.features", reason="is missing", allowed=allowed)
        elif row.entity is None:
            yield Fault(
                field=f"rows.{index}", reason="has neither entity nor features", allowed="entity, features"
            )
        return
    if not isinstance(row.features, Mapping):
        yield Fault(field=f"rows.{index}.features", reason="Input should be a valid dictionary")
        return
    expected = [*release.numeric, *release.categorical]
    yield from _wrong_names(f"rows.{index}.features", row.features, expected)
    for name in expected:
        if name in row.features and (fault := _wrong_value(release, name, row.features[name])):
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


def _wrong_value(release: ServedRelease, name: str, value: Any) -> Fault | None:
    if value is None and name in release.nullable:
        return None
    or_null = ", or null" if name in release.nullable else ""
    if name in release.numeric:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and abs(value) <= MAX_MAGNITUDE:
            return None
        allowed = f"finite numbers between {-MAX_MAGNITUDE:g} and {MAX_MAGNITUDE:g}{or_null}"
        return Fault(field=name, reason="is not a number that can be used", allowed=allowed)
    seen = release.categorical[name]
    if isinstance(value, str) and (value in seen or is_text(value)):
        return None
    shown = ", ".join(sorted(seen)[:MAX_SHOWN])
    allowed = f"a text of 1 to {MAX_TEXT} printable characters{or_null}; seen in training: {shown}"
    return Fault(field=name, reason="is not a text that can be used", allowed=allowed)
