"""A collection that is killed at any of its named points, and run again, comes to the same version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.collection.crash_points import CRASH_POINTS, VARIABLE
from include.kreislauf.handovers import Handover, StepResult
from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store
from include.kreislauf.store.tables import Tables
from tests.support.radar_world import NAME, RadarWorld, radar_world

SCRIPT = """
import sys
from include.kreislauf.collection.step import Collection
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
order, contract, settings = (model.model_validate_json(text) for model, text in zip((WorkOrder, Contract, Settings), sys.argv[1:], strict=True))
collection = Collection(order, contract, settings)
for chunk in collection.chunks():
    collection.read(chunk)
collection.finish()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadarWorld]:
    """Half a year of the world: 6 files, 6 threads, 82 windows."""
    with radar_world(tmp_path_factory.mktemp("world")) as served:
        yield served


@pytest.fixture(scope="module")
def undisturbed(world: RadarWorld) -> tuple[StepResult, pd.DataFrame]:
    """What the collection comes to when nothing happens."""
    collection = world.collection()
    result = collection.finish()
    assert isinstance(result.message, Handover), result.document
    return result, collection.tables.read(result.message.output)


def rows_of(tables: Tables) -> dict[str, pd.DataFrame]:
    """All rows of the append-only tables, in an order of their own."""
    found = {}
    for source in ("github", "stackoverflow", "jobs"):
        snapshot = tables.snapshot(f"counts_{source}")
        assert snapshot is not None
        rows = snapshot.rows().to_pandas()
        found[source] = rows.sort_values(list(rows.columns), ignore_index=True)
    return found


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_killed_there_and_run_again_it_is_the_same_version_without_duplicates(
    world: RadarWorld, undisturbed: tuple[StepResult, pd.DataFrame], tmp_path: Path, point: str
) -> None:
    settings = world.settings.model_copy(update={"home": tmp_path})
    order = world.order()
    texts = [order.model_dump_json(), world.contract.model_dump_json(), settings.model_dump_json()]
    Store(settings.store).upgrade()

    def run(**env: str) -> int:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, *texts], cwd=ROOT, env={**os.environ, **env}, check=False
        ).returncode

    assert run(**{VARIABLE: point}) == -signal.SIGKILL
    assert run() == 0
    result, panel = undisturbed
    assert isinstance(result.message, Handover)
    tables = Tables(settings.tables, NAME)
    assert tables.find("raw", f"{order.key}|1") == result.message.output
    snapshot = tables.snapshot("raw")
    assert snapshot is not None
    assert snapshot.number == 0
    pd.testing.assert_frame_equal(tables.read(result.message.output), panel)
    for source, rows in rows_of(tables).items():
        assert not rows.duplicated().any()
        pd.testing.assert_frame_equal(rows, rows_of(Tables(world.settings.tables, NAME))[source])
