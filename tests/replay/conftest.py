"""The ring in one process, see :mod:`tests.support.fixtures`."""

from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel"]
