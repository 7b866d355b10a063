"""The users of a recommendation: ask the prediction service, and tell it later what happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from include.kreislauf.embedded.exchange import Answer, Asked, Outcomes, Report, Request

BATCH = 200


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
        self._periods = {one.period for one in self.answers}
        self._settled: set[str] = set()

    def predict(self, request: Request) -> list[Answer]:
        """Ask for every row, in one request; what was asked for a period before a restart is not asked again."""
        period = request.period.isoformat()
        if period in self._periods:
            return [one for one in self.answers if one.period == period]
        body = {
            "as_of": request.at.isoformat(),
            "period": period,
            "rows": [_row(one) for one in request.rows],
        }
        told = self._post("predictions", body)
        answers = [
            Answer(one["prediction_id"], one["entity"], period, told["release"], one["known"], one["value"])
            for one in told["predictions"]
        ]
        with self._memory.open("a") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in answers)
        self.answers += answers
        self._periods.add(period)
        return answers

    def send_outcomes(self, outcomes: Outcomes) -> int:
        """Tell what happened to what was predicted, each thing once; returns how many outcomes were sent."""
        due = [
            {
                "prediction_id": one.prediction_id,
                "value": seen.value,
                "observed_at": seen.observed_at.isoformat(),
            }
            for one in self.answers
            if one.prediction_id not in self._settled and (seen := outcomes.get(_key(one)))
        ]
        for start in range(0, len(due), BATCH):
            self._post("outcomes", {"outcomes": due[start : start + BATCH]})
        self._settled |= {str(one["prediction_id"]) for one in due}
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


def _row(asked: Asked) -> dict[str, Any]:
    return {"entity": asked.entity, **({"features": asked.features} if asked.features else {})}


def _key(answer: Answer) -> tuple[str, datetime]:
    return answer.entity, datetime.fromisoformat(answer.period)
