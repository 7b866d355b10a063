"""The ring in one process."""

import pytest

from tests.support.fixtures import MakeLap, make_lap, script, scripted, simulated_panel
from tests.support.lap import Lap
from tests.support.unwritten import unwritten_is_good

__all__ = ["make_lap", "script", "scripted", "simulated_panel", "unwritten_is_good"]


@pytest.fixture
def lap(make_lap: MakeLap) -> Lap:
    """The ring with the real disciplines, and a gate that lets a ridge follow a ridge that is as good."""
    return make_lap(performance={"champion_tolerance": 0.2})
