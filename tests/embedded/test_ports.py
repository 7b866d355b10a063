"""Locks that name the owner of a home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from include.kreislauf.embedded.ports import try_lock

KILLED_WHILE_STARTING = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
if os.fork() == 0:  # as a child is between fork and exec: with every file of its parent
    time.sleep(0.5)
"""


def test_a_lock_outlives_its_holder_while_that_was_starting_a_process(tmp_path: Path) -> None:
    path = tmp_path / "stack.lock"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_STARTING, str(path)], check=True, timeout=10)
    assert try_lock(path) is None
    lock = try_lock(path, patience=20.0)
    assert lock is not None
    with lock:
        assert try_lock(path, patience=0.1) is None
