"""Monthly threads of advertisements: what makes a comment one, and which month a thread is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from include.kreislauf.collection.source import Reading

PLACEHOLDERS = frozenset({"[deleted]", "[dead]", "[flagged]", "[delayed]"})
"""What stands where a text was."""
EARLY = timedelta(days=7)
"""A thread may be opened so long before its month begins."""
_TITLE = re.compile(
    r"\bwho(?:'s|’s| is) hiring\b(?:[^(]*\(\s*([a-z]{3})[a-z]*\.?,?\s+(\d{4})\s*\))?", re.IGNORECASE
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


class Threads(Protocol):
    """Where the threads are read from."""

    weight: float
    """How long a month takes, see ``Unit``."""

    def advertisements(self, month: datetime, reading: Reading) -> Iterator[str]:
        """Markup of every advertisement of a month; counts in ``reading`` what else was read, or that it is missing.

        Raises
        ------
        SourceError: the month cannot be had.
        """


class Comment(msgspec.Struct, gc=False):
    """A comment, as Algolia, Firebase and the recorded threads have it in common."""

    id: int
    text: str | None = None
    type: str = "comment"
    dead: bool = False
    deleted: bool = False


def why_ignored(comment: Comment, seen: set[int]) -> str:
    """Why a comment at the top of a thread is no advertisement; empty where it is one.

    Parameters
    ----------
    seen: ids that were counted before; the comment's is added.
    """
    if comment.id in seen:
        return "duplicate"
    seen.add(comment.id)
    if comment.type != "comment":
        return "not a comment"
    if comment.dead:
        return "dead"
    if comment.deleted or not comment.text or comment.text.strip() in PLACEHOLDERS:
        return "deleted"
    return ""


def month_of(title: str, created: int) -> datetime | None:
    """Start of the month that a thread is for; ``None`` where it does not ask who is hiring.

    Parameters
    ----------
    title: such as ``Ask HN: Who is hiring? (February 2015)``; without a month the creation decides.
    created: seconds since 1970.
    """
    if (found := _TITLE.search(title)) is None:
        return None
    name, year = found.groups()
    if name and name.lower() in _MONTHS:
        return datetime(int(year), _MONTHS.index(name.lower()) + 1, 1, tzinfo=UTC)
    return datetime.fromtimestamp(created, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
