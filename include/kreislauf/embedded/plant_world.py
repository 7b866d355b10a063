"""The simulated plant around the workflow: its database, what every shift asks, and which machines then failed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine

from include.kreislauf.embedded.exchange import Answer, Asked, Happened, Outcomes, Report, Request
from include.kreislauf.embedded.worlds import Server
from include.kreislauf.periods import shift, start_of
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.simulation.plant import SHIFT, SHIFTS_A_WEEK, WINDOW_SHIFTS, Plant
from include.kreislauf.simulation.plant_database import grow, line_of, shift_rows, type_of

LEARNT_WEEKS = 26
"""From the first shift to the first cycle, unless a start is given: failures are rare."""
TOLD = timedelta(weeks=4)
"""What has been known for so long was told before."""


@dataclass
class PlantWorld:
    """A seeded plant; its database is a file beside the stack that grows as time goes on.

    Parameters
    ----------
    file: the plant's database, on SQLite.
    first: day of the first cycle; ``None``: after 26 weeks. ``end``: last day; ``None``: the plant's.
    """

    contract: Contract
    file: Path
    seed: int = 0
    first: datetime | None = None
    end: datetime | None = None
    name: str = "a simulated plant"

    @cached_property
    def plant(self) -> Plant:
        """What happens, also later."""
        return Plant(self.seed)

    @property
    def start(self) -> datetime:
        """The first cycle, a Monday."""
        return start_of(self.first or self.plant.starts(LEARNT_WEEKS * SHIFTS_A_WEEK), "week")

    def span(self) -> tuple[datetime, datetime]:
        """From the first shift to the end of the last one."""
        return self.plant.parameters.start, self.plant.end

    def times(self) -> list[datetime]:
        """Every Monday."""
        last = min(self.end or self.plant.end, self.plant.end)
        weeks = (last - self.start) // timedelta(weeks=1)
        return [shift(self.start, "week", number) for number in range(weeks + 1)]

    def changes(self) -> list[datetime]:
        """When most of the new machines arrive, and when sensors are calibrated anew."""
        return list(self.plant.changes)

    def environment(self) -> Mapping[str, str]:
        """Nothing but the connection."""
        return {}

    def connections(self) -> Mapping[str, str]:
        """The plant's database."""
        return {"plant": f"sqlite:///{self.file}"}

    def server(self) -> Server | None:
        """A database file needs none."""
        return None

    def reach(self, now: datetime) -> None:
        """Write down the shifts that are over."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{self.file}")
        grow(self.plant, engine, now)
        engine.dispose()

    def requests(self, now: datetime, collected: Collection[str] | None = None) -> list[Request]:  # noqa: ARG002
        """At the end of every shift of the week, those machines whose turn it is, as the contract's query has them."""
        over = self.plant.over_by(now), self.plant.over_by(shift(now, "week", 1))
        asked = [
            Request(self.plant.starts(number + 1), self.plant.starts(number), list(self._asked(number)))
            for number in range(over[0] - 1, over[1] - 1)  # what ends with the week is asked in the next one
        ]
        return [one for one in asked if one.rows]

    def outcomes(self, now: datetime) -> Outcomes:
        """Of the windows that are over, and were not long ago: whether the machine failed."""
        end = self.plant.over_by(now) - WINDOW_SHIFTS
        first = self.plant.over_by(now - TOLD)
        sound, failed = self.contract.problem.classes
        found: Outcomes = {}
        for number in range(max(0, first - WINDOW_SHIFTS), end):
            fails, start = self.plant.fails_within(number), self.plant.starts(number)
            seen = start + (1 + WINDOW_SHIFTS) * SHIFT
            for machine in self._turn(number):
                found[self.plant.names[machine], start] = Happened(failed if fails[machine] else sound, seen)
        return found

    def reports(self, now: datetime, answers: Sequence[Answer]) -> list[Report]:  # noqa: ARG002
        """The plant has no other metric."""
        return []

    def _asked(self, number: int) -> Iterator[Asked]:
        turn, features = set(self._turn(number)), self._features
        for machine, row in zip(np.flatnonzero(self.plant.works(number)).tolist(), shift_rows(self.plant, number), strict=True):  # fmt: skip
            if machine in turn:
                known: dict[str, Any] = {
                    "machine_type": type_of(self.plant, machine), "line": line_of(self.plant, machine), **row,
                }  # fmt: skip
                yield Asked(row["machine"], {name: known[name] for name in features})

    def _turn(self, number: int) -> list[int]:
        """The machines of a shift whose turn it is: each once in a window."""
        machines = np.flatnonzero(self.plant.works(number))
        return [one for one in machines.tolist() if (one + number) % WINDOW_SHIFTS == 0]

    @cached_property
    def _features(self) -> list[str]:
        """What a client sends: what the contract's columns say of a machine but for its name, time and target."""
        problem, (source,) = self.contract.problem, self.contract.sources
        return [name for name in source.columns if name not in (*problem.keys, problem.target)]
