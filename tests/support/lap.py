"""The ring in one process, with what only tests do: orders out of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.kreislauf.embedded.exchange import Answer, Asked, Request
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.replay.recommending import predict
from include.kreislauf.replay.ring import STEPS, LocalRing, Message, receiver
from include.kreislauf.store import contracts, cycles
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import State

__all__ = ["STEPS", "Lap", "Message", "receiver"]


@dataclass
class Lap(LocalRing):
    """A ring whose questions wait for the test's answer, see :class:`~include.kreislauf.replay.ring.LocalRing`."""

    def order(self, as_of: datetime, **fields: Any) -> WorkOrder:
        """An order to work on, in a new active cycle, under the signed contract."""
        contract, now = self.contract, self.now()
        with self.store.write() as db:
            contracts.record_contract(db, contract, now)
            contracts.record_sign_off(
                db, contract.name, contract.hash, SignOff("signed", "test", "person"), now
            )
            origin = f"test/{next(self._numbers)}"
            cycle = cycles.open_cycle(
                db, contract.name, origin=origin, started_by="test", reason="a test", as_of=as_of, now=now
            )
            for other in cycles.in_state(db, contract.name, State.ACTIVE):
                cycles.set_state(db, other, State.CLOSED, now)
            cycles.set_state(db, cycle, State.ACTIVE, now)
        values = {
            "contract_hash": contract.hash,
            "as_of": as_of,
            "run_id": origin,
            "started_by": "test",
            **fields,
        }
        return WorkOrder(use_case=contract.name, cycle_id=cycle.cycle_id, **values)

    def predict(self, now: datetime, period: datetime, asked: Sequence[Asked]) -> list[Answer]:
        """What the service does: log the live release's predictions, and answer."""
        return predict(self, Request(now, period, list(asked)))
