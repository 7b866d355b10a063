"""The embedded stack against the real Airflow: it starts, runs, reports, and leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from include.kreislauf.embedded.airflow_api import AirflowApiError
from include.kreislauf.embedded.processes import marked_pids
from include.kreislauf.embedded.stack import EmbeddedStack, StackError

pytestmark = pytest.mark.ring

REPOSITORY = Path(__file__).parents[2]
START = 150.0  # seconds on a busy machine

DAGS = """
from datetime import datetime
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, task

ANSWER = Asset("stack_test/answer")

with DAG("tiny", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    @task
    def hello(dag_run=None):
        print("hello", dag_run.conf["name"])
    hello()

with DAG("question", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    @task(outlets=[ANSWER], retries=2)
    def emit(outlet_events=None):
        outlet_events[ANSWER].extra = {"n": 1}
    ApprovalOperator(task_id="ask", subject="Really?", retries=2) >> emit()
"""

DRIVER = """
import sys
from pathlib import Path
from include.kreislauf.embedded.stack import EmbeddedStack, stop_on_signals

home, root = Path(sys.argv[1]), Path(sys.argv[2])
stack = EmbeddedStack(home, root, with_service=False, say=lambda line: print(line, flush=True))
with stop_on_signals(stack), stack:
    print("UP", flush=True)
    stack.watch(poll=0.1)
"""


def make_bundle(root: Path, **files: str) -> Path:
    """A bundle root with DAG files, named by their stem."""
    (root / "dags").mkdir(parents=True)
    for stem, text in files.items():
        (root / "dags" / f"{stem}.py").write_text(text)
    return root


class Driver:
    """A stack run by another process, as `make run` does."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(home), str(root)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def wait_for(self, line: str) -> None:
        """Read the driver's output up to a line."""
        assert self.process.stdout is not None
        seen = []
        for output in self.process.stdout:
            seen.append(output.strip())
            if seen[-1] == line:
                return
        pytest.fail(f"the driver ended with {self.process.wait()} before it said {line!r}: {seen}")

    @property
    def stack_id(self) -> str:
        """The mark of the stack, from its state file."""
        return str(json.loads((self.home / "stack.json").read_text())["stack_id"])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one DAG file."""
    return make_bundle(tmp_path_factory.mktemp("bundle"), tiny=DAGS)


@pytest.fixture(scope="module")
def stack(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack on a home whose earlier owner was killed while its processes went on."""
    home = tmp_path_factory.mktemp("killed")
    with Driver(home, bundle) as driver:
        driver.wait_for("Starting dag-processor")
        leftover = driver.stack_id
        driver.process.kill()
    assert marked_pids(leftover), "the driver's processes ended with it: nothing to find"
    lines: list[str] = []
    with EmbeddedStack(home, bundle, with_service=False, start_timeout=START, say=lines.append) as restarted:
        assert marked_pids(leftover) == []
        assert any("an earlier run had left behind" in line for line in lines)
        yield restarted
    assert marked_pids(restarted.stack_id) == []


def test_sigterm_of_the_owner_ends_every_process(bundle: Path, tmp_path: Path) -> None:
    with Driver(tmp_path, bundle) as driver:
        driver.wait_for("UP")
        stack_id = driver.stack_id
        assert len(marked_pids(stack_id)) >= 3
    assert driver.process.returncode == 128 + signal.SIGTERM
    assert marked_pids(stack_id) == []
    assert not (tmp_path / "stack.json").exists()


def test_a_run_is_triggered_once_and_its_log_is_read(stack: EmbeddedStack) -> None:
    stack.wait_for_dags(["tiny", "question"])
    with stack.api() as api:
        run = api.trigger("tiny", conf={"name": "ring"}, note="by a test")
        run_id = run["dag_run_id"]
        assert api.wait_for_run("tiny", run_id, expect="success")["note"] == "by a test"
        assert "hello ring" in api.task_log("tiny", run_id, "hello")
        with pytest.raises(AirflowApiError) as refused:
            api.trigger("tiny", run_id=run_id, conf={"name": "ring"})
        assert refused.value.status == 409
        assert [found["dag_run_id"] for found in api.runs("tiny", states=["success"])] == [run_id]


def test_a_failed_run_is_explained_and_cleared(stack: EmbeddedStack) -> None:
    with stack.api() as api:
        run_id = api.trigger("tiny", conf={})["dag_run_id"]
        with pytest.raises(AirflowApiError, match="KeyError: 'name'"):
            api.wait_for_run("tiny", run_id, expect="success")
        assert [task["task_id"] for task in api.clear("tiny", run_id, only_failed=True)] == ["hello"]
        assert api.wait_for_run("tiny", run_id)["state"] == "failed"
        assert api.task_instances("tiny", run_id)[0]["try_number"] == 2


def test_a_question_is_answered_and_its_asset_event_seen(stack: EmbeddedStack) -> None:
    with stack.api() as api:
        run_id = api.trigger("question")["dag_run_id"]
        deadline = time.monotonic() + 60
        while not (questions := api.hitl_details("question", run_id)):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert questions[0]["subject"] == "Really?"
        assert api.answer_hitl("question", run_id, "ask", ["Approve"])["chosen_options"] == ["Approve"]
        api.wait_for_run("question", run_id, expect="success")
        assert api.hitl_details("question", run_id) == []
        assert [event["extra"]["n"] for event in api.asset_events("stack_test/answer")] == [1]
        assert "stack_test/answer" in {asset["name"] for asset in api.assets()}


def test_a_second_stack_uses_other_ports_and_names_import_errors(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    root = make_bundle(tmp_path / "bundle", tiny=DAGS, broken="from airflow.sdk import DAG\n1 / 0\n")
    with EmbeddedStack(tmp_path / "home", root, with_service=False, start_timeout=START) as second:
        assert second.airflow_url != stack.airflow_url
        assert second.password != stack.password
        with pytest.raises(StackError, match="ZeroDivisionError") as broken:
            second.wait_for_dags(["tiny"])
        assert broken.value.where == "dags/broken.py"
        with second.api() as api, stack.api() as first:
            assert {dag["dag_id"] for dag in api.dags()} == {"tiny", "question"}
            assert first.health()["scheduler"]["status"] == "healthy"
    assert marked_pids(second.stack_id) == []
    stack.check()


def test_one_stack_per_home(stack: EmbeddedStack, bundle: Path) -> None:
    with pytest.raises(StackError, match="another stack is using this home"):
        EmbeddedStack(stack.home, bundle, with_service=False).up()
    stack.check()


def test_secrets_are_private(stack: EmbeddedStack) -> None:
    for path in (
        stack.home / "secrets.json",
        stack.airflow_home / "passwords.json",
        stack.home / "stack.json",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_loopback_is_listened_on(stack: EmbeddedStack) -> None:
    inodes = set()
    for pid in marked_pids(stack.stack_id):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[len("socket:[") : -1])
    listening = {
        fields[1].split(":")[0]
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A" and fields[9] in inodes
    }
    assert listening == {"0100007F"}


def test_a_process_that_dies_is_reported_with_its_log(stack: EmbeddedStack) -> None:
    with pytest.raises(StackError, match="exit code 3") as died:
        stack.start(
            "helper", [sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"], lambda: False
        )
    assert (died.value.component, died.value.exit_code) == ("helper", 3)
    assert died.value.log_tail == ("out of luck",)
    assert died.value.log_path == stack.home / "logs" / "helper.log"
    with pytest.raises(StackError, match="helper"):
        stack.check()
