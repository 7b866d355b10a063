"""What the prediction service's own role of PostgreSQL may do with the workflow store: read what it serves, and log.

A stolen password of the service then makes no release live, signs no contract, makes no API key, and changes nothing
that was logged. SQLite has no roles: there the rights of the file count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection, text

from include.kreislauf.errors import StoreError
from include.kreislauf.store import schema
from include.kreislauf.store.database import Store

_REVISION = "alembic_version"
_LOGGED = (
    schema.predictions, schema.shadow_predictions, schema.outcomes, schema.outcome_conflicts, schema.reports,
)  # fmt: skip
_OWN = (schema.workers, schema.arm_counts)
"""What a worker of the service says of itself, in place of what it said before."""
_READ = (
    schema.contracts, schema.releases, schema.live_releases, schema.promotions, schema.rollouts, schema.api_keys,
    schema.log_days, schema.log_newest, schema.verdicts, schema.signals, schema.loops, schema.receipts,
    schema.reminders,
)  # fmt: skip
GRANTS: dict[str, tuple[str, ...]] = {
    _REVISION: ("SELECT",),
    **{table.name: ("SELECT",) for table in _READ},
    **{table.name: ("SELECT", "INSERT") for table in _LOGGED},
    **{table.name: ("SELECT", "INSERT", "UPDATE") for table in _OWN},
    # a late prediction reopens its day
    schema.log_days.name: ("SELECT", "UPDATE (revision)"),
    # a worker that stops takes its row away
    schema.workers.name: ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
"""Table -> privileges of the service's role; what is not named here, it may not even read."""
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,62}")


def grant_service(store: Store, role: str) -> None:
    """Give a role the rights that the prediction service needs, and take every other right on tables from it.

    Repeating it changes nothing; it is run again after each upgrade of the schema, whose new tables nobody else may
    read. The role must be there already: who makes it knows its password, and this code need not.

    Raises
    ------
    StoreError: the database has no roles, the schema is not the one of this code, there is no such role, or it is one
        that rights cannot be taken from.
    """
    if store.engine.dialect.name != "postgresql":
        raise StoreError(
            f"{store.engine.dialect.name} has no roles", where="KREISLAUF_STORE_URL", allowed="postgresql",
            next_step="leave this out; whoever may write the file may write the store",
        )  # fmt: skip
    with store.require().write() as db:
        _check(db, role)
        for statement in _statements(db, role):
            db.execute(text(statement))


def _check(db: Connection, role: str) -> None:
    if not _NAME.fullmatch(role):
        raise StoreError(
            f"{role!r} is no name of a role", where="grant-service",
            allowed="small letters, digits, _ and -, at most 63", next_step="name the role of the service",
        )  # fmt: skip
    query = (
        "SELECT rolsuper, pg_has_role(rolname, current_user, 'MEMBER') FROM pg_roles WHERE rolname = :role"
    )
    found = db.execute(text(query), {"role": role}).first()
    if found is None:
        raise StoreError(
            "there is no such role", where=role,
            next_step=f"as a superuser: CREATE ROLE \"{role}\" LOGIN PASSWORD '…'",
        )  # fmt: skip
    if any(found):
        raise StoreError(
            "is a superuser, owns the store, or is a member of its owner: it has all rights anyway", where=role,
            next_step="make a role of its own for the service",
        )  # fmt: skip


def _statements(db: Connection, role: str) -> Iterator[str]:
    database, namespace = db.execute(text("SELECT current_database(), current_schema()")).one()
    yield f'GRANT CONNECT ON DATABASE "{database}" TO "{role}"'
    yield f'GRANT USAGE ON SCHEMA "{namespace}" TO "{role}"'
    yield f'REVOKE ALL ON ALL TABLES IN SCHEMA "{namespace}" FROM "{role}"'
    for table, privileges in GRANTS.items():
        yield f'GRANT {", ".join(privileges)} ON TABLE "{namespace}"."{table}" TO "{role}"'
