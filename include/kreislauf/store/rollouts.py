"""Releases that are being tried: which one, in which state, on what share, and what the service counted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, Update, delete, select, update

from include.kreislauf.store.database import insert_once, insert_rows, put
from include.kreislauf.store.schema import arm_counts, rollouts, shadow_predictions


class RolloutState(StrEnum):
    """How far a release has come on its way to being live."""

    CANDIDATE = "candidate"  # loaded by the service, asked nothing
    SHADOW = "shadow"  # computes what the champion answers, unseen
    CANARY = "canary"  # answers a share of the requests
    PROMOTED = "promoted"
    REJECTED = "rejected"
    ABORTED = "aborted"


TRIED = (RolloutState.CANDIDATE, RolloutState.SHADOW, RolloutState.CANARY)
"""States in which the service holds the release in its candidate slot."""


class Arm(StrEnum):
    """Which part of the traffic a prediction belongs to.

    *Baseline* is the champion's part of the canary's size; *control* is what the release before answers while nothing is
    tried, where the contract wants that.
    """

    CHAMPION = "champion"
    BASELINE = "baseline"
    CANARY = "canary"
    SHADOW = "shadow"
    CONTROL = "control"


@dataclass(frozen=True)
class Rollout:
    """One release that is, or was, tried.

    Parameters
    ----------
    champion: the release that was live when it began; ``None``: none.
    share: of the requests, that a canary answers.
    evidence: what the checks found, by state.
    state_at: when it came into its state.
    """

    use_case: str
    version: int
    cycle_id: str
    attempt: int
    state: RolloutState
    champion: int | None
    share: float
    note: str
    evidence: dict[str, Any]
    created_at: datetime
    state_at: datetime


@dataclass(frozen=True)
class ArmCounts:
    """What the service counted of one arm of a rollout, since it began, over one worker or all.

    Parameters
    ----------
    seconds: spent on its requests in all.
    buckets: requests by the upper bound of their time in seconds, as text; ``+Inf`` for the rest.
    """

    arm: Arm
    requests: int = 0
    rows: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: dict[str, int] = field(default_factory=dict)


def begin(db: Connection, rollout: Rollout) -> bool:
    """Write a rollout down; ``False`` when the release was tried before, or another one of the use case is tried."""
    return insert_once(db, rollouts, vars(rollout))


def move(
    db: Connection, rollout: Rollout, state: RolloutState, now: datetime, note: str, evidence: dict[str, Any]
) -> Rollout | None:
    """Bring a rollout to another state if it still is in the one that the caller saw; ``None`` when it is not."""
    new: dict[str, Any] = {
        "state": state,
        "state_at": now,
        "note": note,
        "evidence": {**rollout.evidence, **evidence},
    }
    moved = db.execute(_update_of(rollout).values(**new)).rowcount == 1
    return replace(rollout, **new) if moved else None


def note_down(db: Connection, rollout: Rollout, evidence: dict[str, Any]) -> None:
    """Keep what a check has found so far, if the rollout still is in the state that the caller saw."""
    db.execute(_update_of(rollout).values(evidence={**rollout.evidence, **evidence}))


def abort(
    db: Connection, use_case: str, now: datetime, note: str, *, cycle_id: str | None = None,
    evidence: Mapping[str, Any] = MappingProxyType({}),
) -> list[Rollout]:  # fmt: skip
    """End what is being tried of a use case, or of one of its cycles only; returns what was ended."""
    found = [one for one in tried(db, use_case) if cycle_id in (None, one.cycle_id)]
    ended = [move(db, one, RolloutState.ABORTED, now, note, dict(evidence)) for one in found]
    return [one for one in ended if one]


def begin_again(db: Connection, ended: Rollout, rollout: Rollout) -> bool:
    """Try a release anew whose task had failed: nothing of what was counted or found before counts."""
    begun = db.execute(_update_of(ended).values(**vars(rollout))).rowcount == 1
    if begun:
        for table, version in (
            (arm_counts, arm_counts.c.version),
            (shadow_predictions, shadow_predictions.c.release),
        ):
            db.execute(delete(table).where(table.c.use_case == ended.use_case, version == ended.version))
    return begun


def find(db: Connection, use_case: str, version: int) -> Rollout | None:
    """The rollout of a release, or ``None``."""
    where = (rollouts.c.use_case == use_case, rollouts.c.version == version)
    row = db.execute(select(rollouts).where(*where)).first()
    return _rollout(row) if row else None


def tried(db: Connection, use_case: str | None = None) -> list[Rollout]:
    """What is being tried now, of one use case or of all: at most one release each."""
    query = select(rollouts).where(rollouts.c.state.in_(TRIED))
    if use_case is not None:
        query = query.where(rollouts.c.use_case == use_case)
    return [_rollout(row) for row in db.execute(query.order_by(rollouts.c.use_case))]


def rollouts_of(db: Connection, use_case: str) -> list[Rollout]:
    """Every rollout of a use case, oldest first."""
    query = select(rollouts).where(rollouts.c.use_case == use_case).order_by(rollouts.c.version)
    return [_rollout(row) for row in db.execute(query)]


def save_counts(
    db: Connection, use_case: str, version: int, worker: str, found: Iterable[ArmCounts], now: datetime
) -> None:
    """What one worker has counted so far, in place of what it said before."""
    own = {"use_case": use_case, "version": version, "worker": worker, "updated_at": now}
    for one in found:
        put(db, arm_counts, {**vars(one), **own})


def counts_of(db: Connection, use_case: str, version: int) -> dict[Arm, ArmCounts]:
    """By arm, what all workers have counted of a rollout."""
    where = (arm_counts.c.use_case == use_case, arm_counts.c.version == version)
    found: dict[Arm, ArmCounts] = {}
    for row in db.execute(select(arm_counts).where(*where)):
        arm = Arm(row.arm)
        before = found.get(arm, ArmCounts(arm))
        found[arm] = ArmCounts(
            arm, before.requests + row.requests, before.rows + row.rows, before.errors + row.errors,
            before.seconds + row.seconds, dict(Counter(before.buckets) + Counter(row.buckets)),
        )  # fmt: skip
    return found


def save_shadow(db: Connection, rows: list[dict[str, Any]]) -> None:
    """What a release would have answered; keys are the columns of the table."""
    insert_rows(db, shadow_predictions, rows)


def _update_of(rollout: Rollout) -> Update:
    """A change of a rollout that happens only if it still is in the state that the caller saw."""
    return update(rollouts).where(
        rollouts.c.use_case == rollout.use_case,
        rollouts.c.version == rollout.version,
        rollouts.c.state == rollout.state,
    )


def _rollout(row: Row[Any]) -> Rollout:
    return Rollout(**{**row._mapping, "state": RolloutState(row.state)})
