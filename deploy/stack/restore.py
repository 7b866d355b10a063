"""Bringing a backup back: into empty volumes only, verified before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.stack import archive, computer, databases, env_file, versions
from deploy.stack.backup import FORMAT, MANIFEST, VOLUMES
from deploy.stack.databases import DATABASES, Snapshot
from deploy.stack.errors import Failed, Fault, Refused
from deploy.stack.preflight import env_faults
from deploy.stack.stack import Stack, say
from deploy.stack.up import build_images
from deploy.stack.volumes import contents
from deploy.stack.waiting import wait_until_healthy

SERVER_SECONDS = 180.0
MUST_BE_EMPTY = (*VOLUMES, "postgres", "redis")
Manifest = Mapping[str, Any]


def restore(stack: Stack, folder: Path, *, decrypt: str = "") -> None:
    """Load databases and files of a backup, compare them with its manifest, and leave the rest to `up`.

    Raises
    ------
    Refused: the backup is not whole, does not fit, or there are data already; nothing was changed.
    Failed: it could not be loaded; the volumes hold a part of it.
    """
    manifest = read_manifest(folder)
    faults = _faults(stack, manifest, decrypt)
    if faults:
        raise Refused(faults)
    say(f"verifying {folder}")
    if faults := _damages(folder, manifest, decrypt):
        raise Refused(faults)
    if not stack.has_image(stack.airflow_image):
        build_images(stack)
    if faults := _occupied(stack):
        raise Refused(faults)
    try:
        _load(stack, folder, manifest, decrypt)
        _compare(stack, manifest)
    except Failed as error:
        raise Failed(error.what, where=error.where, next_step=f"make down VOLUMES=1 CONFIRM={stack.project}, remove the "
                     "cause, and restore again; the backup itself was not touched") from error  # fmt: skip
    say(f"restored: every table and every file is as on {manifest['taken_at']}; go on with make up")


def read_manifest(folder: Path) -> Manifest:
    """What a backup says of itself.

    Raises
    ------
    Refused: there is none, or it is none that this code understands.
    """
    path = folder / MANIFEST
    try:
        found: Manifest = json.loads(path.read_text("utf-8"))
        fits = (
            found["format"] == FORMAT
            and set(found["databases"]) == {*DATABASES}
            and set(found["volumes"]) == {*VOLUMES}
        )
    except OSError as error:
        inside = ", ".join(sorted(one.parent.name for one in folder.glob(f"*/{MANIFEST}")))
        raise Refused([Fault(f"no backup is there ({error.strerror})", where=str(folder), allowed=inside and f"one of {inside}",
                             next_step="name the folder of one backup with FROM=")]) from error  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise Refused([Fault("is damaged", where=str(path), next_step="take another backup")]) from error
    if not fits:
        raise Refused([Fault("was written by another version of this tool", where=str(path), allowed=f"format {FORMAT}",
                             next_step="restore it with the code of that version")])  # fmt: skip
    return found


def _faults(stack: Stack, manifest: Manifest, decrypt: str) -> list[Fault]:
    faults = env_faults(stack) + computer.docker_faults(stack)
    if not faults and not set(manifest["fernet"]) <= {*env_file.fingerprints(stack.value(env_file.FERNET))}:
        faults.append(Fault(f"{env_file.FERNET} is not the one of the backup: connections and variables could not be read",
                            where=str(stack.env_file), next_step="put the .env of that time in its place"))  # fmt: skip
    if versions.compare(manifest["versions"], code := versions.of_code(stack.root)) == "newer":
        faults.append(Fault(f"its data are of {versions.shown(manifest['versions'])}", where="backup",
                            allowed=f"{versions.shown(code)}, or older",
                            next_step="check out the code of that version"))  # fmt: skip
    if not any(one.where == "docker" for one in faults) and (running := stack.containers(running=True)):
        faults.append(
            Fault(
                f"is running: {', '.join(one.service for one in running)}",
                where=f"stack {stack.project}",
                next_step="make down",
            )
        )
    if manifest["encrypted"] and not decrypt:
        faults.append(Fault("is encrypted", where="backup", next_step='give the command with DECRYPT="…"'))
    return faults


def _damages(folder: Path, manifest: Manifest, decrypt: str) -> list[Fault]:
    """Archives that are not what was written, on the disk or inside."""
    again = "take another backup, or another copy of this one"
    found = []
    for one in (*manifest["databases"].values(), *manifest["volumes"].values()):
        path = folder / one["file"]
        if not path.is_file() or archive.hash_of(path) != one["sha256"]:
            found.append(
                Fault("is missing or was changed (SHA-256 differs)", where=str(path), next_step=again)
            )
    if found:
        return found
    for one in manifest["volumes"].values():
        with archive.unpacked(folder / one["file"], decrypt) as stream:
            if archive.members_of(stream) != one["members"]:
                found.append(
                    Fault(
                        "does not hold what the manifest says",
                        where=str(folder / one["file"]),
                        next_step=again,
                    )
                )
    return found


def _occupied(stack: Stack) -> list[Fault]:
    away = f"make down VOLUMES=1 CONFIRM={stack.project} deletes them; or restore under another name (COMPOSE_PROJECT_NAME)"
    return [
        Fault("is not empty", where=f"volume {stack.volume(name)}", allowed="empty volumes, or none", next_step=away)
        for name, one in contents(stack, MUST_BE_EMPTY).items() if not one.empty
    ]  # fmt: skip


def _load(stack: Stack, folder: Path, manifest: Manifest, decrypt: str) -> None:
    for name, one in manifest["volumes"].items():
        with archive.unpacked(folder / one["file"], decrypt) as stream:
            archive.fill_volume(stack, name, stream)
        say(f"        volume {name}: {len(one['members'])} files and folders")
    server = start_server(stack)
    for name, one in manifest["databases"].items():
        with archive.opened(folder / one["file"], decrypt) as stream:
            databases.load(stack, server, name, stream)
        say(f"        database {name}: {len(one['tables'])} tables")


def start_server(stack: Stack) -> str:
    """Start PostgreSQL alone; its container.

    Raises
    ------
    Failed: it does not come up.
    """
    if stack.watch(stack.compose_command("up", "-d", "--no-deps", "postgres")):
        raise Failed("cannot be started", where="service postgres", next_step="see above")
    wait_until_healthy(stack, SERVER_SECONDS)
    return server_of(stack)


def server_of(stack: Stack) -> str:
    """The container of the running PostgreSQL.

    Raises
    ------
    Failed: it does not run.
    """
    if found := stack.container("postgres"):
        return found.name
    raise Failed("does not run any more", where="service postgres", next_step="look at its log")


def _compare(stack: Stack, manifest: Manifest) -> None:
    """Raise Failed unless databases and volumes are what the manifest says."""
    server = server_of(stack)
    for name, one in manifest["databases"].items():
        with Snapshot(stack, server, name) as snapshot:
            _require_same(f"database {name}", snapshot.tables(), one["tables"])
    for name, one in manifest["volumes"].items():
        _require_same(f"volume {stack.volume(name)}", archive.read_volume(stack, name)[0], one["members"])


def _require_same(where: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if different := sorted(one for one in {*found, *expected} if found.get(one) != expected.get(one)):
        raise Failed(f"{len(different)} differ from the backup, the first: {different[0]}", where=where)
