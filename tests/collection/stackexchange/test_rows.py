"""Rows of a dump: every one, or none of a file that is damaged, hostile or of another kind."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.collection.stackexchange.rows import BLOCK, MAX_ROW, rows
from include.kreislauf.errors import SourceError

HEAD, TAIL = b'<?xml version="1.0" encoding="utf-8"?>\n<posts>\n', b"</posts>"
SOUND = HEAD + b'  <row Id="1" Body="&lt;p&gt;&#xA;" />\n  <row Id="2" Body="\xc3\xa9" ></row>\n' + TAIL


def read(content: bytes, *, packed: bool = False, root: str = "posts") -> list[dict[str, str]]:
    return [row for some in rows(io.BytesIO(content), root, "Posts.xml", packed=packed) for row in some]


@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_their_attributes(packed: bool):
    content = gzip.compress(SOUND) if packed else SOUND
    assert read(content, packed=packed) == [{"Id": "1", "Body": "<p>\n"}, {"Id": "2", "Body": "é"}]


@given(st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=50), max_size=30))
def test_every_row_is_found(texts: list[str]):
    from xml.sax.saxutils import quoteattr

    content = "<posts>" + "\n".join(f"<row T={quoteattr(text)}/>" for text in texts) + "</posts>"
    assert [row["T"] for row in read(content.encode())] == texts


def test_files_are_larger_than_a_block():
    row = b'<row Id="1" Body="' + b"x" * 1000 + b'"/>\n'
    number = 3 * BLOCK // len(row)
    assert len(read(HEAD + row * number + TAIL)) == number


def test_a_file_that_is_cut_off_anywhere_is_refused():
    for end in range(len(SOUND)):
        with pytest.raises(SourceError):
            read(SOUND[:end])


def test_a_packed_file_that_is_cut_off_anywhere_is_refused():
    content = gzip.compress(SOUND)
    for end in range(len(content)):
        with pytest.raises(SourceError):
            read(content[:end], packed=True)


def test_a_packed_file_with_a_wrong_byte_is_refused_or_the_same():
    content = gzip.compress(SOUND, mtime=0)
    for place in range(10, len(content)):  # before it: header fields without meaning for the content
        changed = bytearray(content)
        changed[place] ^= 0x10
        with pytest.raises(SourceError):
            read(bytes(changed), packed=True)


@pytest.mark.parametrize(("content", "said"), [
    (b"<tags><row/></tags>", "<tags> in line 1"),
    (HEAD + b"<note/>" + TAIL, "<note> in line 3"),
    (HEAD + b"<row><row/></row>" + TAIL, "<row> in line 3"),
    (HEAD + b"<row Id=1/>" + TAIL, "well-formed"),
    (HEAD + b'<row Id="\xff"/>' + TAIL, "well-formed"),
    (HEAD + b'<row Id="&unknown;"/>' + TAIL, "well-formed"),
    (SOUND + b"<posts/>", "well-formed"),
    (b"", "well-formed"),
    (b"{}", "well-formed"),
])  # fmt: skip
def test_another_file_is_refused(content: bytes, said: str):
    with pytest.raises(SourceError, match=said) as found:
        read(content)
    assert found.value.where == "Posts.xml"


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))


@pytest.mark.parametrize("declared", [
    b'<!DOCTYPE posts [<!ENTITY l0 "ha">' + LAUGHS + b"]>",
    b'<!DOCTYPE posts [<!ENTITY l11 "' + b"x" * 200_000 + b'">]>',
    b'<!DOCTYPE posts [<!ENTITY l11 SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE posts SYSTEM "http://127.0.0.1/x.dtd">',
], ids=["billion laughs", "quadratic", "file", "address"])  # fmt: skip
def test_a_bomb_is_refused_before_it_grows(declared: bytes):
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="DOCTYPE"):
            read(declared + b'<posts><row T="' + b"&l11;" * 1000 + b'"/></posts>')
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


def test_a_row_without_end_is_refused():
    with pytest.raises(SourceError, match="one row has more than"):
        read(HEAD + b'<row T="' + b"x" * (MAX_ROW + 2 * BLOCK))


def test_a_packed_bomb_is_refused():
    with pytest.raises(SourceError):
        read(gzip.compress(HEAD + (b" " * 99 + b"\n") * 300_000 + TAIL), packed=True)
