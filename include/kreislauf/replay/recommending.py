"""A recommendation asked for once per period, as ``make run`` does: the world's entities, outcomes and reports."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from include.kreislauf.embedded.client import Answer
from include.kreislauf.embedded.run import collected_technologies
from include.kreislauf.embedded.worlds import Asked, SimulatedWorld, World
from include.kreislauf.periods import shift
from include.kreislauf.replay.ring import LocalRing
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.statistics.business import recommended
from include.kreislauf.store import observations


@dataclass
class Recommendations:
    """A world around one ring, and what its clients were told.

    Parameters
    ----------
    contract: gives the period, and how many are recommended.
    """

    world: World
    contract: Contract
    answers: list[Answer] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the world is."""
        return self.world.name

    @property
    def times(self) -> list[datetime]:
        """Starts of the periods."""
        return self.world.times()

    @property
    def changes(self) -> list[datetime] | None:
        """When new technologies begin to take over in a simulated world; of a recorded one nobody knows."""
        return self.world.changes() if isinstance(self.world, SimulatedWorld) else None

    def reach(self, now: datetime) -> None:
        """Time goes on in the world."""
        self.world.reach(now)

    def happened(self, ring: LocalRing, now: datetime) -> None:
        """Outcomes of what was asked a period ago, and what the users of the recommendation report of it."""
        period = self._period(now, -2)
        asked = [one for one in self.answers if one.period == period.isoformat()]
        known = [one for one in asked if one.value is not None]
        if not known:
            return
        outcomes = self.world.outcomes(now)
        top = self.contract.gate_metric.top
        chosen = recommended([one.value or 0.0 for one in known], [one.entity for one in known], top)
        reports = self.world.reports(self._period(now, -1), [name for name, _ in chosen], known[0].release)
        with ring.store.write() as db:
            for one in asked:
                if (one.entity, period) in outcomes:
                    value = outcomes[one.entity, period]
                    observations.save_outcome(db, one.prediction_id, value, now, ring.now())
            for report in reports:
                row = {**vars(report), "use_case": ring.use_case, "observed_at": now, "created_at": now}
                observations.save_report(db, row)

    def asks(self, ring: LocalRing, now: datetime) -> None:
        """Every entity that the newest complete period shows."""
        asked = self.world.asked(now, collected_technologies(ring.store, self.contract))
        self.answers += predict(ring, now, self._period(now, -1), asked)

    def _period(self, now: datetime, count: int) -> datetime:
        return shift(now, self.contract.problem.calendar, count)


def predict(ring: LocalRing, now: datetime, period: datetime, asked: Sequence[Asked]) -> list[Answer]:
    """What the service does: log the live release's predictions, and answer."""
    served = ring.served()
    release = served.release
    known = [one for one in asked if one.entity in release.snapshot]
    given = [one.features or release.snapshot[one.entity] for one in known]
    values = {one.entity: float(value) for one, value in zip(known, served.predict(given), strict=True)}
    answers = [
        Answer(str(uuid.uuid4()), one.entity, period.isoformat(), release.version, one.entity in values, values.get(one.entity))
        for one in asked
    ]  # fmt: skip
    rows = [
        {"id": one.prediction_id, "use_case": ring.use_case, "release": one.release, "entity": one.entity,
         "known": one.known, "value": one.value, "period": period, "as_of": now, "created_at": ring.now()}
        for one in answers
    ]  # fmt: skip
    with ring.store.write() as db:
        observations.save_predictions(db, rows)
    return answers
