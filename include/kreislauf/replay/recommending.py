"""The clients of a world, as in ``make run``, around a ring in this process: requests, outcomes, reports."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from include.kreislauf.embedded.exchange import Answer, Happened, Request
from include.kreislauf.embedded.living import collected_technologies
from include.kreislauf.embedded.worlds import World
from include.kreislauf.inference.served import Served
from include.kreislauf.replay.ring import LocalRing
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import observations
from include.kreislauf.store.log_records import LoggedOutcome, stamp
from include.kreislauf.store.log_writer import write_outcomes


@dataclass
class Recommendations:
    """A world around one ring, and what its clients were told."""

    world: World
    contract: Contract
    answers: list[Answer] = field(default_factory=list)
    _settled: set[str] = field(default_factory=set, repr=False)

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
        """When a simulated world changes; of a recorded one nobody knows."""
        return self.world.changes()

    def reach(self, now: datetime) -> None:
        """Time goes on in the world."""
        self.world.reach(now)

    def happened(self, ring: LocalRing, now: datetime) -> None:
        """Outcomes of what was asked, and what users report of it."""
        outcomes, written = self.world.outcomes(now), stamp(ring.now())
        due = {
            one.prediction_id: seen
            for one in self.answers
            if one.prediction_id not in self._settled
            and (seen := outcomes.get((one.entity, datetime.fromisoformat(one.period))))
        }
        rows = [
            LoggedOutcome(ring.use_case, name, self._number(seen), stamp(seen.observed_at), written)
            for name, seen in due.items()
        ]
        with ring.store.write() as db:
            write_outcomes(db, rows)
            for report in self.world.reports(now, self.answers):
                row = {**vars(report), "use_case": ring.use_case, "observed_at": now, "created_at": now}
                observations.save_report(db, row)
        self._settled |= set(due)

    def asks(self, ring: LocalRing, now: datetime) -> None:
        """What clients ask until the next step."""
        served = ring.served()
        for request in self.world.requests(now, collected_technologies(ring.store, self.contract)):
            self.answers += predict(ring, request, served)

    def _number(self, seen: Happened) -> float:
        """As the log has it: of classes their position."""
        return self.contract.problem.classes.index(seen.value) if isinstance(seen.value, str) else seen.value


def predict(ring: LocalRing, request: Request, served: Served | None = None) -> list[Answer]:
    """What the service does: log the live release's predictions, and answer.

    Parameters
    ----------
    served: the live release, where it is loaded already.
    """
    served = served or ring.served()
    values = _values(served, request)
    answers = [
        Answer(
            str(uuid.uuid4()), one.entity, request.period.isoformat(), served.release.version, known, value
        )
        for one, (known, value) in zip(request.rows, values, strict=True)
    ]
    rows = [
        {"id": one.prediction_id, "use_case": ring.use_case, "release": one.release, "entity": one.entity,
         "known": one.known, "value": one.value, "period": request.period, "as_of": request.at, "created_at": ring.now()}
        for one in answers
    ]  # fmt: skip
    with ring.store.write() as db:
        observations.save_predictions(db, rows)
    return answers


def _values(served: Served, request: Request) -> list[tuple[bool, float | None]]:
    """For each row whether it is known, and what is predicted for it."""
    snapshot = served.release.snapshot
    if served.problem.requests == "features":
        given = [one.features or {} for one in request.rows]
        values = served.predict(given).tolist()
        seen = served.predictor.categorical
        return [
            (all(row[name] in texts for name, texts in seen.items()), value)
            for row, value in zip(given, values, strict=True)
        ]
    known = [one for one in request.rows if one.entity in snapshot]
    found = dict(
        zip(
            [one.entity for one in known],
            served.predict([one.features or snapshot[one.entity] for one in known]).tolist(),
            strict=True,
        )
    )
    return [(one.entity in found, found.get(one.entity)) for one in request.rows]
