"""What the computer must have: Docker and Compose, disk, memory, and a folder of data that tasks can read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from deploy.stack.errors import Fault
from deploy.stack.stack import Stack

AIRFLOW_UID = 50_000
GIB = 1024**3
MEMORY_GIB = 6
CPUS = 2
DATA_FOLDER = "./var/data"
"""The default of KREISLAUF_DATA_FOLDER, which `up` makes when it is not there."""
LOOKED_AT = 1000
"""So many names in the folder of data are looked at."""


def docker_faults(stack: Stack) -> list[Fault]:
    """Whether Docker's engine answers this user, and whether there is a Compose."""
    if not shutil.which("docker", path=stack.environ.get("PATH")):
        return [Fault("is not installed", where="docker", allowed="Docker 20.10 or newer with Compose",
                      next_step="https://docs.docker.com/engine/install")]  # fmt: skip
    answer = stack.run(["docker", "version", "--format", "{{.Server.Version}}"], check=False)
    if answer.returncode:
        return [_engine_fault(answer.stderr)]
    if not stack.compose:
        return [Fault("is not installed", where="Compose", allowed="docker compose 2 or docker-compose 1.29",
                      next_step="install the package docker-compose-plugin (Docker's) or docker-compose (Debian's)")]  # fmt: skip
    return []


def _engine_fault(told: str) -> Fault:
    if "permission denied" in told.lower():
        return Fault(f"the user with the uid {os.geteuid()} may not use Docker", where="docker",
                     allowed="root, or a member of the group docker",
                     next_step="sudo usermod -aG docker $USER, and log in anew")  # fmt: skip
    last = (told.strip().splitlines() or ["no answer"])[-1]
    return Fault(
        f"its engine does not answer: {last}", where="docker", next_step="sudo systemctl start docker"
    )


def config_faults(stack: Stack) -> list[Fault]:
    """What Compose itself has against the file and the variables."""
    answer = stack.run(stack.compose_command("config", "--quiet"), check=False)
    if answer.returncode == 0:
        return []
    return [
        Fault(
            stack.redact(answer.stderr.strip()[-1500:]),
            where="Compose file",
            next_step="correct what it names",
        )
    ]


def resources(stack: Stack, floor_gib: float) -> tuple[list[Fault], list[str]]:
    """(faults, warnings) about disk, memory and CPUs."""
    told: dict[str, Any] = json.loads(stack.docker("info", "--format", "{{json .}}") or "{}")
    faults, warnings = disk_faults(Path(told.get("DockerRootDir") or "/nowhere"), floor_gib)
    memory, cpus = told.get("MemTotal", 0) / GIB, told.get("NCPU", 0)
    if memory < MEMORY_GIB:
        warnings.append(
            f"Docker has {memory:.1f} GiB of memory; below {MEMORY_GIB} GiB trainings may be killed"
        )
    if cpus < CPUS:
        warnings.append(
            f"Docker has {cpus} CPU; below {CPUS} starting takes minutes and health checks may fail"
        )
    return faults, warnings


def disk_faults(root: Path, floor_gib: float) -> tuple[list[Fault], list[str]]:
    """(faults, warnings) about the disk that Docker keeps images and volumes on."""
    try:
        free = shutil.disk_usage(root).free / GIB
    except OSError:
        return [], [
            f"Docker keeps its data where this computer cannot look ({root}): free disk was not checked"
        ]
    if free >= floor_gib:
        return [], []
    return [Fault(f"{free:.1f} GiB are free", where=str(root), allowed=f"{floor_gib:g} GiB or more",
                  next_step="make room (docker image prune removes unused images), or give --min-free-gb "
                  "(make: MIN_FREE_GB=) another value")], []  # fmt: skip


def data_folder(stack: Stack) -> Path:
    """The folder on this computer with the sources' data."""
    return stack.root / Path(stack.value("KREISLAUF_DATA_FOLDER", DATA_FOLDER)).expanduser()


def data_faults(stack: Stack) -> list[Fault]:
    """Whether Airflow's user can read the folder of data; the default one need not exist yet."""
    folder, given = data_folder(stack), stack.value("KREISLAUF_DATA_FOLDER", DATA_FOLDER)
    where = f"KREISLAUF_DATA_FOLDER={given}"
    if not folder.exists():
        if given == DATA_FOLDER:
            return []
        return [
            Fault(
                "there is no such folder",
                where=where,
                next_step=f"mkdir -p {folder}, or correct the variable",
            )
        ]
    if not folder.is_dir():
        return [Fault("is no folder", where=where, next_step="name a folder")]
    closed = next(_unreadable(folder), None)
    if closed is None:
        return []
    return [Fault(f"{closed} cannot be read by tasks (uid {AIRFLOW_UID}, gid 0)", where=where,
                  allowed="files readable for everyone", next_step=f"chmod -R a+rX {folder}")]  # fmt: skip


def _unreadable(folder: Path) -> Iterator[Path]:
    """Of the folder and what lies in it, as far as it is looked at, what Airflow's user cannot read."""
    if not _may_read(folder):
        yield folder
        return
    try:
        yield from (
            one for one in islice(folder.rglob("*"), LOOKED_AT) if one.exists() and not _may_read(one)
        )
    except OSError as error:
        yield Path(error.filename or folder)


def _may_read(path: Path) -> bool:
    about = path.stat()
    shift = 6 if about.st_uid == AIRFLOW_UID else 3 if about.st_gid == 0 else 0
    needed = 0o5 if path.is_dir() else 0o4
    return (about.st_mode >> shift) & needed == needed
