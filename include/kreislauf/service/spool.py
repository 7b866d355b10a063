"""The spool: files that keep records of the prediction log while the store is away.

One line is the records of one request: their CRC-32, a space, JSON. What stands in a file with its newline was
synced before it was acknowledged; a line without one was torn by a crash, and nobody was told that it is kept.

Each process writes a file of its own and holds a lock on it. A file without a lock is a dead process's: whoever sees
it first takes it over.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

import msgspec

from include.kreislauf.store.disk import fsync_folder

SUFFIX = ".spool"
REJECTED = ".rejected"
READ_BYTES = 1 << 20


class SpoolFile:
    """One locked file; one thread may append while another one drains.

    Parameters
    ----------
    descriptor: of the open file, which this object owns, with its lock.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._lock = Lock()
        self._drained = 0
        self._size = self._cut()
        self.lines = self._count()

    @classmethod
    def open(cls, path: Path, *, new: bool) -> SpoolFile | None:
        """Open a file, or make it; ``None`` when another process holds it or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
        except FileNotFoundError:
            if new:
                raise
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        os.close(descriptor)
        return None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    @property
    def left(self) -> int:
        """Bytes that are not drained yet."""
        return self._size - self._drained

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines and sync them; when that fails, the file is as it was.

        Raises
        ------
        OSError: the disk is full or broken.
        """
        data = b"".join(lines)
        with self._lock:
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(self._descriptor, data[written:], self._size + written)
                os.fdatasync(self._descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
                raise
            self._size += len(data)
            self.lines += len(lines)

    def read(self) -> list[bytes]:
        """The next lines that are not drained yet, about a megabyte of them; empty: none is left."""
        length = READ_BYTES
        while True:
            data = os.pread(self._descriptor, min(length, self._size - self._drained), self._drained)
            if not data:
                return []
            if (end := data.rfind(b"\n")) >= 0:
                return [line + b"\n" for line in data[:end].split(b"\n")]
            length *= 2

    def drained(self, lines: Sequence[bytes]) -> None:
        """These lines, the next ones, are in the store now. A file with nothing left in it becomes empty."""
        with self._lock:
            self._drained += sum(map(len, lines))
            self.lines -= len(lines)
            if self._drained == self._size:
                os.ftruncate(self._descriptor, 0)
                self._drained = self._size = 0

    def holds(self, text: bytes) -> bool:
        """Whether a text stands in what is not drained yet."""
        with self._lock:
            return _found(self._descriptor, text, self._drained)

    def close(self) -> None:
        """Give the lock back; an empty file is removed."""
        if not self._size:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _cut(self) -> int:
        """Cut off a torn line; returns the size."""
        size = os.fstat(self._descriptor).st_size
        kept = size
        while kept and os.pread(self._descriptor, 1, kept - 1) != b"\n":
            length = min(READ_BYTES, kept)
            kept -= length - 1 - os.pread(self._descriptor, length, kept - length).rfind(b"\n")
        if kept < size:
            os.ftruncate(self._descriptor, kept)
            os.fsync(self._descriptor)
        return kept

    def _count(self) -> int:
        count = 0
        for start in range(0, self._size, READ_BYTES):
            count += os.pread(self._descriptor, READ_BYTES, start).count(b"\n")
        return count


class Spool:
    """The files of a folder: this process's own one, and those of dead processes.

    Parameters
    ----------
    limit: bytes of the own file; what would go beyond is refused.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._own: SpoolFile | None = None
        self._name = uuid4().hex
        self._lock = Lock()
        self.adopted: list[SpoolFile] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this process waits in it."""
        return self._own is None or self._own.size == 0

    @property
    def files(self) -> list[SpoolFile]:
        """What is to be drained, the dead ones' files first."""
        return [*self.adopted, *([self._own] if self._own else [])]

    @property
    def lines(self) -> int:
        """Requests that wait in these files."""
        return sum(one.lines for one in self.files)

    @property
    def fill(self) -> float:
        """Share of the own file's space that is taken."""
        return self._own.size / self._limit if self._own else 0.0

    def append(self, found: Sequence[bytes]) -> int:
        """Keep encoded records, each of them whole; returns how many, from the first on, there was space for.

        Raises
        ------
        OSError: the disk is full or broken; none is kept.
        """
        with self._lock:
            if self._own is None:
                self._own = self._make()
            lines, size = [], self._own.size
            for one in found:
                line = _line(one)
                if (size := size + len(line)) > self._limit:
                    break
                lines.append(line)
            if lines:
                self._own.append(lines)
            return len(lines)

    def adopt(self) -> None:
        """Take over the files of dead processes."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            is_ours = path.stem == self._name or path in {one.path for one in self.adopted}
            if not is_ours and (found := SpoolFile.open(path, new=False)):
                self.adopted.append(found)

    def forget(self, file: SpoolFile) -> None:
        """Remove an adopted file in which nothing is left."""
        if file in self.adopted and file.size == 0:
            self.adopted.remove(file)
            file.close()

    def exists(self) -> bool:
        """Whether any process of this machine has spooled something lately."""
        return any(self._folder.glob(f"*{SUFFIX}"))

    def holds(self, text: bytes) -> bool:
        """Whether a text waits in the spool of any process of this machine."""
        own = self.files
        if any(one.holds(text) for one in own):
            return True
        others = set(self._folder.glob(f"*{SUFFIX}")) - {one.path for one in own}
        return any(_holds(path, text) for path in others)

    def reject(self, reasons: Sequence[tuple[str, object]]) -> None:
        """Keep records that the store refuses, with the reasons, where nothing reads them but people."""
        path = self._folder / f"{self._name}{REJECTED}"
        text = b"".join(
            msgspec.json.encode({"reason": reason, "record": record}) + b"\n" for reason, record in reasons
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # as private as the spool
        with os.fdopen(descriptor, "ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fsync_folder(self._folder)

    def close(self) -> None:
        """Give the locks back; what waits stays for the next process."""
        for one in self.files:
            one.close()
        self._own, self.adopted = None, []

    def _make(self) -> SpoolFile:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            # between making and locking it, another process may have taken it for a dead one's
            if found := SpoolFile.open(self._folder / f"{self._name}{SUFFIX}", new=True):
                fsync_folder(self._folder)
                return found
            self._name = uuid4().hex


def payloads(lines: Sequence[bytes]) -> Iterator[bytes | None]:
    """What stands in each line; ``None``: it was damaged on the disk."""
    for line in lines:
        payload = line[9:-1]
        yield payload if line[:8] == b"%08x" % zlib.crc32(payload) else None


def _line(payload: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def _holds(path: Path, text: bytes) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        return _found(file.fileno(), text, 0)
    return False


def _found(descriptor: int, text: bytes, start: int) -> bool:
    # Not mapped into memory: its process may cut it meanwhile, and touching what is gone would be the end.
    before = b""
    while part := os.pread(descriptor, READ_BYTES, start):
        if text in before + part:
            return True
        before, start = part[-len(text) :], start + len(part)
    return False
