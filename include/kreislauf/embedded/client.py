"""The users of a recommendation: ask the prediction service, and tell it later what happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from include.kreislauf.embedded.worlds import Asked, Report

BATCH = 200


@dataclass(frozen=True)
class Answer:
    """One prediction as a client keeps it, to send the outcome later."""

    prediction_id: str
    entity: str
    period: str
    release: int
    known: bool
    value: float | None


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (500, 502, 503)
    return isinstance(error, httpx.TransportError)


class Client:
    """Talks to one use case of the service; remembers its predictions in a file, so that a restart loses none."""

    def __init__(self, base_url: str, use_case: str, memory: Path) -> None:
        self._http = httpx.Client(base_url=f"{base_url}/v1/{use_case}", timeout=30, trust_env=False)
        self._memory = memory
        self.answers: list[Answer] = self._remembered()

    def predict(self, now: datetime, period: datetime, asked: Sequence[Asked]) -> list[Answer]:
        """Ask for every entity, in one request; what was asked for a period before a restart is not asked again."""
        if known := [one for one in self.answers if one.period == period.isoformat()]:
            return known
        rows = [
            {"entity": one.entity, **({"features": one.features} if one.features else {})} for one in asked
        ]
        body = self._post(
            "predictions", {"as_of": now.isoformat(), "period": period.isoformat(), "rows": rows}
        )
        answers = [
            Answer(
                one["prediction_id"],
                one["entity"],
                period.isoformat(),
                body["release"],
                one["known"],
                one["value"],
            )
            for one in body["predictions"]
        ]
        with self._memory.open("a") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in answers)
        self.answers += answers
        return answers

    def send_outcomes(
        self, now: datetime, outcomes: dict[tuple[str, datetime], float], period: datetime
    ) -> int:
        """Tell what happened to the predictions of one period; returns how many outcomes were sent."""
        due = [
            {
                "prediction_id": one.prediction_id,
                "value": outcomes[one.entity, period],
                "observed_at": now.isoformat(),
            }
            for one in self.answers
            if one.period == period.isoformat() and (one.entity, period) in outcomes
        ]
        for start in range(0, len(due), BATCH):
            self._post("outcomes", {"outcomes": due[start : start + BATCH]})
        return len(due)

    def send_reports(self, now: datetime, reports: Sequence[Report]) -> None:
        """Report a business metric."""
        rows = [
            {**asdict(one), "period": one.period.isoformat(), "observed_at": now.isoformat()}
            for one in reports
        ]
        for start in range(0, len(rows), BATCH):
            self._post("reports", {"reports": rows[start : start + BATCH]})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @retry(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_delay(60),
        wait=wait_random_exponential(max=2),
        reraise=True,
    )
    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._http.post(path, json=body)
        if response.is_client_error:
            raise RuntimeError(f"the service refused {path}: {response.status_code} {response.text[:1000]}")
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _remembered(self) -> list[Answer]:
        if not self._memory.exists():
            return []
        lines = self._memory.read_text().splitlines(keepends=True)
        return [
            Answer(**json.loads(line)) for line in lines if line.endswith("\n")
        ]  # a torn last line was not answered
