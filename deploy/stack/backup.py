"""Backups: three databases and four volumes, taken while everything runs.

In this order, so that nothing is missing from the whole: first the spool, as what leaves it goes to the database; then
the databases, each from one snapshot; then the files, which are written before the rows that name them and do not
change afterwards. What is there twice does no harm: records and files are known again by their ids and hashes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.stack import archive, databases, env_file, versions
from deploy.stack.archive import megabytes
from deploy.stack.databases import DATABASES, Snapshot
from deploy.stack.errors import Failed, Fault, Refused
from deploy.stack.preflight import env_faults
from deploy.stack.stack import Stack, say
from deploy.stack.volumes import contents
from include.kreislauf.store.disk import fsync_folder

BEFORE = ("spool",)
AFTER = ("kreislauf", "mlflow", "metrics")
VOLUMES = (*BEFORE, *AFTER)
LEFT_OUT = (
    ".env with its secrets: keep a copy elsewhere, a restore needs its AIRFLOW_FERNET_KEY",
    "tasks' logs, Prometheus' history, what was changed in Grafana by hand, Redis' queue, the images",
)
MANIFEST = "manifest.json"
FORMAT = 1


def backup(stack: Stack, folder: Path, now: datetime, *, keep: int = 0, encrypt: str = "") -> Path:
    """Make a backup in a folder of its own below `folder`; its path.

    Parameters
    ----------
    keep: so many backups of this stack stay, the newest; 0: all.
    encrypt: command that filters every archive; names, counts and hashes in the manifest stay readable.

    Raises
    ------
    Refused: it cannot be made; nothing was written.
    Failed: something could not be read or written; what was written is removed.
    """
    server, mark = _require(stack, folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{stack.project}-{now:%Y%m%dT%H%M%SZ}"
    partial = folder / f".{target.name}.partial"
    partial.mkdir(mode=0o700)
    try:
        manifest = _head(stack, now, mark, encrypt) | _content(stack, server, partial, encrypt)
        _check_written(partial, manifest, encrypted=bool(encrypt))
        path = partial / MANIFEST
        path.touch(mode=0o600)
        path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8")
        partial.rename(target)
        fsync_folder(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    say(f"backup: {target} ({megabytes(sum(one.stat().st_size for one in target.iterdir()))})")
    say("not in it: " + "; ".join(LEFT_OUT))
    if keep:
        forget(stack, folder, keep)
    return target


def _require(stack: Stack, folder: Path) -> tuple[str, str]:
    """(PostgreSQL's container, the mark of the volume `kreislauf`), when a backup can be made."""
    faults = env_faults(stack)
    server = stack.container("postgres")
    if server is None or not server.ready:
        faults.append(Fault("is not running, or not ready", where="service postgres", next_step="make up"))
    if not stack.has_image(stack.airflow_image):
        faults.append(
            Fault(
                "is not on this computer",
                where=f"image {stack.airflow_image}",
                next_step="correct KREISLAUF_TAG",
            )
        )
    absent = sorted(set(VOLUMES).difference(stack.existing(VOLUMES)))
    faults += [
        Fault("does not exist", where=f"volume {stack.volume(name)}", next_step="make up") for name in absent
    ]
    if faults or server is None:
        raise Refused(faults)
    seen = contents(stack, VOLUMES)
    needed = sum(one.bytes for one in seen.values()) + databases.bytes_of(stack, server.name)
    if fault := _room_fault(folder, needed):
        raise Refused([fault])
    return server.name, seen["kreislauf"].mark or ""


def _room_fault(folder: Path, needed: int) -> Fault | None:
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Fault("cannot be written to", where=str(there), next_step="name another folder with TO=")
    if (free := shutil.disk_usage(there).free) >= needed:
        return None
    return Fault(f"{megabytes(free)} are free", where=str(there), allowed=f"{megabytes(needed)}, the size before compression",
                 next_step="name another folder with TO=, or make room")  # fmt: skip


def _head(stack: Stack, now: datetime, mark: str, encrypt: str) -> dict[str, Any]:
    code = versions.of_code(stack.root)
    return {
        "format": FORMAT, "project": stack.project, "taken_at": now.isoformat(), "encrypted": bool(encrypt),
        "versions": versions.parse_mark(mark) or code, "fernet": env_file.fingerprints(stack.value(env_file.FERNET)),
        "left_out": list(LEFT_OUT),
    }  # fmt: skip


def _content(stack: Stack, server: str, folder: Path, encrypt: str) -> dict[str, Any]:
    volumes = {name: _volume(stack, name, folder, encrypt) for name in BEFORE}
    dumps = {name: _database(stack, server, name, folder, encrypt) for name in DATABASES}
    volumes |= {name: _volume(stack, name, folder, encrypt) for name in AFTER}
    return {"databases": dumps, "volumes": volumes}


def _database(stack: Stack, server: str, name: str, folder: Path, encrypt: str) -> dict[str, Any]:
    path = folder / f"{name}.dump"
    with Snapshot(stack, server, name) as snapshot:
        with archive.written(path, encrypt) as file:
            databases.dump(stack, server, name, snapshot.name, file)
        tables = snapshot.tables()
    say(f"        database {name}: {len(tables)} tables, {megabytes(path.stat().st_size)}")
    return {"file": path.name, "plain_sha256": file.sha256, **_written(path), "tables": tables}


def _volume(stack: Stack, name: str, folder: Path, encrypt: str) -> dict[str, Any]:
    path = folder / f"{name}.tar.gz"
    with archive.written(path, encrypt) as file:
        members, notes = archive.save_volume(stack, name, file)
    say(f"        volume {name}: {len(members)} files and folders, {megabytes(path.stat().st_size)}")
    for note in notes:
        say(f"        note: {note}")
    return {
        "file": path.name,
        "plain_sha256": file.sha256,
        **_written(path),
        "members": members,
        "notes": notes,
    }


def _written(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": archive.hash_of(path)}


def _check_written(folder: Path, manifest: Mapping[str, Any], *, encrypted: bool) -> None:
    """Raise Failed unless the disk holds what was sent to it."""
    if encrypted:
        say("        written; what is inside can be verified only with the key, by a restore")
        return
    for one in (*manifest["databases"].values(), *manifest["volumes"].values()):
        if one["sha256"] != one["plain_sha256"]:
            raise Failed("the disk does not hold what was written to it", where=str(folder / one["file"]),
                         next_step="look at the disk's health")  # fmt: skip
    for name, one in manifest["volumes"].items():
        with archive.unpacked(folder / one["file"], "") as stream:
            if archive.members_of(stream) != one["members"]:
                raise Failed("its archive does not hold what was read", where=f"volume {name}")
    say("        verified: every archive was read back")


def backups_in(folder: Path, project: str) -> list[Path]:
    """Whole backups of a project, oldest first."""
    found = []
    for path in folder.glob(f"*/{MANIFEST}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            about = json.loads(path.read_text("utf-8"))
            if about["project"] == project:
                found.append((about["taken_at"], path.parent))
    return [path for _, path in sorted(found)]


def forget(stack: Stack, folder: Path, keep: int) -> None:
    """Remove the oldest backups of this stack but `keep`."""
    for old in backups_in(folder, stack.project)[:-keep]:
        shutil.rmtree(old)
        say(f"        removed {old}")
