"""One real deployment for the tests that need Docker, and the figures that they measure."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.production.deployment import Deployment, copied_tree, read_env, removed_at_the_end, written_env
from tests.production.engine import ROOT, docker, ensure_compose_v2, ensure_engine, ensure_images
from tests.production.slow_sources import put_use_case, slow_sources, world_for_tests
from tests.support.missing import missing
from tests.support.ports import free_port

RESULTS = ROOT / "benchmarks" / "results" / "deployment.json"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A Docker engine with all base images."""
    if shutil.which("docker") is None:
        missing("Docker", "docker.io")
    ensure_engine(tmp_path_factory.mktemp("engine") / "dockerd.log")
    ensure_compose_v2()
    ensure_images()


@pytest.fixture(scope="session")
def deployment(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A tree with secrets; the first test builds and starts it.

    With ``KREISLAUF_KEEP=1`` it goes on running afterwards; ``KREISLAUF_REUSE=TREE`` takes such a one.
    """
    world = world_for_tests()
    reused = os.environ.get("KREISLAUF_REUSE")
    tree = Path(reused) if reused else copied_tree(tmp_path_factory.mktemp("deployment") / "tree")
    one = Deployment(tree, f"kreislauf-test-{os.getpid()}")
    if reused:
        one.variables = read_env(tree)
        one.project = one.variables["COMPOSE_PROJECT_NAME"]
    else:
        put_use_case(tree, world)
        one.tool("secrets")
    port = int(one.variables.get("SOURCES_PORT") or free_port())
    with slow_sources(world, port) as sources, removed_at_the_end(one):
        if not reused:
            one.variables = written_env(tree, {**settings(one.project), **sources, "SOURCES_PORT": str(port)})
        yield one
    if os.environ.get("KREISLAUF_KEEP") != "1":
        docker(
            "image", "rm", f"kreislauf-airflow:{one.project}", f"kreislauf-service:{one.project}", check=False
        )


def settings(project: str) -> dict[str, str]:
    """What a deployment under test has otherwise than `.env.example`."""
    return {
        "AIRFLOW_PARALLELISM": "8",
        "AIRFLOW_PORT": str(free_port()),
        "COMPOSE_PROFILES": "celery",  # without Grafana, for which there is no stand-in
        "COMPOSE_PROJECT_NAME": project,
        # more than both workers take: their number decides how fast files are read
        "KREISLAUF_POOL_COLLECTION": "6",
        "KREISLAUF_REQUIREMENTS_SCHEDULE": "",  # nothing starts by itself
        "KREISLAUF_SECRET_GITHUB_TOKEN": "canary-of-the-github-token",
        "KREISLAUF_SECRET_STACKEXCHANGE_KEY": "canary-of-the-stackexchange-key",
        "KREISLAUF_TAG": project,
        "SERVICE_PORT": str(free_port()),
    }


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, Any]]:
    """What is measured here; written beside the results of the benchmarks when everything was."""
    found: dict[str, Any] = {}
    yield found
    print(json.dumps(found, indent=2))  # with -s: what was measured, also where it is not written
    if os.environ.get("KREISLAUF_WRITE_RESULTS") == "1":
        machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        written = {"measured_at": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine, **found}
        RESULTS.write_text(json.dumps(written, indent=2) + "\n")
