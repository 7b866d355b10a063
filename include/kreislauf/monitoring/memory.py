"""What the test of one metric remembers of one release, between two passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.monitoring.backlog import Backlog
from include.kreislauf.monitoring.observing import Bookmark, Observation
from include.kreislauf.monitoring.plausibility import Intake
from include.kreislauf.monitoring.watching import WatchState

DAYS = 100
"""So many days' means are kept, to be shown, and to be compared with a control's."""

Sums = tuple[int, float, float]


@dataclass(frozen=True)
class Memory:
    """All of it; its size does not grow with the history.

    Parameters
    ----------
    began: when the release went live.
    mark: how far its observations are read.
    newest_at: when the latest observation became known.
    days: by day, how many plausible observations there were, their sum and that of their squares, in the metric's unit.
    backlog: whether they came in a heap, long after they were due.
    """

    began: datetime
    mark: Bookmark | None = None
    watch: WatchState = field(default_factory=WatchState)
    intake: Intake = field(default_factory=Intake)
    newest_at: datetime | None = None
    days: Mapping[str, Sums] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)

    def counted(self, new: Iterable[Observation]) -> Memory:
        """With more observations in the means of their days."""
        days = dict(self.days)
        for one in new:
            day = f"{one.known_at:%Y-%m-%d}"
            number, total, squares = days.get(day, (0, 0.0, 0.0))
            days[day] = (number + 1, total + one.value, squares + one.value**2)
        return replace(self, days={day: days[day] for day in sorted(days)[-DAYS:]})

    def by_day(self) -> dict[datetime, float]:
        """Mean of each day."""
        return {
            datetime.fromisoformat(day).replace(tzinfo=UTC): total / number
            for day, (number, total, _) in self.days.items()
        }

    def since(self, day: str) -> Sums:
        """The sums from a day on."""
        found = [sums for one, sums in self.days.items() if one >= day]
        return sum(one[0] for one in found), sum(one[1] for one in found), sum(one[2] for one in found)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "began": self.began.isoformat(),
            "mark": self.mark.to_dict() if self.mark else None,
            "watch": self.watch.to_dict(),
            "intake": self.intake.to_dict(),
            "newest_at": self.newest_at.isoformat() if self.newest_at else None,
            "days": {day: list(sums) for day, sums in self.days.items()},
            "backlog": self.backlog.to_dict(),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Memory:
        """From what :meth:`to_dict` gave."""
        newest_at = kept["newest_at"]
        return cls(
            began=datetime.fromisoformat(kept["began"]),
            mark=Bookmark.from_dict(kept["mark"]) if kept["mark"] else None,
            watch=WatchState.from_dict(kept["watch"]),
            intake=Intake.from_dict(kept["intake"]),
            newest_at=datetime.fromisoformat(newest_at) if newest_at else None,
            days={
                day: (int(n), float(total), float(squares))
                for day, (n, total, squares) in kept["days"].items()
            },
            backlog=Backlog(**kept.get("backlog", {})),  # a state of before knows of none
        )
