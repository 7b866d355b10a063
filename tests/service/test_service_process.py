"""The service as a process: it starts, keeps what it acknowledged when it is killed, and stops when told."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from include.kreislauf.store.api_keys import Scope
from tests.service.keys import make_key
from tests.support.ports import free_port

if TYPE_CHECKING:
    from tests.service.conftest import World

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "include.kreislauf.service"]
BODY = {"rows": [{"entity": "python"}, {"entity": "zig"}]}


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KREISLAUF_")}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


@pytest.fixture
def process(world: World) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The service as a process of its own, ready, with release 1 live."""
    world.release(1)
    world.promote(1)
    port = free_port()
    started = subprocess.Popen(
        [*COMMAND, "--port", str(port)], cwd=world.folder, text=True, stderr=subprocess.PIPE,
        env=environment(KREISLAUF_STORE_URL=world.store.url, KREISLAUF_HOME=str(world.folder)),
    )  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        try:
            wait_until_ready(client, started)
            yield started, client
        finally:
            started.kill()
            started.communicate()


def wait_until_ready(client: httpx.Client, started: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert started.poll() is None, started.communicate()[1]
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the service did not become ready")


def test_what_is_acknowledged_survives_a_kill(
    process: tuple[subprocess.Popen[str], httpx.Client], world: World
) -> None:
    started, first = process
    acknowledged: dict[str, float | None] = {}

    def call() -> None:
        with httpx.Client(base_url=first.base_url, timeout=10) as client:
            try:
                while True:
                    answer = client.post("/v1/radar/predictions", json=BODY).json()
                    acknowledged.update((one["prediction_id"], one["value"]) for one in answer["predictions"])
            except httpx.TransportError:
                pass

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    time.sleep(1)
    started.kill()
    for caller in callers:
        caller.join()
    assert acknowledged
    assert acknowledged.items() <= {row.id: row.value for row in world.rows()}.items()


def test_sigterm_answers_what_is_under_way_and_ends_cleanly(
    process: tuple[subprocess.Popen[str], httpx.Client], world: World
) -> None:
    started, client = process
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(client.post("/v1/radar/predictions", json=BODY)))
    with world.store.write():
        caller.start()
        time.sleep(0.3)
        started.terminate()
        time.sleep(0.3)
    caller.join()
    _, log = started.communicate(timeout=30)
    assert answers[0].status_code == 200
    assert started.returncode == 0, log
    assert "Traceback" not in log


def start_on(host: str, world: World) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, f"--host={host}", "--port", str(free_port())], cwd=world.folder, text=True, stderr=subprocess.PIPE,
        env=environment(KREISLAUF_STORE_URL=world.store.url, KREISLAUF_HOME=str(world.folder)),
    )  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_keys_other_machines_are_kept_out(host: str, world: World) -> None:
    make_key(world.store, Scope.PREDICT, days=-1)  # an expired one opens nothing
    started = start_on(host, world)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "can be reached from other machines, and no API key is good" in said
    assert "keys create" in said


@pytest.mark.parametrize(
    "wrong", ["--port=99999", "--port=0", "--port=x", "--workers=0", "--workers=-1", "--workers=1.5"]
)
def test_a_port_or_number_of_workers_that_cannot_be_is_refused_at_once(wrong: str) -> None:
    found = subprocess.run(
        [*COMMAND, wrong], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 2
    assert "is not allowed; allowed: 1 to" in found.stderr


def test_with_a_key_the_service_starts_on_any_address_and_asks_for_it(world: World) -> None:
    world.release(1)
    world.promote(1)
    _, text = make_key(world.store, Scope.PREDICT)
    port = free_port()
    started = subprocess.Popen(
        [*COMMAND, "--host=0.0.0.0", "--port", str(port)], cwd=world.folder, text=True, stderr=subprocess.PIPE,
        env=environment(KREISLAUF_STORE_URL=world.store.url, KREISLAUF_HOME=str(world.folder)),
    )  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        try:
            wait_until_ready(client, started)
            assert client.post("/v1/radar/predictions", json=BODY).status_code == 401
            headers = {"x-api-key": text}
            assert client.post("/v1/radar/predictions", json=BODY, headers=headers).status_code == 200
        finally:
            started.kill()
            started.communicate()


def test_neither_airflow_nor_mlflow_is_imported() -> None:
    code = (
        "import sys, include.kreislauf.service.__main__, include.kreislauf.service.app\n"
        "import os; assert os.environ['OMP_NUM_THREADS'] == '1'\n"
        "found = {'airflow', 'mlflow', 'alembic', 'deltalake'} & set(sys.modules); assert not found, found"
    )
    variables = {name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr


def test_everything_the_service_imports_is_in_its_own_requirements() -> None:
    code = (
        "import sys, include.kreislauf.service.__main__, include.kreislauf.service.process\n"
        "print(*{module.__file__ for name, module in sys.modules.items() if name.startswith('include.kreislauf.')})"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    statements = (one for path in found.stdout.split() for one in ast.parse(Path(path).read_text()).body)
    imported = set()
    for one in statements:
        if isinstance(one, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in one.names}
        elif isinstance(one, ast.ImportFrom) and one.module:
            imported.add(one.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, "include"}
    distributions = packages_distributions()
    needed = {re.sub(r"[-_.]+", "-", distributions[name][0]).lower() for name in imported}
    lines = (ROOT / "requirements-service.txt").read_text().splitlines()
    pinned = {line.split("==")[0].split("[")[0] for line in lines if "==" in line}
    assert {"fastapi", "msgspec", "sqlalchemy"} <= needed
    assert needed <= pinned


def test_several_workers_answer_as_one(world: World) -> None:
    """All are known with what they hold, count together, follow a swap, and one that dies is replaced."""
    for version in (1, 2):
        world.release(version)
    world.promote(1)
    port = free_port()
    started = subprocess.Popen(
        [*COMMAND, "--port", str(port), "--workers", "2"], cwd=world.folder, text=True, stderr=subprocess.PIPE,
        env=environment(KREISLAUF_STORE_URL=world.store.url, KREISLAUF_HOME=str(world.folder)),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ask() -> int:
        with httpx.Client(base_url=url, timeout=10) as client:  # a new connection may meet another worker
            found: int = client.post("/v1/radar/predictions", json=BODY).json()["release"]
        return found

    def holding(version: int, besides: int = 0) -> list[int]:
        """Process ids of the workers, when there are two that hold a version and none is the one that died."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                found = httpx.get(f"{url}/v1/workers", timeout=10).json()["workers"]
            except httpx.TransportError:
                found = []
            alive = [one["pid"] for one in found if one["serving"].get("radar") == {"champion": version}]
            if len(alive) >= 2 and besides not in alive:
                return alive
            time.sleep(0.1)
        raise AssertionError(f"{found} after 60 s")

    try:
        first = holding(1)
        assert len(set(first)) == 2
        assert {ask() for _ in range(20)} == {1}
        world.promote(2)
        holding(2)
        assert {ask() for _ in range(20)} == {2}
        counted = httpx.get(f"{url}/metrics", timeout=10).text
        assert 'kreislauf_predictions_total{arm="champion",use_case="radar"} 80.0' in counted
        assert 'kreislauf_stranded_messages{use_case="radar"} 0.0' in counted
        os.kill(first[0], signal.SIGKILL)
        holding(2, besides=first[0])
        assert {ask() for _ in range(20)} == {2}
        assert len(world.rows()) == 120
    finally:
        started.terminate()
        started.communicate(timeout=60)
