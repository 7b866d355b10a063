"""Records of the prediction log, as cheap as Python has them: tuples in the order of the tables' columns.

Times are texts already (:func:`stamp`): a request with a thousand rows converts three times and not three thousand.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

_VARIANT = 1 << 63
# Ids are no secrets, they must only differ: a generator seeded by the system spares a call of it for each.
_generator = Random()  # noqa: S311
_bits = _generator.getrandbits
os.register_at_fork(after_in_child=_generator.seed)


class LoggedPrediction(NamedTuple):
    """One row of ``predictions``."""

    id: str
    use_case: str
    release: int
    entity: str | None
    known: bool
    value: float | None
    period: str
    as_of: str
    created_at: str
    low: float | None = None
    high: float | None = None
    features: str | None = None
    arm: str = "champion"


class LoggedShadow(NamedTuple):
    """One row of ``shadow_predictions``."""

    prediction_id: str
    release: int
    use_case: str
    value: float | None
    created_at: str


class LoggedOutcome(NamedTuple):
    """One row of ``outcomes``, and the use case whose prediction it is about.

    The last field has a default: a spool that an older version wrote is read.
    """

    use_case: str
    prediction_id: str
    value: float
    observed_at: str
    created_at: str
    client: str | None = None


class LoggedReport(NamedTuple):
    """One row of ``reports``."""

    use_case: str
    id: str
    metric: str
    release: int
    value: float
    period: str
    observed_at: str
    created_at: str
    client: str | None = None


def stamp(moment: datetime) -> str:
    """A time as SQLAlchemy stores it on SQLite: UTC, with microseconds, without a zone.

    Raises
    ------
    ValueError: the time has no zone.
    """
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone")
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


def moment_of(text: str) -> datetime:
    """The time that :func:`stamp` made a text of; of a day its beginning."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new_ids(number: int) -> list[str]:
    """As many ids as :func:`new_id` would give one after the other, at a tenth of the cost.

    They share their random bits and end with a counter (RFC 9562, section 6.2, method 2).
    """
    if number == 1:
        return [new_id()]
    text = new_id()
    begin, low = text[:24], _bits(47)  # one bit less than there is room for: the counter does not overflow
    return [f"{begin}{low + place:012x}" for place in range(number)]


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, method 3: the 12 bits after the version continue the time to 0.24 us).

    Later ids are greater, so that a unique index grows at its end; the other 62 bits are random.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    text = f"{milliseconds:012x}7{(rest << 12) // 1_000_000:03x}{_bits(62) | _VARIANT:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
