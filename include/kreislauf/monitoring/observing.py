"""The observations of a metric that are new since the last pass, in the order in which they became known.

An outcome becomes known when it is mature *and* was written down: one that comes late, or out of order, is simply a
later observation. So the order does not depend on how the passes were cut, and each observation counts once, whatever
was restarted in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from include.kreislauf.store.arrivals import Arrival, Arrivals

AGAIN = timedelta(minutes=3)
"""So far back is read again what was written down: clocks of several hosts differ, and transactions take their time."""


class Observation(NamedTuple):
    """A value with the time at which it became known.

    Parameters
    ----------
    predicted: what the release had said, if anything.
    waited: how long after it was due it was written down.
    """

    known_at: datetime
    id: str
    value: float
    predicted: float | None = None
    client: str | None = None
    waited: timedelta = timedelta()


@dataclass(frozen=True)
class Bookmark:
    """How far the observations of a metric are read.

    Parameters
    ----------
    as_of: what was due by then was taken, if it was there.
    logged_at: when the latest of all was written down.
    taken: of what is read again, the ids that count already.
    waiting: ids of what was read, and is dated in the future of ``as_of``.
    """

    as_of: datetime
    logged_at: datetime | None = None
    taken: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        at = self.logged_at.isoformat() if self.logged_at else None
        return {
            "as_of": self.as_of.isoformat(),
            "logged_at": at,
            "taken": self.taken,
            "waiting": self.waiting,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Bookmark:
        """From what :meth:`to_dict` gave."""
        at = _moment(kept["logged_at"]) if kept["logged_at"] else None
        return cls(_moment(kept["as_of"]), at, tuple(kept["taken"]), tuple(kept["waiting"]))


def read_on(
    db: Connection, source: Arrivals, mark: Bookmark | None, as_of: datetime
) -> tuple[list[Observation], Bookmark]:
    """What became known since a bookmark and by a time, and the bookmark after it.

    Parameters
    ----------
    mark: of a pass that was not later than ``as_of``; ``None``: everything is new.
    """
    newest = _latest(source.newest(db), mark.logged_at if mark else None)
    taken = set(mark.taken) if mark else set()
    if mark is None or mark.logged_at is None:
        written, matured = source.all_of(db), []
    else:
        again = mark.logged_at - AGAIN
        written = source.logged_after(db, again) + source.of_ids(db, mark.waiting)
        maturing = source.maturing(db, mark.as_of, as_of)
        matured = [one for one in maturing if one.logged_at is None or one.logged_at <= again]
    found = {one.id: one for one in (*matured, *written)}
    new = [one for one in found.values() if one.due <= as_of and one.id not in taken]
    taken |= {one.id for one in new}
    after = newest - AGAIN if newest else None
    waiting = {one.id for one in written if one.dated > as_of}
    known = {one.id for one in written if one.id in taken and _is_read_again(one, after)}
    return _in_order(new, as_of), Bookmark(as_of, newest, tuple(sorted(known)), tuple(sorted(waiting)))


def _latest(*times: datetime | None) -> datetime | None:
    """Never earlier than the bookmark: what was taken before it would be taken again."""
    return max((one for one in times if one), default=None)


def _is_read_again(one: Arrival, after: datetime | None) -> bool:
    """Whether the next pass reads it once more; all of them, while nothing says when it was written down."""
    return after is None or (one.logged_at is not None and one.logged_at > after)


def _in_order(new: Iterable[Arrival], as_of: datetime) -> list[Observation]:
    """By the time at which they became known.

    What was written down after the time that is judged says nothing about when it became known: then it is history
    that is judged, or the writing is some moments old. It comes last, by the time at which it was due.
    """
    ordered = []
    for one in new:
        history = one.logged_at is not None and one.logged_at > as_of
        known_at = one.due if history or one.logged_at is None else max(one.due, one.logged_at)
        ordered.append((history, known_at, one))
    ordered.sort(key=lambda item: (item[0], item[1], item[2].id))
    return [
        Observation(at, one.id, one.value, one.predicted, one.client, at - one.due) for _, at, one in ordered
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
