"""What passes between the world outside of the workflow and those who use its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One row of a request: an entity, with its features where the client has them."""

    entity: str
    features: dict[str, Any] | None


@dataclass(frozen=True)
class Request:
    """What is asked at one time.

    Parameters
    ----------
    at: when.
    period: start of the time that the rows are about.
    """

    at: datetime
    period: datetime
    rows: list[Asked]


@dataclass(frozen=True)
class Answer:
    """One prediction as a client keeps it, to send the outcome later."""

    prediction_id: str
    entity: str
    period: str
    release: int
    known: bool
    value: float | None


@dataclass(frozen=True)
class Happened:
    """What really happened: a number, or the name of a class; and when it was seen."""

    value: float | str
    observed_at: datetime


Outcomes = dict[tuple[str, datetime], Happened]
"""By entity and start of the time a row is about."""


@dataclass(frozen=True)
class Report:
    """A business metric that a user of the recommendation reports."""

    id: str
    metric: str
    release: int
    value: float
    period: datetime
