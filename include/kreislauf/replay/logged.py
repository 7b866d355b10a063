"""When the log of a replay says that it was written."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import outcomes, reports


def log_as_of(store: Store, now: datetime) -> None:
    """What was written just now counts as written at this time of the replay, as it would have been.

    Monitoring reads the log in the order in which it was written, and some minutes of it again: years that are written
    within a minute would be read again at every check.
    """
    with store.write() as db:
        for table in (outcomes, reports):
            db.execute(update(table).where(table.c.logged_at > now).values(logged_at=now))
