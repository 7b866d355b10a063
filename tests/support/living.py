"""Living through a world, as ``make run`` does, with the ring in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from include.kreislauf.embedded.client import Answer
from include.kreislauf.embedded.run import collected_technologies
from include.kreislauf.embedded.worlds import World
from include.kreislauf.handovers import Role
from include.kreislauf.periods import shift
from include.kreislauf.statistics.business import recommended
from include.kreislauf.store import observations
from tests.support.lap import Lap


@dataclass
class Life:
    """A ring, the world around it, and what its clients were told."""

    lap: Lap
    world: World
    answers: list[Answer] = field(default_factory=list)

    def live_through(self) -> list[datetime]:
        """The first cycle, then per period: outcomes and reports, the check, new requests. Returns the times."""
        times = self.world.times()
        self.world.reach(times[0])
        self.lap.manual(Role.REQUIREMENTS, as_of=times[0], reason="the first model")
        for number, now in enumerate(times):
            self.world.reach(now)
            if number:
                self._what_happened(now)
                self.lap.check(now)
            self.answers += self.lap.predict(
                now,
                self._quarter(now, -1),
                self.world.asked(now, collected_technologies(self.lap.store, self.lap.contract)),
            )
        return times

    def novelty(self) -> dict[tuple[int, str], float]:
        """Share of requested entities that were not known, by release and period."""
        groups: dict[tuple[int, str], list[bool]] = {}
        for one in self.answers:
            groups.setdefault((one.release, one.period), []).append(not one.known)
        return {key: sum(new) / len(new) for key, new in groups.items()}

    def _what_happened(self, now: datetime) -> None:
        """Outcomes of what was asked a period ago, and what the users of the recommendation report of it."""
        period = self._quarter(now, -2)
        asked = [one for one in self.answers if one.period == period.isoformat()]
        outcomes = self.world.outcomes(now)
        known = [one for one in asked if one.value is not None]
        chosen = recommended([one.value or 0.0 for one in known], [one.entity for one in known])
        reports = self.world.reports(self._quarter(now, -1), [name for name, _ in chosen], asked[0].release)
        with self.lap.store.write() as db:
            for one in asked:
                if (one.entity, period) in outcomes:
                    value = outcomes[one.entity, period]
                    observations.save_outcome(db, one.prediction_id, value, now, self.lap.now())
            for report in reports:
                row = {**vars(report), "use_case": self.lap.use_case, "observed_at": now, "created_at": now}
                observations.save_report(db, row)

    def _quarter(self, now: datetime, count: int) -> datetime:
        return shift(now, self.lap.contract.problem.period, count)
