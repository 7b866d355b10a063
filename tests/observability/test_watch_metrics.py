"""``watch --metrics``: a real process that serves what the store tells, beside looking for verdicts that tip."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from include.kreislauf.cli import main
from include.kreislauf.cli_airflow import PASSWORD
from include.kreislauf.cli_watch import listening
from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store
from tests.support.ports import free_port


@pytest.mark.parametrize(("text", "place"), [
    ("0.0.0.0:9105", ("0.0.0.0", 9105)), ("[::]:9105", ("::", 9105)), ("localhost:0", ("localhost", 0)),
])  # fmt: skip
def test_where_to_listen(text: str, place: tuple[str, int]) -> None:
    assert listening(text) == place


@pytest.mark.parametrize("text", ["9105", ":9105", "here:", "here:x", "here:65536", "here:-1", "here:²"])
def test_a_place_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["watch", "--airflow", "http://127.0.0.1:1", "--metrics", text])
    assert (
        f"{text!r} is no place to listen; allowed: host:port, such as 0.0.0.0:9105" in capsys.readouterr().err
    )


def test_the_watch_serves_metrics_while_airflow_is_away_and_ends_when_it_is_told(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path / 'kreislauf.db'}").upgrade()
    port = free_port()
    command = [sys.executable, "-m", "include.kreislauf", "watch", "--airflow", f"http://127.0.0.1:{free_port()}",
               "--metrics", f"127.0.0.1:{port}"]  # fmt: skip
    environment = {**os.environ, "KREISLAUF_HOME": str(tmp_path), PASSWORD: "x"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        text = _scraped(port, process, tmp_path / "log")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "kreislauf_store_up 1.0" in text
    assert "process_resident_memory_bytes" in text


def _scraped(port: int, process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=10).text
        except httpx.TransportError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
