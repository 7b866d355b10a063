"""A promotion is confirmed by the workers that answer with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from include.kreislauf.deployment import confirmation
from include.kreislauf.deployment.confirmation import confirm
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store.database import Store
from tests.deployment.trying import NAME, Trying
from tests.support.use_cases import write_use_case


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return write_use_case(tmp_path_factory.mktemp("use_case"), NAME)


@pytest.fixture
def world(store: Store, plain: Contract) -> Trying:
    return Trying(store, plain)


@pytest.fixture
def clock(world: Trying) -> Callable[[], datetime]:
    return lambda: world.now


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(confirmation, "PAUSE_SECONDS", 0.01)


def test_every_worker_that_is_alive_confirms(world: Trying, clock: Callable[[], datetime]) -> None:
    world.worker("dead", champion=1)
    world.passes(seconds=11)
    world.worker("w1", champion=2)
    world.worker("w2", champion=2)
    assert confirm(world.store, NAME, 2, clock) == "confirmed by 2 workers"


def test_without_a_worker_nobody_is_asked(world: Trying, clock: Callable[[], datetime]) -> None:
    assert confirm(world.store, NAME, 2, clock) == "not asked: no worker of the service is alive"


@pytest.mark.usefixtures("short_wait")
def test_a_worker_that_answers_with_another_release_is_named(
    world: Trying, clock: Callable[[], datetime]
) -> None:
    world.worker("w1", champion=2)
    world.worker("w2", champion=1, problem="release 2 is live but cannot be loaded")
    said = confirm(world.store, NAME, 2, clock)
    assert said == "not confirmed after 0 s: host:7 answers with 1 (release 2 is live but cannot be loaded)"


@pytest.mark.usefixtures("short_wait")
def test_a_worker_that_answers_with_nothing_is_named(world: Trying, clock: Callable[[], datetime]) -> None:
    world.worker("w1", candidate=2)
    assert confirm(world.store, NAME, 2, clock).endswith("host:7 answers with nothing")


def test_a_worker_that_follows_while_it_is_waited_for_confirms(
    world: Trying, clock: Callable[[], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.worker("w1", champion=1)
    looked = threading.Event()

    def follow(_: float) -> None:
        if not looked.is_set():
            world.worker("w1", champion=2)
            looked.set()

    monkeypatch.setattr(confirmation.time, "sleep", follow)
    assert confirm(world.store, NAME, 2, clock) == "confirmed by 1 worker"
    assert looked.is_set()
