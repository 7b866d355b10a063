"""The volumes of a stack: what is in them, whose it is, and of which version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.stack import versions
from deploy.stack.errors import Fault
from deploy.stack.stack import Stack

OWNERS: dict[str, int | None] = {
    "kreislauf": 50_000, "logs": 50_000, "metrics": 50_000, "mlflow": 50_000, "spool": 10_001,
    "postgres": None, "redis": None, "prometheus": None, "grafana": None,
}  # fmt: skip
"""Volume -> uid of everything in it, where the images of this repository write it."""
PROBE = Path(__file__).with_name("probe.py")
PROBE_SECONDS = 600.0


@dataclass(frozen=True)
class Contents:
    """What a volume holds.

    Parameters
    ----------
    strange: path and uid of the first thing that belongs to a wrong user.
    mark: text of its `deployment.json`.
    postgres: major version of the PostgreSQL server that made it.
    """

    bytes: int
    empty: bool
    strange: tuple[str, int] | None
    mark: str | None
    postgres: str | None


def contents(stack: Stack, names: Iterable[str]) -> dict[str, Contents]:
    """Look into those volumes that exist, without changing them; the stack's own image must be there.

    Raises
    ------
    Failed: the container that looks cannot be started.
    """
    there = stack.existing(names)
    if not there:
        return {}
    mounts = [word for name in there for word in ("-v", f"{stack.volume(name)}:/volumes/{name}:ro")]
    told = stack.docker(
        "run", "--rm", "-i", *CONFINED, "--cap-add", "DAC_READ_SEARCH", "--read-only", *mounts,
        "--entrypoint", "python", stack.airflow_image, "-I", "-", json.dumps({name: OWNERS.get(name) for name in there}),
        given=PROBE.read_text("utf-8"), timeout=PROBE_SECONDS,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = json.loads(told)
    return {
        name: Contents(**{**one, "strange": tuple(one["strange"] or ()) or None})
        for name, one in found.items()
    }


CONFINED = (
    "--network",
    "none",
    "--user",
    "0",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges:true",
)
"""Options of a container that works on volumes: root there, and without a way out."""


def volume_faults(
    stack: Stack, found: Mapping[str, Contents], code: Mapping[str, str], *, upgrading: bool = False
) -> list[Fault]:
    """Volumes that this code must not be started on."""
    faults = [
        Fault(f"{one.strange[0]} belongs to the uid {one.strange[1]}", where=f"volume {stack.volume(name)}",
              allowed=f"uid {OWNERS[name]}", next_step=_take_back(stack, name))
        for name, one in found.items() if one.strange
    ]  # fmt: skip
    if (
        (kept := found.get("kreislauf"))
        and not kept.empty
        and (fault := _version_fault(stack, kept, code, upgrading))
    ):
        faults.append(fault)
    if (base := found.get("postgres")) and (fault := _server_fault(stack, base)):
        faults.append(fault)
    return faults


def _take_back(stack: Stack, name: str) -> str:
    confined = " ".join(CONFINED)
    return (
        f"docker run --rm {confined} --cap-add CHOWN --cap-add DAC_OVERRIDE -v {stack.volume(name)}:/volume"
        f" --entrypoint chown {stack.airflow_image} -R {OWNERS[name]}:0 /volume"
    )


def _version_fault(stack: Stack, kept: Contents, code: Mapping[str, str], upgrading: bool) -> Fault | None:
    where = f"volume {stack.volume('kreislauf')}"
    data = versions.parse_mark(kept.mark)
    state = "older" if data is None else versions.compare(data, code)
    of = "a version that did not write which it is" if data is None else versions.shown(data)
    if state == "newer":
        return Fault(f"its data are of {of}; this code is older ({versions.shown(code)})", where=where,
                     next_step="check out the code of that version, or restore a backup of this one")  # fmt: skip
    if state == "older" and not upgrading:
        return Fault(f"its data are of {of}", where=where, allowed=versions.shown(code),
                     next_step="make upgrade (it backs up first), or docs/how-to/upgrade.md")  # fmt: skip
    return None


def _server_fault(stack: Stack, base: Contents) -> Fault | None:
    image = stack.value("POSTGRES_IMAGE", "postgres:16")
    major = re.search(r"postgres:(\d+)", image)
    # a stand-in may hold another server than its name says: ask the image itself
    told = stack.docker("image", "inspect", "--format", "{{json .Config.Env}}", image, check=False)
    inside = re.search(r"PG_MAJOR=(\d+)", told) or re.search(r"/postgresql/(\d+)/bin", told) or major
    if not base.postgres or not inside or base.postgres == inside[1]:
        return None
    return Fault(f"it was made by PostgreSQL {base.postgres}; {image} is {inside[1]}", where=f"volume {stack.volume('postgres')}",
                 allowed="one major version", next_step=f"set POSTGRES_IMAGE=postgres:{base.postgres}, make backup, make down "
                 "with VOLUMES=1, set the new image, make restore (docs/how-to/upgrade.md)")  # fmt: skip
