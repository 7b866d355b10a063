"""A StatsD exporter with the bundle's mapping, and Airflow's own client to feed it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from include.kreislauf.settings import ROOT
from tests.support.ports import free_port

MAPPING = ROOT / "include" / "observability" / "statsd" / "mapping.yml"
STAND_IN = ROOT / "tests" / "production" / "standins" / "statsd-exporter" / "statsd_exporter.py"
SETTINGS = {
    "AIRFLOW__METRICS__STATSD_ON": "true", "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
    "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "true", "AIRFLOW__METRICS__LEGACY_NAMES_ON": "false",
}  # fmt: skip
"""What the mapping expects of Airflow, but the port."""


@dataclass(frozen=True)
class StatsdExporter:
    """A running exporter: the real one where it is installed, else the stand-in of the deployment tests."""

    udp: int
    web: int

    def text(self) -> str:
        """What it tells."""
        return httpx.get(f"http://127.0.0.1:{self.web}/metrics", trust_env=False).text

    def until(self, line: str, seconds: float = 30) -> str:
        """What it tells once a line is in it: UDP says nothing of arrivals."""
        end = time.monotonic() + seconds
        while line not in (text := self.text()):
            assert time.monotonic() < end, text
            time.sleep(0.05)
        return text


@contextmanager
def running_statsd_exporter(folder: Path, mapping: Path = MAPPING) -> Iterator[StatsdExporter]:
    """Start an exporter; stopped at the end."""
    real = shutil.which("statsd_exporter")
    found = StatsdExporter(free_port(udp=True), free_port())
    command = [*([real] if real else [sys.executable, str(STAND_IN)]), f"--statsd.mapping-config={mapping}",
               f"--statsd.listen-udp=127.0.0.1:{found.udp}", "--statsd.listen-tcp=",
               f"--web.listen-address=127.0.0.1:{found.web}"]  # fmt: skip
    with (folder / "statsd_exporter.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(found, process, folder / "statsd_exporter.log")
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _wait(exporter: StatsdExporter, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            exporter.text()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def registered() -> list[dict[str, Any]]:
    """Every metric that Airflow declares: name, type, legacy name and its variables."""
    from airflow._shared.observability.metrics import metrics_registry

    found: list[dict[str, Any]] = yaml.safe_load(Path(metrics_registry.YAML_REGISTRY_PATH).read_text())[
        "metrics"
    ]
    return found


def send_all(send: Callable[[dict[str, Any], str], None]) -> None:
    """Send every metric that Airflow declares, by the name that it has in 3.3."""
    for metric in registered():
        send(metric, metric["name"].format(job_name="job", dag_file="a_file"))
