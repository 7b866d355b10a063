"""One deployment under test: a copy of the tree, its own project, ports and secrets, started by the host's tool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.production.engine import ROOT, docker

Found = TypeVar("Found")


def copied_tree(folder: Path) -> Path:
    """What git would give a clone, with what has changed since the last commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    there = b"\0".join(name for name in listed.split(b"\0") if name and (ROOT / os.fsdecode(name)).is_file())
    folder.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(
        ["tar", "-C", str(ROOT), "--null", "-T", "-", "-c"], input=there, check=True, capture_output=True
    )
    subprocess.run(["tar", "-C", str(folder), "-x"], input=packed.stdout, check=True)
    return folder


def wait_for(what: str, look: Callable[[], Found], seconds: float, pause: float = 1.0) -> Found:
    """What a look finds, as soon as it is something."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; last seen: {found!r}")
        time.sleep(pause)


@dataclass
class Deployment:
    """A project of Compose's.

    Parameters
    ----------
    tree: folder that `make up` is called in.
    project: its name in Compose.
    """

    tree: Path
    project: str
    variables: dict[str, str] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def tool(
        self, *words: str, check: bool = True, timeout: float = 900, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the host's tool, as make does."""
        done = subprocess.run(
            [sys.executable, "-m", "deploy.stack", *words],
            cwd=self.tree, capture_output=True, text=True, timeout=timeout,
            env={**os.environ, "COMPOSE_PROJECT_NAME": self.project, **extra},
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def compose(
        self, *words: str, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose's."""
        done = subprocess.run(
            [*compose_command(), "-p", self.project, *words], cwd=self.tree, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"compose {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Every container of the project, or those of one service, as `docker inspect` tells of them."""
        filters = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        names = docker("ps", "-aq", *filters).stdout.split()
        return json.loads(docker("inspect", *names).stdout) if names else []

    def container(self, service: str) -> dict[str, Any]:
        """The only container of a service."""
        (one,) = self.containers(service)
        return one

    def inside(self, service: str, *words: str) -> str:
        """What a command says in a service's first container."""
        return docker("exec", self.containers(service)[0]["Id"], *words).stdout

    def kill(self, service: str) -> float:
        """Kill -9 the first process of a service's first container, as if the power went; when it was done."""
        # `docker kill` would count as the operator's own wish, after which nothing is started again
        os.kill(self.containers(service)[0]["State"]["Pid"], signal.SIGKILL)
        return time.monotonic()

    def rows(self, statement: str, database: str = "kreislauf") -> list[list[str]]:
        """What PostgreSQL answers."""
        said = self.inside("postgres", "psql", "-U", "postgres", "-d", database, "-AtF\t", "-c", statement)
        return [line.split("\t") for line in said.splitlines()]

    @property
    def airflow(self) -> str:
        """Address of Airflow's API."""
        return f"http://127.0.0.1:{self.variables['AIRFLOW_PORT']}"

    @property
    def service(self) -> str:
        """Address of the prediction service."""
        return f"http://127.0.0.1:{self.variables['SERVICE_PORT']}"

    def login(self) -> None:
        """Get a token; later requests carry it."""
        answer = self.client.post(
            f"{self.airflow}/auth/token",
            json={"username": "admin", "password": self.variables["AIRFLOW_ADMIN_PASSWORD"]},
        )
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def rest(self, method: str, path: str, **arguments: Any) -> Any:
        """What Airflow's REST API answers; again while its server is away."""
        for _ in range(60):
            try:
                answer = self.client.request(method, f"{self.airflow}/api/v2{path}", **arguments)
            except httpx.TransportError:
                time.sleep(1)
                continue
            if answer.status_code == 401:
                self.login()
            elif answer.status_code < 500:
                answer.raise_for_status()
                return answer.json()
            time.sleep(1)
        raise AssertionError(f"{method} {path}: the API server stayed away")

    def trigger(self, dag: str, **form: Any) -> str:
        """Start a DAG by hand; the run's id."""
        body = {"logical_date": None, "conf": form}
        return str(self.rest("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def task_instances(self, dag: str, run: str) -> list[dict[str, Any]]:
        """The tasks of a run, mapped ones apart."""
        answer = self.rest("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances", params={"limit": 500})
        return list(answer["task_instances"])


def compose_command() -> list[str]:
    """Compose v2 where it is, else docker-compose."""
    v2 = subprocess.run(["docker", "compose", "version"], capture_output=True)
    return ["docker", "compose"] if v2.returncode == 0 else ["docker-compose"]


def written_env(tree: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """Set variables in `.env`; what it holds then."""
    path = tree / ".env"
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0] not in changes]
    path.touch(mode=0o600)
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changes.items())]) + "\n")
    return read_env(tree)


def read_env(tree: Path) -> dict[str, str]:
    """What `.env` of a tree holds."""
    lines = (tree / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@contextmanager
def removed_at_the_end(deployment: Deployment) -> Iterator[Deployment]:
    """Everything that Docker holds of a project is gone afterwards, whatever happened."""
    try:
        yield deployment
    finally:
        deployment.client.close()
        if os.environ.get("KREISLAUF_KEEP") != "1":
            deployment.compose("down", "-v", "--remove-orphans", "-t", "5", check=False)
