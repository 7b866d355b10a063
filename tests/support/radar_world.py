"""The practice example over a small piece of the simulated world, with its sources served on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.kreislauf.collection.step import Collection
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.variants import catalogue_variant
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.server import mirrors
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import World, simulate
from include.kreislauf.store.database import Store
from tests.support.source_server import FaultyServer

NAME = "technology_radar"
AS_OF = datetime(2016, 1, 1, tzinfo=UTC)


@dataclass
class RadarWorld:
    """A served world, and an installation that collects from it."""

    world: World
    server: FaultyServer
    contract: Contract
    settings: Settings

    def order(self, as_of: datetime = AS_OF, **fields: Any) -> WorkOrder:
        """A collection's order; the world is at its time from here on."""
        self.server.sources.now = as_of
        own = {"cycle_id": f"c-{as_of:%Y-%m-%d}", "run_id": "a-run", "started_by": "test"}
        return WorkOrder(
            use_case=NAME, contract_hash=self.contract.hash, as_of=as_of, **{**own, **fields}
        )  # fmt: skip

    def collection(self, as_of: datetime = AS_OF, **fields: Any) -> Collection:
        """The collection of a new order."""
        return Collection(self.order(as_of, **fields), self.contract, self.settings)


@contextmanager
def radar_world(
    home: Path, *, since: str = "2015-07-01", seed: int = 0, deadline: float = 20, **changes: Any
) -> Iterator[RadarWorld]:
    """Serve a world; the contract asks for what happened ``since``, with other fields changed as named."""
    world = simulate(seed)
    path = catalogue_variant(ROOT / "include" / "use_cases" / NAME, home / "use_cases", catalogue(world))
    path.write_text(path.read_text().replace("since: 2011-01-01", f"since: {since}"))
    contract = load_contract(path)
    quality = contract.quality.model_copy(update={"min_rows": 10, **changes.pop("quality", {})})
    contract = contract.model_copy(update={"quality": quality, **changes})
    with FaultyServer(SimulatedSources(world, AS_OF), ()) as server:
        settings = Settings(
            home=home, use_cases=home / "use_cases", clock="given", store_url="", tables_url="",
            data="", mirrors=json.dumps(mirrors(server.url)), request_deadline=deadline,
        )  # fmt: skip
        Store(settings.store).upgrade()
        yield RadarWorld(world, server, contract, settings)
