"""The prediction service, killed again and again under load: is everything that it acknowledged in the store?"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, text

from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store
from include.kreislauf.store.schema import outcomes, predictions

CLIENTS = 8
SECONDS = 60


@dataclass
class Survived:
    """What came of it.

    Parameters
    ----------
    predictions, outcomes: ids that were acknowledged.
    lost_predictions, lost_outcomes: those of them that the store does not have.
    spooled: kills while the store was away, and the service wrote to its spool.
    """

    kills: int = 0
    spooled: int = 0
    predictions: set[str] = field(default_factory=set)
    outcomes: set[str] = field(default_factory=set)
    lost_predictions: set[str] = field(default_factory=set)
    lost_outcomes: set[str] = field(default_factory=set)


def kill_under_load(
    store: Store, home: Path, use_case: str, rows: Sequence[Mapping[str, Any]], *, kills: int,
    as_of: str | None = None, headers: Mapping[str, str] | None = None, seed: int = 0,
) -> Survived:  # fmt: skip
    """Start the service, load it, kill it; every third time while nobody can write to the store.

    Parameters
    ----------
    rows: what is asked for; a release of the use case must be live.
    """
    found, draw = Survived(), random.Random(seed)
    body = {"rows": list(rows)} | ({"as_of": as_of} if as_of else {})
    for number in range(kills):
        is_away = number % 3 == 2
        with (
            _service(store, home) as (process, url),
            _load(url, use_case, body, headers or {}, found),
        ):
            time.sleep(draw.uniform(0.1, 0.4))
            with locked(store) if is_away else nullcontext():
                if is_away:
                    _wait(lambda: _size_of_spool(home) > 0)
                    found.spooled += 1
                time.sleep(draw.uniform(0, 0.3))
                process.kill()
                process.wait()
        found.kills += 1
    with _service(store, home):
        _wait(lambda: _size_of_spool(home) == 0)
        _compare(store, found)
    return found


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Nobody else can write predictions and outcomes."""
    with store.write() as db:
        if db.dialect.name == "postgresql":
            db.execute(text("LOCK TABLE predictions, outcomes IN EXCLUSIVE MODE"))
        yield


@contextmanager
def _service(store: Store, home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KREISLAUF_")}
    url = store.engine.url.render_as_string(hide_password=False)
    own = {"PYTHONPATH": str(ROOT), "KREISLAUF_STORE_URL": url, "KREISLAUF_HOME": str(home)}
    command = [sys.executable, "-m", "include.kreislauf.service", "--port", str(port)]
    process = subprocess.Popen(command, env={**kept, **own}, cwd=home, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            _wait(lambda: _is_ready(client, process))
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _load(
    url: str, use_case: str, body: dict[str, Any], headers: Mapping[str, str], found: Survived
) -> Iterator[None]:
    ends = threading.Event()
    callers = [
        threading.Thread(target=_call, args=(url, use_case, body, headers, found, ends))
        for _ in range(CLIENTS)
    ]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        ends.set()
        for caller in callers:
            caller.join()


def _call(
    url: str,
    use_case: str,
    body: dict[str, Any],
    headers: Mapping[str, str],
    found: Survived,
    ends: threading.Event,
) -> None:
    with httpx.Client(base_url=f"{url}/v1/{use_case}", headers=dict(headers), timeout=30) as client:
        while not ends.is_set():
            try:
                answer = client.post("/predictions", json=body)
                if answer.status_code != 200:
                    continue
                ids = [one["prediction_id"] for one in answer.json()["predictions"]]
                found.predictions.update(ids)
                sent = [
                    {"prediction_id": one, "value": 1.0, "observed_at": "2016-04-01T00:00:00Z"} for one in ids
                ]
                if client.post("/outcomes", json={"outcomes": sent}).status_code in (200, 202):
                    found.outcomes.update(ids)
            except httpx.TransportError:
                time.sleep(0.01)


def _compare(store: Store, found: Survived) -> None:
    with store.read() as db:
        found.lost_predictions = found.predictions - set(db.scalars(select(predictions.c.id)))
        found.lost_outcomes = found.outcomes - set(db.scalars(select(outcomes.c.prediction_id)))


def _size_of_spool(home: Path) -> int:
    return sum(path.stat().st_size for path in (home / "spool").glob("*.spool"))


def _is_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the service ended by itself"
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def _wait(done: Any) -> None:
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.02)
