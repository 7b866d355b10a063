"""A host for the tool's tests: a folder like the repository's, a `.env` with good secrets, and a Docker that is not real."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.stack.__main__ import write_secrets
from deploy.stack.stack import Stack
from tests.production.engine import ROOT

FAKE = Path(__file__).with_name("fake_docker.py")
PROJECT = "tried"
IMAGES = ("kreislauf-airflow:dev", "kreislauf-service:dev")
READS = ("version", "info", "ps", "inspect", "image", "volume", "logs")
KEPT = {"bytes": 1, "empty": False, "strange": None, "mark": None, "postgres": None}


@dataclass
class Host:
    """Where the tool runs.

    Parameters
    ----------
    world: what its Docker knows; `fake_docker.py` reads it.
    """

    root: Path
    world: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        """The stack as it is found now."""
        (self.programs / "world").write_text(repr(self._answers()))
        return Stack.here(
            self.root, {"PATH": f"{self.programs}:{os.environ['PATH']}", **self.variables}, project=PROJECT
        )

    def _answers(self) -> dict[str, Any]:
        """The world, with what Docker tells in JSON."""
        containers = self.world["containers"]
        return {
            **self.world,
            "info": json.dumps(self.world["info"]),
            "containers": json.dumps(containers),
            "ids": "\n".join(map(str, range(len(containers)))),
            "volumes": {name: json.dumps(contents) for name, contents in self.world["volumes"].items()},
        }

    @property
    def programs(self) -> Path:
        return self.root / "programs"

    @property
    def env(self) -> Path:
        return self.root / ".env"

    def set(self, **values: str) -> None:
        """Change variables in `.env`."""
        kept = [line for line in self.env.read_text().splitlines() if line.partition("=")[0] not in values]
        self.env.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in values.items())]) + "\n")

    def volume(self, name: str, **contents: Any) -> None:
        """Have a volume."""
        self.world["volumes"][f"{PROJECT}_{name}"] = {**KEPT, **contents}

    @property
    def calls(self) -> list[list[str]]:
        """What Docker was asked, in its order."""
        path = self.programs / "calls"
        return [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def changes(self) -> list[list[str]]:
        """Calls that could have changed something; a container that only reads volumes and goes away does not."""
        return [call for call in self.calls if not _only_reads(call)]


def _only_reads(call: list[str]) -> bool:
    if call[0] == "compose":
        return call[-1] == "version" or "config" in call
    if call[0] == "run":
        mounts = [call[place + 1] for place, word in enumerate(call) if word == "-v"]
        return "--rm" in call and "--read-only" in call and all(one.endswith(":ro") for one in mounts)
    return call[0] in READS and call[:2] not in (["volume", "create"], ["volume", "rm"], ["image", "rm"])


def make_host(root: Path) -> Host:
    """A host on which nothing is wrong: as after `make secrets`, nothing started yet."""
    for name in ("include", "deploy", "requirements.txt", "docker-compose.yaml", ".env.example"):
        (root / name).symlink_to(ROOT / name)
    (root / "programs").mkdir()
    program = root / "programs" / "docker"
    shutil.copy(FAKE, program)
    program.write_text(f"#!{sys.executable} -IS\n{program.read_text()}")
    program.chmod(0o755)
    info = {"DockerRootDir": str(root), "MemTotal": 24 * 1024**3, "NCPU": 2}
    world = {
        "engine": "up", "compose": True, "info": info, "project": PROJECT, "images": dict.fromkeys(IMAGES, "sha256:1"),
        "volumes": {}, "containers": [], "ports": "", "names": "", "logs": "", "results": {},
    }  # fmt: skip
    host = Host(root, world)
    write_secrets(host.stack)
    return host


def container(service: str, **state: Any) -> dict[str, Any]:
    """A container as `docker inspect` tells of it."""
    health = state.pop("health", None)
    return {
        "Name": f"/{PROJECT}-{service}-1", "Image": "sha256:1", "RestartCount": state.pop("restarts", 0),
        "Config": {"Labels": {"com.docker.compose.service": service, "com.docker.compose.project": PROJECT}},
        "State": {"Status": "running", "ExitCode": 0, **({"Health": {"Status": health}} if health else {}), **state},
    }  # fmt: skip
