"""The ring in one process, and one thread for fits outside of a training."""

from collections.abc import Iterator

import pytest

from include.kreislauf.training.parallel import one_thread
from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel"]


@pytest.fixture
def single_threaded() -> Iterator[None]:
    """As a training's jobs run; small fits on several busy CPUs mostly wait for each other."""
    with one_thread():
        yield


@pytest.fixture
def jobs_as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many jobs as there are CPUs; all other tests train in their own process."""
    monkeypatch.delenv("KREISLAUF_TRAINING_JOBS")
