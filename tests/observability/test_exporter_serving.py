"""The workflow exporter as a server: values that are kept, a store that is away, one that hangs, a port that is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from include.kreislauf.errors import KreislaufError
from include.kreislauf.exporting.exporter import WorkflowCollector, serving
from include.kreislauf.store.database import Store
from tests.support.examples import NOW, open_cycle
from tests.support.ports import free_port
from tests.support.told import Told


def test_values_are_kept_for_a_while(store: Store) -> None:
    seconds = iter([0.0, 1.0, 1.0, 5.0, 20.0, 21.0, 22.0, 23.0])
    collector = WorkflowCollector(store, lambda: NOW, kept=15, stopwatch=lambda: next(seconds, 30.0))
    registry = CollectorRegistry()
    registry.register(collector)
    assert Told(generate_latest(registry).decode())("cycles") is None
    open_cycle(store, "run")
    assert Told(generate_latest(registry).decode())("cycles") is None
    assert Told(generate_latest(registry).decode())("cycles", state="proposed") == 1
    collector.close()


def test_a_store_that_is_away_is_told_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database" * 1000)
    store = Store(f"sqlite:///{path}")
    with serving(store, "127.0.0.1", 0, lambda: NOW) as port:
        first = scraped(port)
        assert (first("store_up"), first("exporter_errors_total")) == (0, 1)
        assert first("store_bytes") is None
        store.engine.dispose()
        path.unlink()
        store.upgrade()
        then = scraped(port)
        assert (then("store_up"), then("exporter_errors_total")) == (1, 1)
    store.engine.dispose()


def scraped(port: int) -> Told:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=30)
    return Told(answer.raise_for_status().text)


class Hanging(Store):
    """A store whose database takes a request and does not answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.free = threading.Event()

    def revision(self) -> str | None:
        self.free.wait(60)
        return super().revision()


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    store = Hanging(f"sqlite:///{tmp_path / 'store.db'}")
    Store(store.url).upgrade()
    yield store
    store.free.set()
    store.engine.dispose()


def test_a_store_that_hangs_holds_up_no_scrape(hanging: Hanging) -> None:
    collector = WorkflowCollector(hanging, lambda: NOW, patience=0.05)
    registry = CollectorRegistry()
    registry.register(collector)
    for number in (1, 2):
        found = Told(generate_latest(registry).decode())
        assert (found("store_up"), found("exporter_errors_total")) == (0, number)
    hanging.free.set()
    end = time.monotonic() + 30
    while Told(generate_latest(registry).decode())("store_up") == 0:
        assert time.monotonic() < end
    collector.close()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    with (
        serving(store, "127.0.0.1", free_port(), lambda: NOW) as port,
        pytest.raises(KreislaufError, match="metrics cannot be served: Address already in use") as found,
        serving(store, "127.0.0.1", port, lambda: NOW),
    ):
        pass
    assert found.value.where == f"--metrics 127.0.0.1:{port}"
