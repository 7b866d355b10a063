"""Files that stand on the disk whole, or not at all; and files that are what they were when they were written."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from include.kreislauf.errors import ReleaseError

MAX_FILE = 2 * 1024**3
CHUNK = 1024 * 1024
RESTORE = "restore the file, or promote another release"


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


def write_files(target: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write a folder all at once; returns the SHA-256 of each file. An existing folder is replaced.

    A reader sees the whole folder or none of it, also when the writer is killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, content in files.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as aside:
            with suppress(FileNotFoundError):
                target.rename(Path(aside) / "replaced")  # whole, in one step: nobody sees half of it
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    fsync_folder(target)
    fsync_folder(target.parent)
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_in(folder: Path) -> list[str]:
    """Names of all that a folder holds.

    Raises
    ------
    ReleaseError: it cannot be read.
    """
    try:
        return os.listdir(folder)  # noqa: PTH208 - only the names are wanted
    except OSError as error:
        raise ReleaseError(
            f"cannot be read: {error.strerror}", where=str(folder), next_step=RESTORE
        ) from error


def read_verified(path: Path, sha256: str, limit: int = MAX_FILE) -> bytes:
    """The content of a file whose hash is right.

    Raises
    ------
    ReleaseError: the file is missing, too large, or was changed.
    """
    content = read_file(path, limit)
    require_hash(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """The content of a file that is not larger than a limit.

    Raises
    ------
    ReleaseError: it is missing, or too large.
    """
    with _opened(path, limit) as file:
        return file.read(limit)


def hash_file(path: Path) -> str:
    """SHA-256 of a file that may be larger than what should be held in memory.

    Raises
    ------
    ReleaseError: it is missing, or larger than 2 GiB.
    """
    found = hashlib.sha256()
    with _opened(path, MAX_FILE) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


@contextmanager
def _opened(path: Path, limit: int) -> Iterator[BinaryIO]:
    """A regular file, opened once; never through a link, and without waiting for who writes to a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise ReleaseError("is no ordinary file", where=str(path), next_step=RESTORE)
            require_size(about.st_size, limit, path)
            yield file
    except OSError as error:
        raise ReleaseError(f"cannot be read: {error.strerror}", where=str(path), next_step=RESTORE) from error


def require_hash(path: Path, found: str, sha256: str) -> None:
    """Raise ReleaseError unless two hashes are the same."""
    if found != sha256:
        raise ReleaseError("was changed after it was written (SHA-256 differs)", where=str(path),
                           next_step=RESTORE)  # fmt: skip


def require_size(size: int, limit: int, path: Path) -> None:
    """Raise ReleaseError if a file is larger than a limit, in bytes."""
    if size > limit:
        raise ReleaseError(f"has {size} bytes", where=str(path), allowed=f"at most {limit} bytes",
                           next_step="make a release of a smaller model")  # fmt: skip
