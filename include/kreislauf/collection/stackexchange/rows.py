"""Rows of a Stack Exchange data dump: one ``<row …/>`` after the other, in files larger than any memory.

Expat is driven directly, as no tree is wanted. A document type is refused where it begins, before any entity could be
declared: there are no entities to expand, and none to fetch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from include.kreislauf.collection.gzip_lines import Limits, blocks
from include.kreislauf.errors import SourceError

BLOCK = 256 * 1024
MAX_ROW = 16 * 1024 * 1024
"""Bytes of one row; a post has at most some 100 kB."""
LIMITS = Limits(max_bytes=1024**4, max_line=MAX_ROW)
"""The posts of Stack Overflow have some 100 GB."""
Row = dict[str, str]


def rows(file: BinaryIO, root: str, where: str, *, packed: bool) -> Iterator[list[Row]]:
    """Attributes of every row, some at a time; ends only after the whole file was found to be sound.

    Parameters
    ----------
    root: name of the outermost element, such as ``posts``.
    packed: whether the file is compressed by gzip.

    Raises
    ------
    SourceError: the file is cut off, damaged, not such a dump, a bomb, or holds a document type; nothing that was
        given before may count.
    """
    found = _Rows(root, where)
    with _faults(where):
        for block in blocks(file, where, LIMITS) if packed else iter(lambda: file.read(BLOCK), b""):
            yield found.feed(block)
        yield found.feed(b"", last=True)


class _Rows:
    """Collects the rows of the blocks that were fed."""

    def __init__(self, root: str, where: str) -> None:
        self._root, self._where = root, where
        self._depth = self._fed = 0
        self._found: list[Row] = []
        self._parser: Any = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, block: bytes | memoryview, *, last: bool = False) -> list[Row]:
        """The rows that begin in a block."""
        self._found = []
        self._parser.Parse(block, last)
        self._fed += len(block)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > MAX_ROW:
            raise SourceError(f"one row has more than {MAX_ROW} bytes", where=self._where)
        return self._found

    def _start(self, name: str, attributes: Row) -> None:
        self._depth += 1
        if self._depth == 2 and name == "row":
            self._found.append(attributes)
        elif self._depth != 1 or name != self._root:
            raise SourceError(
                f"<{name}> in line {self._parser.CurrentLineNumber}", where=self._where,
                allowed=f"<row> within <{self._root}>", next_step="name a file of a Stack Exchange data dump",
            )  # fmt: skip

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _doctype(self, *_: Any) -> NoReturn:
        raise SourceError("holds a document type (DOCTYPE), which no dump has", where=self._where)


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """What Expat says of a damaged file."""
    try:
        yield
    except expat.ExpatError as error:
        raise SourceError(
            f"is no well-formed XML ({error})", where=where, next_step="have the file delivered again"
        ) from error
