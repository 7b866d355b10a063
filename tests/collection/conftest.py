"""The ring in one process, and a server that answers what a test says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.collection.web import Web, serving
from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel"]


@pytest.fixture
def web() -> Iterator[Web]:
    """A server on this machine."""
    with serving() as server:
        yield server
