"""Releases and which of them is live: one row per use case, changed by compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from include.kreislauf.store.database import insert_once
from include.kreislauf.store.schema import live_releases, promotions, releases

ROLLED_BACK = "rolled back: "
"""How the reason of a rollback begins."""


@dataclass(frozen=True)
class ReleaseRow:
    """A release as the store knows it; its files stand under ``path``."""

    use_case: str
    version: int
    cycle_id: str
    attempt: int
    path: str
    digest: str
    manifest: dict[str, Any]
    as_of: datetime
    created_at: datetime


@dataclass(frozen=True)
class Live:
    """The live release of a use case and the revision of the pointer to it."""

    use_case: str
    version: int
    revision: int


def next_version(db: Connection, use_case: str) -> int:
    """The number after the highest release."""
    return (db.scalar(select(func.max(releases.c.version)).where(releases.c.use_case == use_case)) or 0) + 1


def save_release(db: Connection, row: ReleaseRow) -> bool:
    """Write a release down; ``False`` when its version or its (cycle, attempt) is taken."""
    return insert_once(db, releases, vars(row))


def find_release(db: Connection, use_case: str, version: int) -> ReleaseRow | None:
    """A release by its version, or ``None``."""
    where = (releases.c.use_case == use_case, releases.c.version == version)
    return _release(db.execute(select(releases).where(*where)).first())


def live_release(db: Connection, use_case: str) -> ReleaseRow | None:
    """The live release, or ``None``: nothing is live."""
    pointer = live(db, use_case)
    return find_release(db, use_case, pointer.version) if pointer else None


def release_of(db: Connection, use_case: str, cycle_id: str, attempt: int) -> ReleaseRow | None:
    """The release that an attempt of a cycle made, or ``None``."""
    where = (releases.c.use_case == use_case, releases.c.cycle_id == cycle_id, releases.c.attempt == attempt)
    return _release(db.execute(select(releases).where(*where)).first())


def releases_of(db: Connection, use_case: str) -> list[ReleaseRow]:
    """Every release of a use case, oldest first."""
    query = select(releases).where(releases.c.use_case == use_case).order_by(releases.c.version)
    return [ReleaseRow(**row._mapping) for row in db.execute(query)]


def live(db: Connection, use_case: str) -> Live | None:
    """The pointer to the live release, or ``None`` before the first."""
    row = db.execute(select(live_releases).where(live_releases.c.use_case == use_case)).first()
    return Live(**row._mapping) if row else None


def live_use_cases(db: Connection) -> list[Live]:
    """Every use case with a live release."""
    return [Live(**row._mapping) for row in db.execute(select(live_releases))]


def promote(
    db: Connection, use_case: str, version: int, *, expected: Live | None, cycle_id: str, reason: str,
    as_of: datetime, now: datetime,
) -> bool:  # fmt: skip
    """Point to a release if the pointer still is what the caller saw; ``False`` when someone was faster.

    Parameters
    ----------
    expected: the pointer the caller read before it decided; ``None``: there was no live release.
    """
    revision = expected.revision + 1 if expected else 1
    if expected is None:
        first = {"use_case": use_case, "version": version, "revision": revision}
        swapped = insert_once(db, live_releases, first)
    else:
        where = (live_releases.c.use_case == use_case, live_releases.c.revision == expected.revision)
        result = db.execute(update(live_releases).where(*where).values(version=version, revision=revision))
        swapped = result.rowcount == 1
    if swapped:
        previous = expected.version if expected else None
        row = {"use_case": use_case, "revision": revision, "version": version, "previous": previous,
               "cycle_id": cycle_id, "reason": reason, "as_of": as_of, "at": now}  # fmt: skip
        insert_once(db, promotions, row)
    return swapped


def manifest_on(db: Connection, use_case: str, on: datetime) -> dict[str, Any] | None:
    """Manifest of the release that was live at a time of the workflow; ``None`` before the first."""
    joined = promotions.join(
        releases,
        (releases.c.use_case == promotions.c.use_case) & (releases.c.version == promotions.c.version),
    )
    query = select(releases.c.manifest).select_from(joined)
    where = (promotions.c.use_case == use_case, promotions.c.as_of <= on)
    found: dict[str, Any] | None = db.scalar(
        query.where(*where).order_by(promotions.c.revision.desc()).limit(1)
    )
    return found


def promotions_of(db: Connection, use_case: str) -> list[Row[Any]]:
    """Every change of the live release, oldest first."""
    query = select(promotions).where(promotions.c.use_case == use_case).order_by(promotions.c.revision)
    return list(db.execute(query))


def version_before(changes: Sequence[Any]) -> int | None:
    """The version that the live one took over from; never one that was rolled back in favour of the live one."""
    return next(iter(versions_before(changes)), None)


def versions_before(changes: Sequence[Any]) -> list[int]:
    """Versions that a rollback may point to, the best first: each took over from the next, and none was taken back."""
    first: dict[int, int | None] = {}
    for one in changes:
        first.setdefault(one.version, one.previous)
    bad, found = taken_back(changes), []
    version = first.get(changes[-1].version) if changes else None
    while version is not None:
        if version not in bad:
            found.append(version)
        version = first.get(version)
    return found


def is_rollback(changes: Sequence[Any], change: Any) -> bool:
    """Whether a change pointed back: to what had been live before, for a rollback's reason."""
    before = (one.version for one in changes if one.revision < change.revision)
    return change.reason.startswith(ROLLED_BACK) and change.version in before


def taken_back(changes: Sequence[Any]) -> dict[int, Any]:
    """By version, the rollback that took it back; not of those that a person made live again since."""
    found: dict[int, Any] = {}
    for one in changes:
        found.pop(one.version, None)
        if one.previous is not None and is_rollback(changes, one):
            found[one.previous] = one
    return found


def _release(row: Row[Any] | None) -> ReleaseRow | None:
    return ReleaseRow(**row._mapping) if row else None
