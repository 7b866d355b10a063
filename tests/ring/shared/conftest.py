"""One embedded stack for all tests of this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role
from include.kreislauf.requirements.variants import recorded_variant
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.panel import write_panel
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store.database import Store
from tests.ring.conftest import RunningRing, keep_logs, lighter


@pytest.fixture(scope="package")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRing]:
    """The stack with the first release live."""
    home = tmp_path_factory.mktemp("ring")
    path = recorded_variant(ROOT / "include" / "use_cases" / "technology_radar", home / "use_cases")
    path.write_text(lighter(path.read_text()))
    write_panel(simulate(0), home / "data")
    env = {
        "KREISLAUF_HOME": str(home), "KREISLAUF_DATA": str(home / "data"), "KREISLAUF_CLOCK": "given",
        "KREISLAUF_USE_CASES": str(home / "use_cases"), "OMP_NUM_THREADS": "1",
        "KREISLAUF_MAP_TRAINING": "true", "KREISLAUF_DELIVERY_INTERVAL": "1",
        "KREISLAUF_STRANDED_MINUTES": "0.05",
    }  # fmt: skip
    store = Store(f"sqlite:///{home / 'kreislauf.db'}")
    store.upgrade()
    with EmbeddedStack(home, ROOT, env=env, start_timeout=240) as stack, stack.api() as api:
        stack.wait_for_dags([str(role) for role in Role])
        running = RunningRing(stack, api, store, home)
        running.trigger(Role.REQUIREMENTS, "the first model")
        running.rest()
        assert running.live_version() == 1, running.failures()
        yield running
        keep_logs(home)
