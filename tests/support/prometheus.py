"""A real Prometheus server with a history of one's own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx

from tests.support.missing import missing

START_SECONDS = 60
History = Mapping[str, Sequence[tuple[datetime, float]]]
"""Series, such as ``rate{arm="a"}`` -> times and values."""


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``; the test is skipped without, or fails where it may not be skipped."""
    return shutil.which(name) or missing(name, "prometheus")


@contextmanager
def running_prometheus(folder: Path, history: History, config: str = "") -> Iterator[str]:
    """Start a server over a history; its address. Stopped at the end.

    Parameters
    ----------
    config: its configuration, in which localhost:9090 stands for the server itself.
    """
    server = program("prometheus")
    backfill(folder, history)
    settings = folder / "prometheus.yml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings.write_text(config.replace("localhost:9090", address) or "global: {}\n")
    command = [server, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}",
               "--storage.tsdb.retention.time=100y", f"--web.listen-address={address}"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(f"http://{address}/-/ready", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def backfill(folder: Path, history: History) -> None:
    """Write the blocks of a history."""
    names = dict.fromkeys(series.partition("{")[0] for series in history)
    lines = []
    for name in names:
        lines.append(f"# TYPE {name} gauge")
        for series, points in history.items():
            if series.partition("{")[0] == name:
                lines += [f"{series} {value} {at.timestamp():.3f}" for at, value in points]
    path = folder / "history.txt"
    path.write_text("\n".join([*lines, "# EOF", ""]))
    command = [
        program("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(path),
        str(folder / "data"),
    ]
    subprocess.run(command, check=True, capture_output=True)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
