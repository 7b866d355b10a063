"""Load from ``wrk``: one thread, connections that are kept open, rows that differ from request to request."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service_servers import Rows, Running

SCRIPT = Path(__file__).parent / "peers" / "rows.lua"
CONNECTIONS = 16


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load; times in seconds.

    Parameters
    ----------
    cpu: seconds of the server's processes per request.
    """

    requests: int
    per_second: float
    p50: float
    p99: float
    longest: float
    cpu: float


def need_wrk() -> None:
    """Say how to get ``wrk`` where it is missing."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed; next: apt-get install wrk")


def write_bodies(server: Running, rows: Rows, size: int, folder: Path) -> Path:
    """The requests of a server, one a line, each with so many rows; no two are the same."""
    path = folder / f"{server.server.name}-{size}.jsonl"
    bodies = (server.server.body([rows[(start + offset) % len(rows)] for offset in range(size)]) for start in range(len(rows)))  # fmt: skip
    path.write_text(
        "".join(json.dumps(body, separators=(",", ":")) + "\n" for body in bodies), encoding="utf-8"
    )
    return path


def load(server: Running, bodies: Path, seconds: int, connections: int = CONNECTIONS) -> Load:
    """Ask a server for some seconds.

    Raises
    ------
    RuntimeError: it refused a request, or a connection broke.
    """
    headers = [f"{name}: {value}" for name, value in server.server.headers.items()]
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", str(SCRIPT),
        f"http://127.0.0.1:{server.port}", "--", str(bodies), server.server.path, *headers,
    ]  # fmt: skip
    before = server.cpu()
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = server.cpu() - before
    found = json.loads(printed.splitlines()[-1])
    if found["refused"] or found["broken"] or not found["requests"]:
        raise RuntimeError(f"{server.server.name} under load: {found}")
    return Load(
        found["requests"], found["requests"] / found["seconds"], found["p50"], found["p99"], found["longest"],
        used / found["requests"],
    )  # fmt: skip
