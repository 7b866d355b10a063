"""A volume as one compressed file, and the hashes of all that is in it."""

from __future__ import annotations

import gzip
import hashlib
import os
import shlex
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast

from deploy.stack.errors import Failed
from deploy.stack.stack import Stack, say
from deploy.stack.volumes import CONFINED

CHUNK = 1 << 20
LEVEL = 3
"""Of gzip: most of what the volumes hold is compressed already."""
TELL_SECONDS = 5.0
TAR = ("--numeric-owner", "--sort=name", "--hard-dereference", "--format=posix", "--warning=no-file-ignored")
CHANGED = 1
"""Exit code of tar when files changed or went away while it read them."""
Members = dict[str, Any]


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""


class Writable(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take bytes."""


class Tee:
    """A stream that is read once, written elsewhere on the way, and tells how far it is."""

    def __init__(self, source: Readable, target: Writable | None, name: str) -> None:
        self._source, self._target, self._name = source, target, name
        self.bytes, self._told = 0, time.monotonic()

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes."""
        data = self._source.read(size)
        self.bytes += len(data)
        if self._target:
            self._target.write(data)
        if time.monotonic() - self._told > TELL_SECONDS:
            say(f"        {self._name}: {megabytes(self.bytes)}")
            self._told = time.monotonic()
        return data


def pipe(one: IO[Any] | None) -> IO[Any]:
    """The end of a pipe that a process was started with; for the type checker."""
    return cast("IO[Any]", one)


def megabytes(count: int) -> str:
    """For people."""
    return f"{count / 1e6:,.1f} MB"


def members_of(stream: Readable) -> Members:
    """Path -> hash, mode and owner of everything in a tar stream, which is read to its end."""
    found: Members = {}
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=CHUNK) as tar:
        for one in tar:
            about: dict[str, Any] = {"mode": f"{one.mode:04o}", "uid": one.uid, "gid": one.gid}
            if one.isfile():
                digest = hashlib.sha256()
                content = tar.extractfile(one)
                while content and (data := content.read(CHUNK)):
                    digest.update(data)
                about |= {"bytes": one.size, "sha256": digest.hexdigest()}
            elif one.issym():
                about["to"] = one.linkname
            found[one.name] = about
    while stream.read(CHUNK):
        pass
    return found


def save_volume(stack: Stack, name: str, target: Hashing) -> tuple[Members, list[str]]:
    """Write a volume to a file; (what is in it, what tar has to say of files that changed meanwhile).

    Raises
    ------
    Failed: it cannot be read, or not be written.
    """
    with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=LEVEL, mtime=0) as packed:
        return read_volume(stack, name, packed)


def read_volume(stack: Stack, name: str, target: Writable | None = None) -> tuple[Members, list[str]]:
    """What a volume holds; the tar stream goes to a target too, if there is one.

    Raises
    ------
    Failed: it cannot be read.
    """
    mount = ["-v", f"{stack.volume(name)}:/volume:ro", "--cap-add", "DAC_READ_SEARCH", "--read-only"]
    command = ["docker", "run", "--rm", *CONFINED, *mount, "--entrypoint", "tar", stack.airflow_image]
    members: Members = {}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*command, "-C", "/volume", *TAR, "-cf", "-", "."], env=dict(stack.environ),
                                   stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL)  # fmt: skip
        with process, suppress(tarfile.TarError):  # what tar says is the cause
            members = members_of(Tee(pipe(process.stdout), target, f"volume {name}"))
        errors.seek(0)
        told = errors.read().decode("utf-8", "replace").strip().splitlines()
    if process.returncode not in (0, CHANGED) or not members:
        raise Failed(f"cannot be read: {' '.join(told[-3:])}", where=f"volume {stack.volume(name)}")
    return members, told[:20]


def fill_volume(stack: Stack, name: str, source: Readable) -> None:
    """Bring a tar stream into a volume, owners and modes as they were.

    Raises
    ------
    Failed: it cannot be written.
    """
    stack.docker("volume", "create", *labels(stack, name), stack.volume(name))
    rights = [word for one in ("CHOWN", "DAC_OVERRIDE", "FOWNER") for word in ("--cap-add", one)]
    command = ["docker", "run", "--rm", "-i", *CONFINED, *rights, "-v", f"{stack.volume(name)}:/volume", "--read-only",
               "--entrypoint", "tar", stack.airflow_image, "-C", "/volume", "--numeric-owner", "--same-owner", "-xpf", "-"]  # fmt: skip
    with subprocess.Popen(command, env=dict(stack.environ), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        with suppress(BrokenPipeError):  # what tar says is the cause
            tee = Tee(source, process.stdin, f"volume {name}")
            while tee.read():
                pass
        told = process.communicate()[1].decode("utf-8", "replace").strip()
    if process.returncode:
        raise Failed(f"cannot be filled: {told[-500:]}", where=f"volume {stack.volume(name)}")


def labels(stack: Stack, name: str) -> list[str]:
    """Options by which Compose knows a volume as its own."""
    prefix = "com.docker.compose."
    return ["--label", f"{prefix}project={stack.project}", "--label", f"{prefix}volume={name}"]


class Hashing:
    """A file that knows the hash of what was written to it."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target, self._digest = target, hashlib.sha256()
        self.flush = target.flush

    def write(self, data: bytes) -> int:
        """Write and count in."""
        self._digest.update(data)
        return self._target.write(data)

    @property
    def sha256(self) -> str:
        """Hash of all that was written."""
        return self._digest.hexdigest()


@contextmanager
def written(path: Path, encrypt: str) -> Iterator[Hashing]:
    """A new file for its owner alone, on the disk when this ends; through a filter if one is given.

    Raises
    ------
    Failed: the filter ends badly, or before it has read everything.
    """
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        if encrypt:
            process = _filter(encrypt, subprocess.PIPE, file)
            try:
                with process:
                    yield Hashing(pipe(process.stdin))
            except BrokenPipeError as error:
                raise Failed(f"ended early, with {process.returncode}", where=encrypt) from error
            _require(process, encrypt)
        else:
            yield Hashing(file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def opened(path: Path, decrypt: str) -> Iterator[IO[bytes]]:
    """The content of a file, through a filter if one is given.

    Raises
    ------
    Failed: the filter ends badly.
    """
    with path.open("rb") as file:
        if not decrypt:
            yield file
            return
        with _filter(decrypt, file, subprocess.PIPE) as process:
            yield pipe(process.stdout)
        _require(process, decrypt)


@contextmanager
def unpacked(path: Path, decrypt: str) -> Iterator[gzip.GzipFile]:
    """The tar stream in an archive."""
    with opened(path, decrypt) as file, gzip.GzipFile(fileobj=file) as stream:
        yield stream


def _filter(words: str, source: Any, target: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(shlex.split(words), stdin=source, stdout=target)
    except (OSError, ValueError) as error:
        raise Failed(
            f"cannot be started: {error}", where=words, next_step="give a command that filters"
        ) from error


def _require(process: subprocess.Popen[bytes], words: str) -> None:
    if process.returncode:
        raise Failed(f"ended with {process.returncode}", where=words)


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()
