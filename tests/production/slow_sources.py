"""A served world whose files take their time, as those of GH Archive do, and a use case that reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

from include.kreislauf.requirements.variants import catalogue_variant
from include.kreislauf.simulation.answers import Answer
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.server import SourceHandler, WorldServer, mirrors
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import World, simulate
from tests.production.engine import docker

USE_CASES = Path(__file__).parent / "use_cases"
NAME = "files"
AS_OF = "2016-01-01T00:00:00Z"
SECONDS_A_FILE = 1.0
"""A file of 2021 has 60 MB; so long it takes at 60 MB/s."""


class _SlowHandler(SourceHandler):
    def send_answer(self, answer: Answer) -> None:
        if "/gharchive/" in self.path:
            time.sleep(SECONDS_A_FILE)
        super().send_answer(answer)


class _Server(WorldServer):
    """Listens on the address that containers see of this computer."""

    handler = _SlowHandler

    def __init__(self, sources: SimulatedSources, host: str, port: int) -> None:
        self.sources, self.host = sources, host
        ThreadingHTTPServer.__init__(self, (host, port), self.handler)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.server_port}"


@contextmanager
def slow_sources(world: World, port: int) -> Iterator[dict[str, str]]:
    """Serve a world to containers; the variables with which a deployment collects from it."""
    subnet = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}").stdout.strip()
    this_computer = str(next(ip_network(subnet).hosts()))
    with _Server(SimulatedSources(world), this_computer, port) as server:
        yield {"KREISLAUF_MIRRORS": json.dumps(mirrors(server.url)), "KREISLAUF_ALLOWED_HOSTS": server.url}


def world_for_tests() -> World:
    """The world that is served."""
    return simulate(3)


def put_use_case(tree: Path, world: World) -> None:
    """Give a tree a use case that reads files of the world."""
    catalogue_variant(USE_CASES / NAME, tree / "include" / "use_cases", catalogue(world))
