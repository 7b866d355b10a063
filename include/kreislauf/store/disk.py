"""Files that stand on the disk whole, or not at all, also when the writer is killed or the power fails."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_once(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file, unless there is one by then. Until it is whole, only the owner can read any of it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        path.hardlink_to(temporary)  # unlike a rename, it replaces nothing
        fsync_folder(path.parent)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
