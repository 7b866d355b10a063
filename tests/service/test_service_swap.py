"""The live release is followed without a failed request, and never to a release that is not what it says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.kreislauf.inference.served import load_served
from include.kreislauf.service.served_release import ServedRelease, served_release
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.release_files import MANIFEST, MODEL, SNAPSHOT, at_once

if TYPE_CHECKING:
    from tests.service.conftest import Running, Start, World

STARS_OF = {"python": 23.9, "django": 8.6}


class Caller(threading.Thread):
    """Asks one thing after the other and keeps what does not fit."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        super().__init__()
        self.url, self.stop = url, stop
        self.seen: list[int] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        """Ask by name and by features until told to stop."""
        features = {"stars": 0.0, "share": 0.0, "kind": "framework"}
        body = {"rows": [{"entity": "python"}, {"entity": "django"}, {"features": features}]}
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stop.is_set():
                try:
                    self._check(client.post("/v1/radar/predictions", json=body))
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.wrong.append(answer.text)
            return
        base = answer.json()["release"] * 1000
        expected = [base + STARS_OF["python"], base + STARS_OF["django"], base]
        found = [one["value"] for one in answer.json()["predictions"]]
        if found != pytest.approx(expected, abs=1e-4):
            self.wrong.append(f"{found} by release {answer.json()['release']}")
        self.seen.append(answer.json()["release"])


def test_hot_swap_under_load(service: Running, world: World) -> None:
    versions = range(2, 6)
    for version in versions:
        world.release(version)
    stop = threading.Event()
    callers = [Caller(service.url, stop) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for version in versions:
            world.promote(version)
            service.wait_for(version)
        world.promote(1)  # a rollback is a swap too
        service.wait_for(1)
        time.sleep(0.3)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert [wrong for caller in callers for wrong in caller.wrong] == []
    for caller in callers:
        assert {1, *versions} == set(caller.seen)
        assert caller.seen[-1] == 1
    answered = sum(len(caller.seen) for caller in callers)
    assert len(world.rows()) == 3 * answered
    for row in world.rows():
        assert row.value // 1000 == row.release or row.value == pytest.approx(row.release * 1000, abs=1e-4)


def spoil_model(path: Path) -> None:
    content = bytearray((path / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (path / MODEL).write_bytes(bytes(content))


def spoil_manifest(path: Path) -> None:
    manifest = path / MANIFEST
    manifest.write_text(manifest.read_text().replace('"mae": 0.1', '"mae": 0.0'))


def lose_snapshot(path: Path) -> None:
    (path / SNAPSHOT).unlink()


@pytest.mark.parametrize("spoil", [spoil_model, spoil_manifest, lose_snapshot])
def test_a_tampered_release_never_answers(
    spoil: Callable[[Path], None], service: Running, world: World
) -> None:
    spoil(world.release(2))
    world.promote(2)
    service.wait(lambda found: found.status_code == 503)
    ready = service.client.get("/ready").json()
    assert ready["ready"] is False
    assert ready["use_cases"] == {"radar": 1}
    assert "release 2 of radar is live but cannot be loaded, release 1 answers" in ready["reasons"][0]
    assert service.predict({"entity": "python"}).json()["release"] == 1
    metrics = service.client.get("/metrics").text
    assert re.search(r'kreislauf_release_load_failures_total{use_case="radar"} [1-9]', metrics)
    assert 'kreislauf_live_release{use_case="radar"} 1.0' in metrics
    world.release(3)
    world.promote(3)
    service.wait(lambda found: found.status_code == 200)
    assert service.predict({"entity": "python"}).json()["release"] == 3


def test_a_rollback_ends_the_complaint(service: Running, world: World) -> None:
    spoil_model(world.release(2))
    world.promote(2)
    service.wait(lambda found: found.status_code == 503)
    world.promote(1)
    service.wait(lambda found: found.status_code == 200)


OVERFLOWS = {"python": {"stars": 1.7e308, "share": 0.0, "kind": "language"}}


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"golden_shift": 1e-3}, "golden rows differ"),
        ({"manifest": {"use_case": "other"}}, "is other release 2, not radar release 2"),
        ({"manifest": {"version": 9}}, "is radar release 9, not radar release 2"),
        ({"manifest": {"family": None}}, "family"),
        ({"snapshot": {"python": {"stars": 1.0}}}, "share"),
        ({"snapshot": OVERFLOWS}, "predicts inf for 'python'"),
    ],
)
def test_a_release_that_is_not_what_it_says_never_answers(
    change: dict[str, Any], reason: str, service: Running, world: World
) -> None:
    world.release(2, **change)
    world.promote(2)
    service.wait(lambda found: found.status_code == 503)
    assert reason in service.client.get("/ready").json()["reasons"][0]
    assert service.predict({"entity": "python"}).json()["release"] == 1


def test_a_first_release_that_cannot_be_loaded_is_unavailable_and_tried_again(
    world: World, start: Start
) -> None:
    path = world.release(1)
    hidden = path.rename(path.with_name("hidden"))
    world.promote(1)
    service = start(world, ready=False)
    service.wait(lambda found: "nothing answers" in found.text)
    answer = service.predict({"entity": "python"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "cannot be read" in answer.json()["error"]
    hidden.rename(path)
    service.wait_for(1)
    assert service.predict({"entity": "python"}).status_code == 200


def test_an_empty_snapshot_is_a_release_that_knows_no_entity(world: World, start: Start) -> None:
    world.release(1, snapshot={})
    world.promote(1)
    service = start(world)
    assert service.client.get("/v1/radar/ranking").json()["ranking"] == []
    assert service.predict({"entity": "python"}).json()["predictions"][0]["known"] is False


def test_a_release_is_loaded_in_pieces_that_let_requests_pass(world: World) -> None:
    """One rest per file and per piece of a large snapshot; what comes of it is the same without them."""
    snapshot = {f"entity {number}": {"stars": float(number), "share": 0.1, "kind": "framework"} for number in range(200)}  # fmt: skip
    world.release(1, snapshot=snapshot)
    settings, rests = Settings(home=world.folder), list[int]()
    with world.store.read() as db:
        row = live.find_release(db, "radar", 1)
    assert row is not None

    def load(rest: Callable[[], None]) -> ServedRelease:
        assert row is not None
        return served_release(load_served(settings, row, rest), rest)

    at_rest, whole = load(lambda: rests.append(1)), load(at_once)
    assert len(rests) >= len(row.manifest["files"]) + 200 // 32
    assert at_rest.values == whole.values
    assert len(whole.values) == 200
