"""Adversarial flapping: verdicts that alternate every hour for a month, and releases that never help.

The contract forbids nothing that could hold it up (no cool-down), every event arrives twice, at most one event an hour is
worked on, and the person who is asked either never answers, approves at once, or rejects at once.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.kreislauf.feedback.past_loops import QUESTION
from include.kreislauf.handovers import Role
from include.kreislauf.settings import Settings
from include.kreislauf.store import observations
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store
from tests.support.lap import STEPS, Lap, Message
from tests.support.script import Script
from tests.support.use_cases import write_use_case

START = datetime(2016, 1, 1, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
PERSONS = ("silent", "approves", "rejects")
METRIC = "development_productivity"
CONTRACT: dict[str, Any] = {
    "business_metrics": [
        {"kind": "portfolio_uplift", "name": "portfolio_uplift", "top": 10, "gate_threshold": 0.0, "threshold": -9.0,
         "window_periods": 1},
        {"kind": "reported", "name": METRIC, "threshold": 100.0, "window_periods": 1, "min_reports": 1},
    ],
    "governor": {"cool_down_days": 0, "max_hops": 4, "cycle_timeout_hours": 100, "help_periods": 1},
}  # fmt: skip


@dataclass
class Month:
    """What happened in a month.

    Parameters
    ----------
    active: the most cycles that were at work at once.
    opened: ``as_of`` of every cycle that monitoring opened and the governor let begin.
    asked: how often a person was asked.
    """

    active: int = 0
    opened: list[datetime] = field(default_factory=list)
    asked: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def in_a_week(self) -> int:
        """The most cycles that monitoring opened within any seven days."""
        return max(
            (sum(one <= other < one + WEEK for other in self.opened) for one in self.opened), default=0
        )


def flapping(_size: Any = None) -> dict[str, Any]:
    """The worst over the three persons; the same whatever the size."""
    with TemporaryDirectory() as folder:
        months = {person: month(Path(folder) / person, person) for person in PERSONS}
    return {"flapping": {
        "active_at_most": max(one.active for one in months.values()),
        "in_a_week_at_most": max(one.in_a_week for one in months.values()),
        "person_asked": all(one.asked > 0 for one in months.values()),
        "by_person": {
            person: {"cycles": len(one.opened), "in_a_week": one.in_a_week, "asked": one.asked,
                     "refusals": dict(one.refusals)}
            for person, one in months.items()
        },
    }}  # fmt: skip


def month(home: Path, person: str, days: int = 30) -> Month:
    """Thirty days of hourly checks."""
    lap, found, waiting = _ring(home), Month(), deque[Message]()
    lap.manual(Role.REQUIREMENTS, as_of=START)
    for hour in range(1, days * 24):
        now = START + hour * HOUR
        _report(lap, hour, now)
        raised = lap.run(lap.by_hand(Role.MONITORING, as_of=now))
        waiting.extend([raised] * 2 if raised else [])
        if waiting and (answer := lap.run(lap.arriving(waiting.popleft()))):
            waiting.extend([answer] * 2)
        found.active = max(found.active, len(lap.cycles(State.ACTIVE)))
        _answer(lap, person)
    found.asked = sum(row.loop.edge is QUESTION for row in lap.loops("accepted", "closed"))
    found.opened = [one.as_of for one in lap.cycles() if _began(one)]
    found.refusals = Counter((row.decision or "").split(";")[0].split(":")[0] for row in lap.loops("refused"))
    lap.store.engine.dispose()
    return found


def _ring(home: Path) -> Lap:
    contract = write_use_case(home / "use_cases", **CONTRACT)
    settings = Settings(
        home=home, use_cases=home / "use_cases", clock="given", store_url="", tracking_url="none"
    )
    store = Store(settings.store)
    store.upgrade()
    return Lap(settings, store, contract.name, {**STEPS, **Script().steps()})


def _report(lap: Lap, hour: int, now: datetime) -> None:
    """Bad in the first hour of a release, then good and bad by turns, and worse from month's start to its end."""
    row = lap.live()
    assert row is not None
    live_hours = {one.as_of for one in lap.verdicts() if one.release == row.version}
    value = 99.0 - hour / 100 if len(live_hours) % 2 == 0 else 101.0
    report = {"use_case": lap.use_case, "id": str(hour), "metric": METRIC, "release": row.version, "value": value,
              "period": now, "observed_at": now, "created_at": now}  # fmt: skip
    with lap.store.write() as db:
        observations.save_report(db, report)


def _answer(lap: Lap, person: str) -> None:
    while lap.questions and person != "silent":
        lap.answer(approved=person == "approves")


def _began(cycle: Cycle) -> bool:
    return cycle.started_by.startswith("loop/monitoring") and cycle.state not in (
        State.PROPOSED,
        State.REFUSED,
    )


if __name__ == "__main__":
    print(flapping())
