"""The canary asks the prediction service: its own release answers, rightly, and an outcome arrives in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx
from sqlalchemy import Connection, select

from include.kreislauf.canary.watching import CanaryError
from include.kreislauf.own_code import function_of
from include.kreislauf.requirements.loading import CANARY_FOLDER
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import api_keys
from include.kreislauf.store.api_keys import KeyRow, Scope
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import outcomes

SERVICE, OUTCOME = "service", "outcome"
"""The stages after the ring."""
KEY_NAME = "canary"
LIFE = timedelta(minutes=10)
"""Of the canary's key, should nobody be left to revoke it."""
FEATURES = {"line": "south", "load": 0.5, "heat": 0.25}
NEAR = 1.5
"""So far from what is right an answer may be: many times the noise."""
PAUSE = 0.5
BROKEN = {
    401: "its key is not known to the service: does the service read the same database?",
    403: "its key is not good for this: does the service read the same database?",
    404: "the service knows no release of the canary: does it read the same database?",
    503: "look at the service's database and at its volume of releases: what it lacks is in its log, and at /ready",
}
"""By status, what to look at."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """A canary's questions to the service.

    Parameters
    ----------
    release: the one that must answer.
    patience: seconds for each of the two stages.
    """

    store: Store
    settings: Settings
    release: int
    now: Callable[[], datetime]
    patience: float = 30.0

    def ask(self) -> dict[str, float]:
        """A prediction of the new release, and an outcome; returns the seconds of each stage.

        Raises
        ------
        CanaryError: a stage that does not work, with what to look at.
        """
        with self._key() as headers, httpx.Client(
            base_url=self._address, headers=headers, timeout=10, trust_env=False
        ) as client:  # fmt: skip
            began = time.monotonic()
            prediction = self._predicted(client)
            answered = time.monotonic()
            self._settle(client, prediction)
            return {SERVICE: answered - began, OUTCOME: time.monotonic() - answered}

    @property
    def _address(self) -> str:
        return f"{self.settings.service_url.rstrip('/')}/v1/{CANARY}"

    @contextmanager
    def _key(self) -> Iterator[Mapping[str, str]]:
        """A key for these questions alone. None where the service is open: the first key would close it for everybody."""
        if self._is_open():
            yield {}
            return
        with self.store.write() as db:
            made = self._make_key(db)
        try:
            yield {"X-API-Key": made[1]}
        finally:
            with self.store.write() as db:
                api_keys.revoke(db, made[0].id, self.now())

    def _is_open(self) -> bool:
        """Whether the service answers everybody: no key was ever made, and it does not refuse everybody for that."""
        with self.store.read() as db:
            if api_keys.list_keys(db):
                return False
        with suppress(httpx.HTTPError, httpx.InvalidURL):
            answer = httpx.get(f"{self._address}/release", timeout=10, trust_env=False)
            return answer.status_code != HTTPStatus.UNAUTHORIZED
        return True

    def _make_key(self, db: Connection) -> tuple[KeyRow, str]:
        now = self.now()
        return api_keys.create_key(
            db,
            KEY_NAME,
            [Scope.PREDICT, Scope.OUTCOME],
            KEY_NAME,
            now,
            expires_at=now + LIFE,
            use_case=CANARY,
        )

    def _predicted(self, client: httpx.Client) -> str:
        """Id of a right prediction of the release."""
        body = {"as_of": self.now().isoformat(), "rows": [{"entity": "canary", "features": FEATURES}]}
        answer = self._post(client, SERVICE, "/predictions", body, self._why_not)
        [prediction] = answer["predictions"]
        law = function_of(CANARY_FOLDER / "source.py", "law", CanaryError, "line, load, heat")
        right, value = float(law(**FEATURES)), prediction["value"]
        if value is None or abs(value - right) > NEAR:
            raise CanaryError(
                f"release {self.release} answered {value}", where=SERVICE, allowed=f"{right:g} ± {NEAR:g}",
                next_step="compare the model card of the canary's cycle with the service's release: is it the same model?",
            )  # fmt: skip
        return str(prediction["prediction_id"])

    def _why_not(self, answer: Json) -> str:
        """Why an answer is not the one that is waited for; empty: it is."""
        return "" if answer["release"] == self.release else f"release {answer['release']} still answers"

    def _settle(self, client: httpx.Client, prediction: str) -> None:
        """Send an outcome, and see it in the store."""
        one = {"prediction_id": prediction, "value": 10.0, "observed_at": self.now().isoformat()}
        self._post(client, OUTCOME, "/outcomes", {"outcomes": [one]}, lambda _: "")
        deadline = time.monotonic() + self.patience
        while not self._stored(prediction):
            if time.monotonic() > deadline:
                raise CanaryError(
                    f"the outcome was acknowledged, and is not in the store after {self.patience:.0f} s", where=OUTCOME,
                    next_step="look at the service's database, and at /metrics: kreislauf_spool_waiting",
                )  # fmt: skip
            time.sleep(PAUSE)

    def _stored(self, prediction: str) -> bool:
        query = select(outcomes.c.prediction_id).where(outcomes.c.prediction_id == prediction)
        with self.store.read() as db:
            return db.scalar(query) is not None

    def _post(
        self, client: httpx.Client, stage: str, path: str, body: Json, why_not: Callable[[Json], str]
    ) -> Json:
        """Ask until the answer is the one that is waited for."""
        deadline = time.monotonic() + self.patience
        while True:
            status, said = 0, ""
            try:
                response = client.post(path, json=body)
                status = response.status_code
                if response.is_success and not (said := why_not(answer := response.json())):
                    return dict(answer)
                said = said or f"{status} {response.text[:300]}"
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                said = f"no answer ({type(error).__name__}: {error})"
            if time.monotonic() > deadline:
                raise self._refused(stage, path, status, said)
            time.sleep(PAUSE)

    def _refused(self, stage: str, path: str, status: int, said: str) -> CanaryError:
        why = BROKEN.get(status, "read the service's log" if status else "is the prediction service running, and KREISLAUF_SERVICE_URL its address?")  # fmt: skip
        if status == 200:
            why = "the service does not follow the store: read its log, and ask it at /ready"
        return CanaryError(
            f"{self._address}{path} gave for {self.patience:.0f} s: {said}", where=stage, next_step=why
        )
