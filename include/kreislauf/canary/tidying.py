"""Canaries leave little behind: of all but the newest, rows, files and tracked runs are deleted.

The cycles themselves stay, as one row each with the result: they are the record of the canaries.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from sqlalchemy import Connection, delete, select

from include.kreislauf.canary.asking import KEY_NAME
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import cycles, live, schema
from include.kreislauf.store.database import Store
from include.kreislauf.training.tracking import forget

KEPT = 3
"""So many of the newest canaries stay whole."""
_OF_RELEASES = (schema.verdicts, schema.monitor_states, schema.signals)
_OF_TRIALS = (schema.rollouts, schema.arm_counts)
TABLES = ("raw", "features")


@dataclass(frozen=True)
class Old:
    """What is left of canaries that are not kept.

    Parameters
    ----------
    names: ``cycle-attempt``, as folders and trainings are named.
    releases: paths of their releases, below the artefacts.
    """

    names: tuple[str, ...]
    releases: tuple[str, ...]


def tidy(store: Store, settings: Settings) -> None:
    """Delete what old canaries have left. Whoever is interrupted does the rest the next time."""
    with store.read() as db:
        old = _old(db)
    _delete_files(settings, old)
    forget(settings, CANARY, old.names)
    with store.write() as db:
        _delete_rows(db)
    for table in TABLES:
        _vacuum(f"{settings.tables}/{CANARY}/{table}")


def _old_cycles(db: Connection) -> list[str]:
    return [one.cycle_id for one in cycles.all_cycles(db, CANARY)[:-KEPT]]


def _old_versions(db: Connection) -> list[int]:
    """Releases of old cycles that do not answer, nor did right before the one that does."""
    changes = live.promotions_of(db, CANARY)
    kept = {changes[-1].version, live.version_before(changes)} if changes else set()
    old = set(_old_cycles(db))
    return [
        row.version for row in live.releases_of(db, CANARY) if row.cycle_id in old and row.version not in kept
    ]


def _old(db: Connection) -> Old:
    given = schema.handovers
    where = (given.c.use_case == CANARY, given.c.cycle_id.in_(_old_cycles(db)))
    rows = db.execute(select(given.c.cycle_id, given.c.attempt).where(*where).distinct())
    versions = set(_old_versions(db))
    paths = (row.path for row in live.releases_of(db, CANARY) if row.version in versions)
    return Old(tuple(f"{row.cycle_id}-{row.attempt}" for row in rows), tuple(paths))


def _delete_files(settings: Settings, old: Old) -> None:
    own = settings.artefacts / CANARY
    folders = [own / kind / name for kind in ("data_sheets", "model_cards") for name in old.names]
    folders += [settings.artefacts / "candidates" / CANARY / name for name in old.names]
    folders += [settings.artefacts / path for path in old.releases]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _delete_rows(db: Connection) -> None:
    old, versions = _old_cycles(db), _old_versions(db)
    predictions, log_newest = schema.predictions, schema.log_newest
    asked = select(predictions.c.id).where(
        predictions.c.use_case == CANARY, predictions.c.release.in_(versions)
    )
    db.execute(delete(schema.outcomes).where(schema.outcomes.c.prediction_id.in_(asked)))
    for table in (predictions, log_newest, schema.log_counts, *_OF_RELEASES):
        db.execute(delete(table).where(table.c.use_case == CANARY, table.c.release.in_(versions)))
    for table in (*_OF_TRIALS, schema.promotions, schema.releases):  # promotions point to releases
        db.execute(delete(table).where(table.c.use_case == CANARY, table.c.version.in_(versions)))
    _delete_messages(db, old)
    _delete_keys(db)


def _delete_keys(db: Connection) -> None:
    keys = schema.api_keys
    where = (keys.c.name == KEY_NAME, keys.c.use_case == CANARY, keys.c.revoked_at.is_not(None))
    revoked = list(db.scalars(select(keys.c.id).where(*where).order_by(keys.c.created_at)))
    db.execute(delete(keys).where(keys.c.id.in_(revoked[:-KEPT])))


def _delete_messages(db: Connection, old: Iterable[str]) -> None:
    for table in (schema.handovers, schema.loops):
        where = (table.c.use_case == CANARY, table.c.cycle_id.in_(old))
        ids = select(table.c.id).where(*where)
        for about in (schema.receipts, schema.reminders):
            db.execute(delete(about).where(about.c.message_id.in_(ids)))
        db.execute(delete(table).where(*where))


def _vacuum(url: str) -> None:
    """Delete the files of a table that no version holds but old ones; an hour is more than a canary takes."""
    with suppress(TableNotFoundError):
        table = DeltaTable(url)
        table.vacuum(retention_hours=1, dry_run=False, enforce_retention_duration=False)
        table.create_checkpoint()
        table.cleanup_metadata()
