"""Whether observations came in a heap, long after they were due: then nobody can see when something set in.

Their order says nothing about the order in which things happened. A fall inside of the heap is mixed with what was good
before it: no false alarm follows, but the fall may stay unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from include.kreislauf.monitoring.observing import Observation

LATE = timedelta(days=1)


@dataclass(frozen=True)
class Backlog:
    """Observations counted by the hour in which they were written down, where that was long after they were due.

    Parameters
    ----------
    hour, number: the newest such hour, and how many came in it.
    most: in one hour, ever.
    seen: of all observations.
    """

    hour: str = ""
    number: int = 0
    most: int = 0
    seen: int = 0

    def after(self, new: Iterable[Observation]) -> Backlog:
        """With more observations, in their order."""
        hour, number, most, seen = self.hour, self.number, self.most, self.seen
        for one in new:
            seen += 1
            if one.waited < LATE:
                continue
            its = f"{one.known_at:%Y-%m-%dT%H}"
            hour, number = its, (number + 1 if its == hour else 1)
            most = max(most, number)
        return Backlog(hour, number, most, seen)

    def words(self) -> str:
        """What is to be said of it; empty where less than half came so."""
        if 2 * self.most <= self.seen:
            return ""
        return (
            f"{self.most} of {self.seen} observations were written down within one hour, more than a day after they "
            "were due: when something set in cannot be seen, and a fall among them may stay unseen"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
