"""``make run`` itself: a short run over the simulated world, killed in the middle and taken up again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from include.kreislauf.inference.served import serve
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import load_row

pytestmark = [pytest.mark.ring, pytest.mark.timeout(600)]
USE_CASE = "technology_radar"


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "include.kreislauf", "run", "--home", str(home), "--wait", "0", *options]
    # what ships: a training has as many processes as there are CPUs
    env = {name: value for name, value in os.environ.items() if name != "KREISLAUF_TRAINING_JOBS"}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Output up to the line that contains a text."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return "".join(seen)
    raise AssertionError(f"{text!r} did not come:\n{''.join(seen)}")


def processes_of(home: Path) -> list[int]:
    """Processes whose environment names this home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(home).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def mapped_reads(database: Path) -> int:
    """So many tasks of the first collection read a portion of the sources."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        query = "SELECT count(*) FROM task_instance WHERE dag_id = 'data_engineering' AND task_id = 'read' AND map_index >= 0 AND state = 'success'"
        return int(db.execute(query).fetchone()[0])


def test_a_run_that_is_killed_is_taken_up_without_making_anything_twice(tmp_path: Path) -> None:
    options = ("--end", "2016-07-01")
    first = start(tmp_path, *options)
    read_until(first, "preparation")
    os.kill(first.pid, signal.SIGKILL)  # in the middle of training; its children live on
    first.wait()

    second = start(tmp_path, *options)
    read_until(second, "the first cycle begins")
    os.kill(json.loads((tmp_path / "run" / "stack.json").read_text())["pids"]["scheduler"], signal.SIGKILL)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "scheduler ended unexpectedly (killed by signal 9)" in output

    third = start(tmp_path, *options)
    output = read_until(third, "Timeline:")
    assert third.wait(timeout=60) == 0, output
    assert "was interrupted: it goes on where it stood" in output
    assert processes_of(tmp_path) == []

    home = tmp_path / "run"
    store = Store(f"sqlite:///{home / 'kreislauf.db'}")
    with store.read() as db:
        made = live.releases_of(db, USE_CASE)
    attempts = [(one.cycle_id, one.attempt) for one in made]
    assert len(attempts) == len(set(attempts)) >= 1
    for release in made:
        serve(load_row(Settings(home=home), release)).check_golden()
    folders = {path.name for path in (home / "artefacts" / "releases" / USE_CASE).glob("[!.]*")}
    assert folders == {Path(one.path).name for one in made}
    for table in ("raw", "features"):
        commits = [
            entry.get("kreislauf.commit")
            for entry in DeltaTable(str(home / "tables" / USE_CASE / table)).history()
        ]
        assert len(commits) == len(set(commits)), commits
    for source in ("github", "stackoverflow", "jobs"):
        rows = DeltaTable(str(home / "tables" / USE_CASE / f"counts_{source}")).to_pyarrow_table().to_pandas()
        assert len(rows)
        assert not rows.duplicated().any()
    assert mapped_reads(home / "airflow" / "airflow.db") >= 4

    timeline = json.loads((tmp_path / "timeline.json").read_text())
    assert {"cycles", "mae", "mae_persistence", "first_champion_seconds"} <= set(timeline)
    assert {
        "key",
        "started_by",
        "release",
        "seconds",
        "business_metric_before",
        "business_metric_after",
    } <= set(timeline["cycles"][0])
    assert timeline["mae"] > 0
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_refuses_a_second_one_in_its_folder_and_leaves_no_process_when_terminated(
    tmp_path: Path,
) -> None:
    began = datetime.now(UTC)
    process = start(tmp_path, "--end", "2016-04-01")
    read_until(process, "the first cycle begins")

    other = start(tmp_path, "--end", "2016-07-01")
    refusal, _ = other.communicate(timeout=60)
    assert other.returncode == 1
    assert "a stack is up in this folder" in refusal
    assert (tmp_path / "run" / "kreislauf.db").exists()

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 10
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(tmp_path) == [], (began, processes_of(tmp_path))
