"""The canary's questions to a service that answers as a test says; the real one answers in tests/ring."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from include.kreislauf.canary import asking
from include.kreislauf.canary.asking import Asking
from include.kreislauf.canary.watching import CanaryError
from include.kreislauf.settings import CANARY, Settings
from include.kreislauf.store import api_keys, observations
from include.kreislauf.store.api_keys import Scope
from include.kreislauf.store.database import Store, insert_rows
from include.kreislauf.store.schema import predictions
from tests.support.examples import prediction

RIGHT = 16.0
"""14 + 6 · 0.5 - 4 · 0.25."""
Answer = tuple[int, dict[str, Any]]


@dataclass
class Service:
    """A stand-in: answers by path, and remembers what it was asked and with which keys."""

    url: str = ""
    to_strangers: int = 404
    answers: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def predicts(self, value: float | None = RIGHT, release: int = 3) -> None:
        one = {"prediction_id": "p1", "entity": "canary", "known": True, "value": value}
        self.answers["predictions"] = lambda: (200, {"release": release, "predictions": [one]})


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            found.keys.append(self.headers["X-API-Key"])
            status, body = found.answers[self.path.rpartition("/")[2]]()
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.send_error(found.to_strangers)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def question(store: Store, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    """With a service that does all right, and takes outcomes to the store."""
    monkeypatch.setattr(asking, "PAUSE", 0.01)
    with store.write() as db:
        insert_rows(db, predictions, [prediction(id="p1", use_case=CANARY, release=3)])

    def settle() -> Answer:
        with store.write() as db:
            observations.save_outcome(db, "p1", 10.0, datetime.now(UTC), datetime.now(UTC))
        return 200, {"results": []}

    service.predicts()
    service.answers["outcomes"] = settle
    settings = Settings(home=tmp_path, service_url=f"{service.url}/", store_url="")
    return Asking(store, settings, 3, lambda: datetime.now(UTC), patience=0.2)


def close(store: Store) -> None:
    with store.write() as db:
        api_keys.create_key(db, "prometheus", [Scope.METRICS], "a test", datetime.now(UTC))


def fault(question: Asking) -> str:
    with pytest.raises(CanaryError) as caught:
        question.ask()
    return caught.value.text


def test_a_right_answer_and_an_outcome_in_the_store_are_all(question: Asking, service: Service) -> None:
    assert list(question.ask()) == ["service", "outcome"]
    predicted, settled = service.asked
    assert predicted["rows"] == [
        {"entity": "canary", "features": {"line": "south", "load": 0.5, "heat": 0.25}}
    ]
    assert settled["outcomes"][0]["prediction_id"] == "p1"


def test_an_open_service_stays_open(question: Asking, service: Service) -> None:
    """The first key that is ever made would close it for everybody."""
    question.ask()
    assert service.keys == [None, None]
    with question.store.read() as db:
        assert api_keys.list_keys(db) == []


def test_a_service_that_refuses_everybody_while_there_is_no_key_gets_one(
    question: Asking, service: Service
) -> None:
    service.to_strangers = 401
    question.ask()
    assert None not in service.keys
    with question.store.read() as db:
        assert [one.name for one in api_keys.list_keys(db)] == ["canary"]


@pytest.mark.parametrize("works", [True, False])
def test_a_key_is_made_for_the_canary_alone_and_revoked(
    question: Asking, service: Service, works: bool
) -> None:
    close(question.store)
    if works:
        question.ask()
    else:
        service.predicts(value=None)
        fault(question)
    with question.store.read() as db:
        _, key = api_keys.list_keys(db)
    assert {one and one[4:16] for one in service.keys} == {key.id}
    assert (key.use_case, key.scopes) == (CANARY, {Scope.PREDICT, Scope.OUTCOME})
    assert key.expires_at is not None
    assert key.revoked_at is not None


def test_what_passes_is_waited_for(question: Asking, service: Service) -> None:
    good, early = service.answers["predictions"], iter([503, 404, 401])
    service.answers["predictions"] = lambda: (status, {}) if (status := next(early, 0)) else good()
    question.ask()
    assert len(service.asked) == 5


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "is not known to the service: does the service read the same database?"),
        (403, "its key is not good for this: does the service read the same database?"),
        (404, "the service knows no release of the canary: does it read the same database?"),
        (503, "look at the service's database and at its volume of releases: what it lacks is in its log, and at /ready"),
        (500, "next: read the service's log"),
    ],
)  # fmt: skip
def test_refusals_name_what_to_look_at(question: Asking, service: Service, status: int, said: str) -> None:
    service.answers["predictions"] = lambda: (status, {"error": "no"})
    text = fault(question)
    assert text.startswith(
        f'service: {service.url}/v1/{CANARY}/predictions gave for 0 s: {status} {{"error": "no"}}; next: '
    )
    assert text.endswith(said)


def test_a_service_that_answers_by_an_old_release_does_not_follow_the_store(
    question: Asking, service: Service
) -> None:
    service.predicts(release=2)
    assert fault(question).endswith(
        "release 2 still answers; next: the service does not follow the store: read its log, and ask it at /ready"
    )


@pytest.mark.parametrize("value", [None, 12.0])
def test_a_wrong_answer_is_told_with_the_right_one(
    question: Asking, service: Service, value: float | None
) -> None:
    service.predicts(value=value)
    assert fault(question) == (
        f"service: release 3 answered {value}; allowed: 16 ± 1.5; next: compare the model card of the canary's cycle with "
        "the service's release: is it the same model?"
    )


def test_an_outcome_that_does_not_arrive_is_missed(question: Asking, service: Service) -> None:
    service.answers["outcomes"] = lambda: (202, {"results": []})
    assert fault(question) == (
        "outcome: the outcome was acknowledged, and is not in the store after 0 s; "
        "next: look at the service's database, and at /metrics: kreislauf_spool_waiting"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "no address"])
def test_an_address_where_nobody_answers_is_named(question: Asking, url: str) -> None:
    settings = question.settings.model_copy(update={"service_url": url})
    text = fault(Asking(question.store, settings, 3, question.now, patience=0.1))
    assert text.startswith(f"service: {url}/v1/{CANARY}/predictions gave for 0 s: no answer (")
    assert text.endswith("next: is the prediction service running, and KREISLAUF_SERVICE_URL its address?")
