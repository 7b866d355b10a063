"""gzip_lines: whole lines, and no silence about a damaged file."""

from __future__ import annotations

import gzip
import io
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from include.kreislauf.collection.gzip_lines import (
    BLOCK_BYTES,
    DEFAULT_LIMITS,
    Limits,
    blocks,
    lines_of,
)
from include.kreislauf.errors import SourceError

CONTENT = b"".join(b'{"number": %d, "text": "%d"}\n' % (number, number**7) for number in range(40))
PACKED = gzip.compress(CONTENT, mtime=0)


def read(packed: bytes, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    found = []
    for block in blocks(io.BytesIO(packed), "events.json.gz", limits):
        found += [bytes(line) for line in lines_of(block)]
    return found


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=40), st.booleans()
)
def test_lines_are_those_of_the_file(lines: list[bytes], ended: bool):
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    expected = content.split(b"\n")
    assert read(gzip.compress(content)) == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_a_line_longer_than_a_block_is_whole(size: int):
    lines = [b"a", random.Random(size).randbytes(size).replace(b"\n", b"_"), b"", b"b" * size, b"c"]
    assert read(gzip.compress(b"\n".join(lines), 1), Limits(max_ratio=2000)) == lines


def test_blocks_end_with_their_lines():
    content = b"".join(b"%d\n" % number for number in range(300_000))
    found = [bytes(block) for block in blocks(io.BytesIO(gzip.compress(content, 1)), "")]
    assert len(found) > 2
    assert b"".join(found) == content
    assert all(block.endswith(b"\n") for block in found)


def test_members_are_one_file():
    halves = CONTENT[:333], CONTENT[333:]
    packed = b"".join(map(gzip.compress, halves)) + bytes(20)  # RFC 1952 leaves room for padding
    assert b"\n".join(read(packed)) + b"\n" == CONTENT


def test_a_file_cut_at_any_offset_gives_nothing():
    for end in range(len(PACKED)):
        with pytest.raises(SourceError, match=r"events\.json\.gz: .*deliver") as caught:
            read(PACKED[:end])
        assert not caught.value.transient


def test_a_second_member_cut_at_any_offset_gives_nothing():
    for end in range(1, len(PACKED)):
        with pytest.raises(SourceError):
            read(PACKED + PACKED[:end])


def test_a_changed_byte_is_noticed_or_changes_nothing():
    """Time and system in the header mean nothing here; the last byte of the data may have bits that are not used."""
    unnoticed = set()
    for place in range(len(PACKED)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(PACKED)
            damaged[place] ^= flip
            try:
                assert b"\n".join(read(bytes(damaged))) + b"\n" == CONTENT
                unnoticed.add(place)
            except SourceError:
                pass
    assert unnoticed <= {*range(3, 10), len(PACKED) - 9}


@pytest.mark.parametrize("behind", [b"garbage", b"\x1f", b"\x00garbage", b"\n", b"\x1f\x8b\x08"])
def test_garbage_behind_the_end_is_an_error(behind: bytes):
    with pytest.raises(SourceError):
        read(PACKED + behind)


@pytest.mark.parametrize(("packed", "said"), [
    (b"", "is empty"), (b'{"plain": 1}\n', "not gzip"), (b"PK\x03\x04" + bytes(60), "not gzip"),
    (isal_zlib.compress(CONTENT), "not gzip"), (PACKED[:-8] + bytes(4) + PACKED[-4:], "CRC"),
    (PACKED[:-4] + bytes(4), "length"), (PACKED[:-1], "ends in the middle"),
])  # fmt: skip
def test_the_error_says_what_is_wrong(packed: bytes, said: str):
    with pytest.raises(SourceError, match=said):
        read(packed)


@pytest.mark.parametrize(("limits", "said"), [
    (Limits(max_ratio=50), "more than 50 times"), (Limits(max_bytes=2_000_000), "more than 2,000,000 bytes"),
])  # fmt: skip
def test_a_bomb_is_stopped_before_it_is_unpacked(limits: Limits, said: str):
    seen = 0
    bomb = gzip.compress(bytes(1023) + b"\n") + gzip.compress((b"0" * 1023 + b"\n") * 60_000)
    with pytest.raises(SourceError, match=said):
        for block in blocks(io.BytesIO(bomb), "bomb", limits):
            seen += len(block)
    assert seen <= max(limits.max_ratio * len(bomb), limits.ratio_from)


def test_small_files_may_be_repetitive():
    assert read(gzip.compress(b"0" * DEFAULT_LIMITS.ratio_from)) == [b"0" * DEFAULT_LIMITS.ratio_from]


def test_an_endless_line_is_stopped():
    with pytest.raises(SourceError, match="line is longer than 700,000 bytes"):
        read(gzip.compress(b"x\n" + b"y" * 3_000_000), Limits(max_line=700_000, max_ratio=5000))


class Broken(io.BytesIO):
    """A disk that fails."""

    def readinto(self, _: object) -> int:
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails_may_be_asked_again():
    with pytest.raises(SourceError, match="Input/output error") as caught:
        list(blocks(Broken(), "disk"))
    assert caught.value.transient


def test_line_numbers_can_be_told_from_the_order_of_the_lines():
    numbers = [int(line.split(b" ")[1].strip(b",")) for line in read(PACKED)]
    assert all(after == before + 1 for before, after in pairwise(numbers))
