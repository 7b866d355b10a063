"""Small valid things that tests of the store and of handovers start from; every field can be replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from include.kreislauf.handovers import Edge, Handover, Loop, Reason, Stage
from include.kreislauf.store import cycles
from include.kreislauf.store.cycles import Cycle
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow

USE_CASE = "radar"
NOW = datetime(2016, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MESSAGE = {"use_case": USE_CASE, "cycle_id": "c0001-2016-01-01", "contract_hash": "0" * 64, "as_of": NOW}


def handover(**fields: Any) -> Handover:
    """A handover of the training."""
    own = {"stage": Stage.TRAINING, "code_version": "1", "output": "candidates@1", "run_id": "first"}
    return Handover(**{**MESSAGE, **own, **fields})


def loop(**fields: Any) -> Loop:
    """A loop inside a cycle."""
    own = {"edge": Edge.DATA_SCIENCE_TO_DATA_SCIENCE, "reason": Reason.PERFORMANCE_SHORT, "text": "too short"}
    return Loop(**{**MESSAGE, **own, **fields})


def open_cycle(store: Store, origin: str, **fields: Any) -> Cycle:
    """A new cycle in a transaction of its own."""
    own = {"started_by": "test", "reason": "test", "as_of": NOW, "now": NOW}
    with store.write() as db:
        return cycles.open_cycle(db, USE_CASE, origin=origin, **{**own, **fields})


def release(version: int, **fields: Any) -> ReleaseRow:
    """A release as the store knows it; its files do not exist."""
    own: dict[str, Any] = {
        "use_case": USE_CASE, "version": version, "cycle_id": f"c{version:04d}", "attempt": 1, "path": "nowhere",
        "digest": "0" * 64, "manifest": {"version": version}, "as_of": NOW, "created_at": NOW,
    }  # fmt: skip
    return ReleaseRow(**{**own, **fields})


def prediction(**fields: Any) -> dict[str, Any]:
    """A logged prediction."""
    own: dict[str, Any] = {
        "id": str(uuid4()), "use_case": USE_CASE, "release": 1, "entity": "python", "known": True, "value": 0.5,
        "period": NOW, "as_of": NOW, "created_at": NOW,
    }  # fmt: skip
    return {**own, **fields}


def report(**fields: Any) -> dict[str, Any]:
    """A metric as a team reported it."""
    own: dict[str, Any] = {
        "use_case": USE_CASE, "id": "r1", "metric": "productivity", "release": 1, "value": 97.5, "period": NOW,
        "observed_at": NOW, "created_at": NOW,
    }  # fmt: skip
    return {**own, **fields}
