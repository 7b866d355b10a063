"""One world, its sources, and a server of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from include.kreislauf.simulation.server import WorldServer
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import World, simulate

END = datetime(2022, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def world() -> World:
    return simulate(0)


@pytest.fixture(scope="session")
def shared_sources(world: World) -> SimulatedSources:
    return SimulatedSources(world)


@pytest.fixture
def sources(shared_sources: SimulatedSources) -> SimulatedSources:
    """The sources at the end of the world."""
    shared_sources.now = END
    return shared_sources


@pytest.fixture
def server(sources: SimulatedSources) -> Iterator[WorldServer]:
    with WorldServer(sources) as running:
        yield running


@pytest.fixture
def client(server: WorldServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as opened:
        yield opened
