"""Keys for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.kreislauf.store import api_keys
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.database import Store

NOW = datetime.now(UTC)


def make_key(store: Store, *scopes: Scope, use_case: str | None = None, days: float = 1) -> tuple[str, str]:
    """A key's id and text."""
    with store.write() as db:
        row, text = api_keys.create_key(
            db, "test", scopes, "tests", NOW - timedelta(days=9), expires_at=NOW + timedelta(days=days),
            use_case=use_case,
        )  # fmt: skip
    return row.id, text
