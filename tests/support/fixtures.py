"""Fixtures of every folder that runs the ring in one process; imported by its ``conftest.py``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.handovers import Stage
from include.kreislauf.settings import Settings
from include.kreislauf.simulation.panel import PANEL_PATH, write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store.database import Store
from tests.support.lap import STEPS, Lap
from tests.support.script import Script
from tests.support.use_cases import write_use_case

MakeLap = Callable[..., Lap]


@pytest.fixture(scope="session")
def simulated_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The panel of the simulated world; nobody changes it."""
    return write_panel(simulate(0), tmp_path_factory.mktemp("world"))


@pytest.fixture
def make_lap(tmp_path: Path, migrated_file: Path, simulated_panel: Path) -> Iterator[MakeLap]:
    """Makes the ring of one use case, with its own home and its own copy of the panel.

    Disciplines that are ``real`` work also where a script stands in for the others.
    """
    made: list[Lap] = []

    def make(script: Script | None = None, *, real: Collection[Stage] = (), **changes: Any) -> Lap:
        home = tmp_path / f"home{len(made)}"
        panel = home / "data" / PANEL_PATH
        panel.parent.mkdir(parents=True)
        shutil.copy(simulated_panel, panel)
        shutil.copy(migrated_file, home / "kreislauf.db")
        contract = write_use_case(home / "use_cases", **changes)
        settings = Settings(
            home=home, data=str(home / "data"), use_cases=home / "use_cases", clock="given", store_url="",
            tables_url="", tracking_url="none",
        )  # fmt: skip
        steps = {**STEPS, **(script.steps() if script else {}), **{stage: STEPS[stage] for stage in real}}
        made.append(Lap(settings, Store(settings.store), contract.name, steps))
        return made[-1]

    yield make
    for lap in made:
        lap.store.engine.dispose()


@pytest.fixture
def lap(make_lap: MakeLap) -> Lap:
    """The ring with the real disciplines."""
    return make_lap()


@pytest.fixture
def script() -> Script:
    """What the disciplines of ``scripted`` answer."""
    return Script()


@pytest.fixture
def scripted(make_lap: MakeLap, script: Script) -> Lap:
    """The ring with disciplines that answer what the test says."""
    return make_lap(script)
