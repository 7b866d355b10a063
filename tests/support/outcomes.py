"""What happened to a live release, period by period, with exactly the business metrics that a test wants."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from include.kreislauf.periods import shift
from include.kreislauf.store import observations
from tests.support.lap import Lap

TOP = 10
"""Entities that the practice example recommends."""
METRIC = "development_productivity"


def quarter(text: str) -> datetime:
    """``2016Q2`` as the start of that quarter."""
    year, _, number = text.partition("Q")
    return datetime(int(year), int(number) * 3 - 2, 1, tzinfo=UTC)


def happen(
    lap: Lap, period: str, uplift: float, *, productivity: float | None = None, novel: int = 0,
    with_outcome: float = 1.0,
) -> datetime:  # fmt: skip
    """Predictions of the live release for one quarter, and their outcomes; returns when those became known.

    Parameters
    ----------
    uplift: the recommended grow by it, as many others shrink by it: so it is the portfolio's uplift.
    productivity: what each of a dozen teams reports for the quarter.
    novel: how many requested entities the release does not know; they stand still.
    with_outcome: share of the predictions, of either half, that get an outcome.
    """
    row = lap.live()
    assert row is not None
    start = quarter(period)
    asked_at, known_at = shift(start, "quarter", 1), shift(start, "quarter", 2)
    halves = [(f"up{n:02d}", 1.0, uplift, n) for n in range(TOP)] + [
        (f"down{n:02d}", 0.0, -uplift, n) for n in range(TOP)
    ]
    unknown = [(f"new{n:02d}", None, 0.0, 0) for n in range(novel)]
    with lap.store.write() as db:
        for entity, value, outcome, number in [*halves, *unknown]:
            id_ = str(uuid.uuid4())
            prediction = {
                "id": id_, "use_case": lap.use_case, "release": row.version, "entity": entity,
                "known": value is not None, "value": value, "period": start, "as_of": asked_at,
                "created_at": asked_at,
            }  # fmt: skip
            observations.save_predictions(db, [prediction])
            if number < with_outcome * TOP:
                observations.save_outcome(db, id_, outcome, known_at, known_at)
        for team in range(12 if productivity is not None else 0):
            observations.save_report(db, {
                "use_case": lap.use_case, "id": f"{team}:{period}:{row.version}", "metric": METRIC,
                "release": row.version, "value": productivity, "period": start, "observed_at": known_at,
                "created_at": known_at,
            })  # fmt: skip
    return known_at
