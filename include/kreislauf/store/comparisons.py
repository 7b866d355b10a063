"""What a release that is tried predicted beside the champion, with what really happened where that is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from include.kreislauf.store.rollouts import Arm
from include.kreislauf.store.schema import outcomes, predictions, reports, shadow_predictions

MAX_ROWS = 50_000
"""The newest rows are compared; so many say enough."""

_NAME = func.coalesce(predictions.c.entity, predictions.c.id).label("name")


def shadow_rows(db: Connection, use_case: str, version: int) -> list[Row[Any]]:
    """Predictions that a release computed unseen, beside what the champion answered, newest first.

    Columns: name (the entity, or the prediction's id), entity, as_of, known, answered (the champion's value), shadow (the
    release's), outcome (or ``None``).
    """
    joined = shadow_predictions.join(predictions, predictions.c.id == shadow_predictions.c.prediction_id)
    query = (
        select(
            _NAME, predictions.c.entity, predictions.c.as_of, predictions.c.known,
            predictions.c.value.label("answered"),
            shadow_predictions.c.value.label("shadow"), outcomes.c.value.label("outcome"),
        )
        .select_from(joined.outerjoin(outcomes, outcomes.c.prediction_id == predictions.c.id))
        .where(shadow_predictions.c.use_case == use_case, shadow_predictions.c.release == version)
        .order_by(shadow_predictions.c.created_at.desc(), shadow_predictions.c.prediction_id)
        .limit(MAX_ROWS)
    )  # fmt: skip
    return list(db.execute(query))


def count_shadow(db: Connection, use_case: str, version: int) -> int:
    """How many predictions a release has computed unseen."""
    where = (shadow_predictions.c.use_case == use_case, shadow_predictions.c.release == version)
    return db.scalar(select(func.count()).select_from(shadow_predictions).where(*where)) or 0


def arm_outcomes(
    db: Connection, use_case: str, release: int, arm: Arm, since: datetime, until: datetime
) -> list[Row[Any]]:
    """Predictions of an arm whose outcome is known, newest first.

    Parameters
    ----------
    since: they were logged then or later.
    until: they were made for then or earlier.

    Returns
    -------
    Columns: name (the entity, or the prediction's id), entity, answered, outcome.
    """
    query = (
        select(
            _NAME, predictions.c.entity, predictions.c.value.label("answered"),
            outcomes.c.value.label("outcome"),
        )
        .select_from(predictions.join(outcomes, outcomes.c.prediction_id == predictions.c.id))
        .where(
            predictions.c.use_case == use_case, predictions.c.release == release, predictions.c.arm == arm,
            predictions.c.created_at >= since, predictions.c.as_of <= until, predictions.c.value.is_not(None),
        )
        .order_by(predictions.c.created_at.desc())
        .limit(MAX_ROWS)
    )  # fmt: skip
    return list(db.execute(query))


def reports_since(db: Connection, use_case: str, metric: str, release: int, since: datetime) -> list[float]:
    """What users reported of a release since a time."""
    where = (
        reports.c.use_case == use_case, reports.c.metric == metric, reports.c.release == release,
        reports.c.created_at >= since,
    )  # fmt: skip
    query = select(reports.c.value).where(*where).order_by(reports.c.created_at, reports.c.id)
    return list(db.scalars(query.limit(MAX_ROWS)))
