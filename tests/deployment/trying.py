"""A use case in the store, with a service that is played by the test: workers, counts, shadow predictions, outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.kreislauf.deployment import delivery
from include.kreislauf.deployment.delivery import Delivery, Progress
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.delivery import Delivery as Section
from include.kreislauf.store import contracts, cycles, live, observations, rollouts, workers
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import Live
from include.kreislauf.store.rollouts import Arm, ArmCounts, Rollout
from include.kreislauf.store.workers import Worker
from tests.support.examples import prediction, release

START = datetime(2026, 1, 1, tzinfo=UTC)
FAST = {"0.01": 0.9, "0.025": 0.1}
SLOW = {"0.025": 0.2, "0.05": 0.6, "0.1": 0.2}
NAME = "radar"


@dataclass
class Trying:
    """One use case; time is what the test says."""

    store: Store
    contract: Contract
    now: datetime = START

    def passes(self, **span: float) -> None:
        self.now += timedelta(**span)

    def order(self, number: int = 1, **fields: Any) -> WorkOrder:
        """The order of a deployment in a new active cycle; other active ones are closed."""
        with self.store.write() as db:
            contracts.record_contract(db, self.contract, self.now)
            contracts.record_sign_off(
                db, NAME, self.contract.hash, SignOff("signed", "test", "person"), self.now
            )
            cycle = cycles.open_cycle(
                db,
                NAME,
                origin=f"test/{number}",
                started_by="test",
                reason="better",
                as_of=self.now,
                now=self.now,
            )
            for other in cycles.in_state(db, NAME, State.ACTIVE, State.WAITING):
                cycles.set_state(db, other, State.CLOSED, self.now, "made way")
            cycles.set_state(db, cycle, State.ACTIVE, self.now)
        own = {
            "contract_hash": self.contract.hash,
            "as_of": self.now,
            "run_id": f"run-{number}",
            "started_by": "test",
        }
        return WorkOrder(use_case=NAME, cycle_id=cycle.cycle_id, **{**own, **fields})

    def release(self, version: int, order: WorkOrder) -> None:
        with self.store.write() as db:
            row = release(version, use_case=NAME, cycle_id=order.cycle_id, attempt=order.attempt)
            assert live.save_release(db, row)

    def go_live(self, version: int, reason: str = "by hand") -> None:
        """Somebody makes a release the live one, whatever is tried."""
        with self.store.write() as db:
            assert live.promote(
                db, NAME, version, expected=live.live(db, NAME), cycle_id="other", reason=reason, as_of=self.now,
                now=self.now,
            )  # fmt: skip

    def begin(self, version: int, order: WorkOrder, *, has_traffic: bool = True) -> Delivery:
        """The delivery of a release, begun."""
        with self.store.read() as db:
            row = live.find_release(db, NAME, version)
        assert row is not None
        delivery.begin(self.store, row, self.contract, self.now)
        return Delivery(self.store, order, self.contract, version, has_traffic)

    def challenger(self, **fields: Any) -> Delivery:
        """Release 2, begun while release 1 is live."""
        self.release(1, self.order(1))
        self.go_live(1)
        order = self.order(2, **fields)
        self.release(2, order)
        return self.begin(2, order)

    def rollout(self, version: int = 2) -> Rollout:
        with self.store.read() as db:
            found = rollouts.find(db, NAME, version)
        assert found is not None
        return found

    def live(self) -> Live | None:
        with self.store.read() as db:
            return live.live(db, NAME)

    # the service

    def worker(self, name: str = "w1", *, problem: str = "", **serving: int) -> None:
        """A worker says what it holds."""
        problems = {NAME: problem} if problem else {}
        row = Worker(name, "host", 7, {NAME: serving}, problems, self.now, self.now)
        with self.store.write() as db:
            workers.beat(db, row)

    def count(
        self, arm: Arm, requests: int, *, errors: int = 0, times: dict[str, float] = FAST, mean: float = 0.008,
        worker: str = "w1",
    ) -> None:  # fmt: skip
        """A worker says what it has counted of release 2."""
        buckets = {bound: round(requests * share) for bound, share in times.items()}
        counts = ArmCounts(arm, requests, requests, errors, requests * mean, buckets)
        with self.store.write() as db:
            rollouts.save_counts(db, NAME, 2, worker, [counts], self.now)

    def predict(self, n: int, *, arm: str = "champion", version: int = 1, **fields: Any) -> list[str]:
        """Predictions of ``n`` entities that the service has logged."""
        rows = [
            prediction(use_case=NAME, release=version, arm=arm, entity=f"e{i}", value=float(i), created_at=self.now, **fields)
            for i in range(n)
        ]  # fmt: skip
        with self.store.write() as db:
            observations.save_predictions(db, rows)
        return [row["id"] for row in rows]

    def shadow(self, n: int, *, off: float = 0.0) -> list[str]:
        """What release 2 would have answered to ``n`` new requests: so far from the champion."""
        ids = self.predict(n)
        rows = [
            {"prediction_id": id_, "release": 2, "use_case": NAME, "value": i + off, "created_at": self.now}
            for i, id_ in enumerate(ids)
        ]  # fmt: skip
        with self.store.write() as db:
            rollouts.save_shadow(db, rows)
        return ids

    def outcomes(self, ids: list[str], *, off: float) -> None:
        """What really happened: so far from the predictions, to either side."""
        with self.store.write() as db:
            for i, id_ in enumerate(ids):
                value = i + (off if i % 2 else -off) * (1 + i % 3)
                assert observations.save_outcome(db, id_, value, self.now, self.now) == "stored"

    def look(self, delivery: Delivery) -> Progress:
        return delivery.look(self.now)


def section(**fields: Any) -> Section:
    """A contract's part on deployment."""
    return Section.model_validate(fields)
