"""Requests and outcomes that go on while things break, and a record of what was acknowledged."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx

USE_CASE = "kreislauf_canary"
ROW = {"entity": "part-1", "features": {"line": "south", "load": 0.5, "heat": 0.25}}


@dataclass
class Traffic:
    """One client that asks and tells, some times a second, until it is left.

    Parameters
    ----------
    address: of the prediction service.
    key: with the scopes predict and outcome.
    """

    address: str
    key: str
    values: set[float] = field(default_factory=set)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        with httpx.Client(
            base_url=f"{self.address}/v1/{USE_CASE}",
            headers={"X-API-Key": self.key},
            timeout=10,
            trust_env=False,
        ) as client:
            while not self._over.wait(0.2):
                try:
                    self._once(client)
                except httpx.HTTPError as error:
                    self.refused.append((time.monotonic(), repr(error)))

    def _once(self, client: httpx.Client) -> None:
        now = datetime.now(UTC).isoformat()
        answer = self._post(client, "/predictions", {"as_of": now, "rows": [ROW]})
        if answer is None:
            return
        self.answered.append(time.monotonic())
        [prediction] = answer["predictions"]
        self.values.add(round(prediction["value"], 6))
        outcome = {"prediction_id": prediction["prediction_id"], "value": 10.0, "observed_at": now}
        if self._post(client, "/outcomes", {"outcomes": [outcome]}) is not None:
            self.acknowledged.append(prediction["prediction_id"])

    def _post(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        response = client.post(path, json=body)
        if response.is_success:
            return dict(response.json())
        self.refused.append((time.monotonic(), f"{response.status_code} {response.text[:300]}"))
        return None

    def refused_between(self, begin: float, end: float) -> list[str]:
        """What was refused in a span of the monotonic clock."""
        return [why for at, why in self.refused if begin <= at <= end]

    def answered_between(self, begin: float, end: float) -> int:
        """How many predictions were answered in a span of the monotonic clock."""
        return sum(begin <= at <= end for at in self.answered)
