"""The servers of ``make bench-service``: how each is started, asked, measured and stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
START_SECONDS, STOP_SECONDS = 120, 10
TICKS = os.sysconf("SC_CLK_TCK")
PATIENT = 60

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Server:
    """One way to serve the model.

    Parameters
    ----------
    command: with ``{port}`` where the port belongs.
    body: what is sent for some rows; ``values``: the predictions in its answer.
    ready: path that answers 200 when it can predict.
    """

    name: str
    command: Sequence[str]
    path: str
    body: Callable[[Rows], Any]
    values: Callable[[Any], list[float]]
    ready: str
    headers: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    pid: int
    ready_seconds: float

    def ask(self, rows: Rows) -> list[float]:
        """Its predictions for some rows."""
        status, answer = request(
            self.port, "POST", self.server.path, self.server.body(rows), self.server.headers
        )
        if status != 200:
            raise RuntimeError(f"{self.server.name} answers {status}: {answer[:500]!r}")
        return self.server.values(json.loads(answer))

    def cpu(self) -> float:
        """Seconds of user and system time that its processes have taken so far."""
        return cpu_of(self.pid)

    def mib(self) -> float:
        """Memory of its largest process in MiB, shared pages counted in proportion."""
        return max(_pss_kib(pid) for pid in family(self.pid)) / 1024


@contextmanager
def running(server: Server, logs: Path) -> Iterator[Running]:
    """Start a server, wait until it is ready, stop it at the end."""
    port = _free_port()
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{server.name}.log"
    command = [part.replace("{port}", str(port)) for part in server.command]
    with log.open("ab") as output:
        since = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **server.environment}, stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(server, process, port, log)
        yield Running(server, port, process.pid, time.perf_counter() - since)
    finally:
        stop(process)


def request(port: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:  # fmt: skip
    """One request over a connection of its own: status and content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENT)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def family(pid: int) -> list[int]:
    """A process and all that stem from it, as they are now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [pid]
    for one in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_of(pid: int) -> float:
    """Seconds of user and system time that a process and all that stem from it have taken so far."""
    return sum(_cpu(one) for one in family(pid))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and everything it started."""
    own = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in own:  # some peers leave theirs behind
        with suppress(OSError):
            if pid == process.pid or os.getsid(pid) == process.pid:
                os.kill(pid, signal.SIGKILL)
    process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError, http.client.HTTPException):
            if request(port, "GET", server.ready)[0] == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} does not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.005)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


PYTHON = sys.executable
