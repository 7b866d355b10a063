"""The ring in one process."""

from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel"]
