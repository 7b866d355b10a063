"""Writers that are killed in the middle: a process of their own, and SIGKILL."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from include.kreislauf.settings import ROOT

SECONDS = 60


def kill_when(reached: Callable[[], bool], script: str, *arguments: str) -> None:
    """Run a Python script and kill it as soon as it has come to a point; it must not end by itself before."""
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT)
    deadline = time.monotonic() + SECONDS
    try:
        while not reached():
            assert process.poll() is None, f"the writer ended by itself with {process.returncode}"
            assert time.monotonic() < deadline, "the writer did not come so far"
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
