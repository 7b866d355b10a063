"""Which world surrounds a use case, and the use case as a run signs and uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from include.kreislauf.embedded.plant_world import PlantWorld
from include.kreislauf.embedded.ring import utc
from include.kreislauf.embedded.worlds import PanelWorld, SimulatedWorld, World
from include.kreislauf.errors import KreislaufError
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.variants import catalogue_variant, recorded_variant, unattended_variant
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.technologies import simulate

START = "2016-01-01"
"""Of technologies: earlier, too little was known of them."""


class WorldError(KreislaufError):
    """There is no such world."""


@dataclass(frozen=True)
class WorldOptions:
    """Which world.

    Parameters
    ----------
    use_case: the one that it surrounds.
    data: folder or URL with the real data; empty: a simulated world of ``seed``.
    start: day of the first cycle, empty: the world's own; ``end``: last day, empty: as far as the data go.
    """

    use_case: str
    data: str = ""
    start: str = ""
    end: str = ""
    seed: int = 0

    @property
    def last(self) -> datetime | None:
        """The last day."""
        return utc(self.end) if self.end else None


@dataclass(frozen=True)
class Place:
    """Where a world is made.

    Parameters
    ----------
    use_cases: folder of the use cases as this run uses them.
    url: where a world that has servers is to be served.
    files: folder for databases.
    """

    use_cases: Path
    url: str
    files: Path


def write_use_case(options: WorldOptions, use_cases: Path, folder: Path) -> Contract:
    """The use case over recorded data, or over those of its simulated world, as a run signs and uses it.

    Parameters
    ----------
    use_cases: folder in which it stands; ``folder``: where it is written to.

    Raises
    ------
    ContractError: there is no such use case, or its contract is at fault, or says nothing of recorded data.
    WorldError: it has no simulated world.
    """
    path = contract_path(use_cases, options.use_case)
    contract = load_contract(path)
    if options.data:
        return load_contract(recorded_variant(path.parent, folder))
    _simulated(contract)
    if contract.technologies:
        return load_contract(catalogue_variant(path.parent, folder, catalogue(simulate(options.seed))))
    return load_contract(unattended_variant(path.parent, folder))


def make_world(options: WorldOptions, contract: Contract, place: Place) -> World:
    """The recorded panel where data are given, else the simulated world of the use case.

    Raises
    ------
    WorldError: it has none.
    """
    if options.data:
        data = options.data if "://" in options.data else str(Path(options.data).resolve())
        start = utc(options.start or START)
        return PanelWorld(contract, place.use_cases, data, start, options.last)
    return _simulated(contract)(options, contract, place)


def _technologies(options: WorldOptions, contract: Contract, place: Place) -> World:
    start = utc(options.start or START)
    return SimulatedWorld(
        contract, place.use_cases, "", start, options.last, seed=options.seed, url=place.url
    )


def _plant(options: WorldOptions, contract: Contract, place: Place) -> World:
    first = utc(options.start) if options.start else None
    return PlantWorld(contract, place.files / "plant.db", options.seed, first, options.last)


Maker = Callable[[WorldOptions, Contract, Place], World]
SIMULATED: Mapping[str, Maker] = {"technology_radar": _technologies, "machine_failure": _plant}
"""By use case: its simulated world. Any other one with a catalogue is about technologies."""


def _simulated(contract: Contract) -> Maker:
    if maker := SIMULATED.get(contract.name, _technologies if contract.technologies else None):
        return maker
    raise WorldError(
        "there is no simulated world around it", where=contract.name, allowed=", ".join(SIMULATED),
        next_step="give recorded data, and a recorded.yaml beside the contract that says how they are read",
    )  # fmt: skip
