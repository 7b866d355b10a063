"""Lines of a gzip file, in blocks, by ISA-L: at the speed of ``igzip``, and with nothing counted before its end.

The head of a damaged file looks sound. Whoever reads here gets an exception out of the iteration where the file ends
early, fails its checksum, or has something else behind it: what was read up to then must not be used.

Source: RFC 1952 (a file is one or more members; each ends with CRC-32 and length; zeros may follow the last one).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import BinaryIO

from isal import isal_zlib

from include.kreislauf.errors import SourceError

BLOCK_BYTES = 512 * 1024
"""Stays in the second-level cache of most machines; larger is not faster."""
COMPRESSED_BYTES = 128 * 1024


@dataclass(frozen=True)
class Limits:
    """What a file may cost.

    Parameters
    ----------
    max_bytes: of the whole file, decompressed.
    max_ratio: decompressed to compressed, looked at once more than ``ratio_from`` bytes came out. Text has 5 to 20.
    max_line: bytes of one line.
    """

    max_bytes: int = 8 * 1024**3
    max_ratio: float = 200.0
    ratio_from: int = 1024**2
    max_line: int = 16 * 1024**2


DEFAULT_LIMITS = Limits()


def blocks(file: BinaryIO, where: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[memoryview]:
    """Blocks of whole lines; only the file's last line may lack its line end.

    A block is overwritten by the next one: copy what has to stay.

    Parameters
    ----------
    file: the compressed bytes.
    where: the file's name, for errors.

    Raises
    ------
    SourceError: not gzip, cut off, damaged, followed by something else, or over the limits.
    """
    packed = _Measured(file)
    # What igzip.IGzipFile stands on: members, checksums and lengths are its work; one copy less for each byte.
    unpacked = isal_zlib._GzipReader(packed, COMPRESSED_BYTES)  # type: ignore[arg-type]
    buffer, filled, total = bytearray(BLOCK_BYTES), 0, 0
    while got := _fill(unpacked, memoryview(buffer)[filled:], where):
        total += got
        _check(total, packed.bytes, limits, where)
        searched, filled = filled, filled + got
        end = buffer.rfind(b"\n", searched, filled) + 1
        if end:
            yield memoryview(buffer)[:end]
            buffer[: filled - end] = memoryview(buffer)[end:filled]
            filled -= end
        if filled > limits.max_line:
            raise _over(f"a line is longer than {limits.max_line:,} bytes", where)
        if filled == len(buffer):
            buffer = buffer + bytearray(len(buffer))
    if not packed.bytes:
        raise _damaged("is empty", where)
    if filled:
        yield memoryview(buffer)[:filled]


def lines_of(block: memoryview) -> Iterator[memoryview]:
    """The lines of a block, without their line ends."""
    find, start, end = block.obj.find, 0, len(block)  # type: ignore[attr-defined]
    while start < end:
        stop = find(b"\n", start, end)
        if stop < 0:
            stop = end
        yield block[start:stop]
        start = stop + 1


class _Measured(io.RawIOBase):
    """A file that counts what was read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.bytes = file, 0

    def read(self, size: int = -1) -> bytes:
        given = self._file.read(size)
        self.bytes += len(given)
        return given

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Into the decompressor's own buffer: a new one each time would cost a fifth more."""
        given: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self.bytes += given
        return given


def _fill(unpacked: isal_zlib._GzipReader, space: memoryview, where: str) -> int:
    """Bytes that were decompressed into a space; 0: the file's end was reached, and its checksum was right."""
    try:
        return int(unpacked.readinto(space))
    except EOFError as error:
        raise _damaged("ends in the middle of its data", where) from error
    except (BadGzipFile, isal_zlib.error) as error:  # type: ignore[misc]
        raise _damaged(f"is damaged, or not gzip: {error}", where) from error
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error}", where=where, next_step="try again later", transient=True
        ) from error


def _check(out: int, read: int, limits: Limits, where: str) -> None:
    if out > limits.max_bytes:
        raise _over(f"has more than {limits.max_bytes:,} bytes when decompressed", where)
    if out > limits.ratio_from and out > limits.max_ratio * read:
        raise _over(f"decompresses to more than {limits.max_ratio:g} times its size", where)


def _damaged(what: str, where: str) -> SourceError:
    return SourceError(
        what, where=where, allowed="a complete gzip file", next_step="have the file delivered again"
    )


def _over(what: str, where: str) -> SourceError:
    return SourceError(what, where=where, next_step="look at what this file is: nothing of it was counted")
