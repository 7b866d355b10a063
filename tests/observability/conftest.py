"""The ring in one process."""

from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel
from tests.support.unwritten import unwritten_is_good

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel", "unwritten_is_good"]
