"""One API server under FAB for all tests of one file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.support.airflow_home  # noqa: F401 - before anything imports Airflow
from tests.roles.server import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("roles")) as started:
        yield started
