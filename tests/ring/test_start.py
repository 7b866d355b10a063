"""`make start` itself: a table of one's own, from its draft to a live release that is still there after a restart."""

from __future__ import annotations

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.kreislauf.cli import main
from include.kreislauf.drafting import contents
from include.kreislauf.settings import ROOT
from tests.ring.test_run import processes_of, read_until

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]
NAME = "machines"
AT_REST = f"/v1/{NAME}/predictions\n"
"""How the line of a live release ends when no cycle is at work."""
ROW = {"temperature": 90.0, "vibration": 2.0, "line": "A"}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A drafted use case beside a broken one; returns the variables of the installation."""
    env = {
        "KREISLAUF_HOME": str(tmp_path / "home"), "KREISLAUF_USE_CASES": str(tmp_path / "use_cases"),
        "KREISLAUF_TRACKING_URL": "none", "KREISLAUF_DELIVERY_INTERVAL": "1",
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(contents, "FAMILIES", ("ridge",))
    write_table(tmp_path / "machines.csv")
    drafted = main(
        ["new-use-case", NAME, "--data", str(tmp_path / "machines.csv"), "--target", "failed", "--positive", "failure",
         "--purpose", "Repair in time.", "--owner", "maintenance", "--sign-off", "automatic", "--yes"]
    )  # fmt: skip
    assert drafted == 0
    broken = tmp_path / "use_cases" / "broken" / "contract.yaml"
    broken.parent.mkdir()
    broken.write_text("version: 1\nname: broken\n")
    return env


def write_table(path: Path) -> None:
    """Machines, of which the hot ones fail."""
    draw = random.Random(1)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*ROW, "failed"])
        for _ in range(400):
            temperature, vibration = draw.gauss(60, 10), draw.gauss(2, 0.5)
            fails = draw.random() < 1 / (1 + 2.718 ** (-(temperature - 64) / 3))
            table.writerow(
                [
                    round(temperature, 1),
                    round(vibration, 2),
                    draw.choice("AB"),
                    "failure" if fails else "sound",
                ]
            )


def start(env: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "include.kreislauf", "start", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # a shell has its background jobs, and so a whole CI run, ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def ask(output: str) -> dict[str, Any]:
    """The answer of the address that was printed, once the service has loaded the release."""
    found = re.search(rf"{NAME} +release 1 is live: (\S+)$", output, re.MULTILINE)
    assert found, output
    deadline = time.monotonic() + 60
    while True:
        answer = httpx.post(found[1], json={"rows": [{"features": ROW}]}, trust_env=False)
        if answer.is_success:
            (one,) = answer.json()["predictions"]
            return dict(one)
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def stop(process: subprocess.Popen[str], home: Path) -> None:
    """Ctrl-C; nothing stays."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, output
    deadline = time.monotonic() + 10
    while left := processes_of(home):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_table_of_ones_own_goes_live_and_stays_live_over_a_restart(
    own: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = start(own, "--begin", NAME)
    try:
        output = read_until(process, AT_REST)
        assert re.search(r"Airflow UI: http://\S+  \(user admin, password \S+\)", output)
        broken = tmp_path / "use_cases" / "broken" / "contract.yaml"
        assert f"broken           broken: {broken}:" in output
        assert "c0001" in output
        assert "c0002" not in output, "begun by the clock and by hand"
        first = ask(output)
        assert first["label"] == "failure"
        stop(process, home)

        process = start(own)
        output = read_until(process, AT_REST)
        assert "c0001" not in output, "what an earlier start has told"
        again = ask(output)
        assert again["value"] == first["value"]
        assert again["prediction_id"] != first["prediction_id"]
        stop(process, home)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
