"""The store is busy, old or late: nothing is acknowledged that is not written, and the service says why."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import text

from include.kreislauf.service import journal

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Hold the store's write lock."""
    with world.store.write():
        yield


def test_a_short_lock_is_waited_for(service: Running, world: World) -> None:
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(service.predict({"entity": "python"})))
    with locked(world):
        caller.start()
        time.sleep(0.5)
        assert answers == []
        assert world.rows() == []
    caller.join()
    assert answers[0].status_code == 200
    assert len(world.rows()) == 1


def test_a_long_lock_is_acknowledged_from_the_spool_and_stored_when_it_ends(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.3)
    world.sign()
    world.release(1)
    world.promote(1)
    service = start(world)
    with locked(world):
        answers = [service.predict({"entity": "python"})]
        callers = [
            threading.Thread(target=lambda: answers.append(service.predict({"entity": "python"})))
            for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        for path in ("/live", "/ready", "/metrics", "/v1/radar/ranking", "/v1/radar/release"):
            assert service.client.get(path).status_code == 200
        for caller in callers:
            caller.join()
        ids = [one["prediction_id"] for answer in answers for one in answer.json()["predictions"]]
        sent = [{"prediction_id": one, "value": 1.5, "observed_at": "2016-04-01T00:00:00Z"} for one in ids]
        accepted = service.client.post("/v1/radar/outcomes", json={"outcomes": sent})
        assert world.rows() == []
    assert [answer.status_code for answer in answers] == [200] * 5
    assert accepted.status_code == 202
    assert {one["result"] for one in accepted.json()["results"]} == {"accepted"}
    service.wait(lambda found: "kreislauf_spool_waiting 0.0" in found.text, "/metrics")
    assert (
        {row.id for row in world.rows()} == {row.prediction_id for row in world.rows("outcomes")} == set(ids)
    )


def test_where_nothing_can_be_written_it_is_503_and_nothing_is_stored(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.3)
    (world.folder / "spool").write_text("a file where the folder of the spool should be")
    world.release(1)
    world.promote(1)
    service = start(world)
    with locked(world):
        answers = [service.predict({"entity": "python"}) for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "spool cannot be written" in answer.json()["error"]
    assert world.rows() == []
    assert service.predict({"entity": "python"}).status_code == 200


def test_what_answers_from_memory_goes_on_while_many_wait(
    service: Running, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 30)

    def call() -> None:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            client.post("/v1/radar/predictions", json={"rows": [{"entity": "python"}]})

    callers = [threading.Thread(target=call) for _ in range(60)]  # more than the server has threads
    with locked(world):
        for caller in callers:
            caller.start()
        time.sleep(0.5)
        assert service.client.get("/v1/radar/ranking").status_code == 200
        assert service.client.get("/ready").status_code == 200
        assert all(caller.is_alive() for caller in callers)
    for caller in callers:
        caller.join()
    assert len(world.rows()) == 60


def test_a_swap_is_seen_while_the_store_is_written(service: Running, world: World) -> None:
    world.release(2)
    world.promote(2)
    with locked(world):
        service.wait_for(2)


def test_another_revision_is_not_ready_and_says_what_to_do(service: Running, world: World) -> None:
    with world.store.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    service.wait(lambda found: found.status_code == 503)
    ready = service.client.get("/ready").json()
    assert "the schema is at revision 0000" in ready["reasons"][0]
    assert ready["use_cases"] == {"radar": 1}
    assert service.client.get("/live").status_code == 200
    assert (
        service.client.get("/v1/other/release").status_code == 503
    )  # may well be live: the store cannot be asked


def test_the_service_starts_before_its_store(world: World, start: Start, empty_store: object) -> None:
    from include.kreislauf.store.database import Store

    folder = world.folder / "late"
    late = type(world)(folder, Store(f"sqlite:///{folder / 'kreislauf.db'}"))
    service = start(late, ready=False)
    service.wait(lambda found: "the schema is at revision (none)" in found.text)
    answer = service.predict({"entity": "python"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    folder.mkdir()
    shutil.copy(str(empty_store), folder / "kreislauf.db")
    late.release(1)
    late.promote(1)
    service.wait_for(1)
    assert service.predict({"entity": "python"}).status_code == 200
