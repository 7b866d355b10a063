"""Folders that are whole or not there, and files that are what they were."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from include.kreislauf.errors import ReleaseError
from include.kreislauf.store import disk
from include.kreislauf.store.disk import hash_file, read_verified, write_files, write_once
from tests.support.killing import kill_when


def test_a_folder_written_again_holds_only_the_new_files(tmp_path: Path):
    target = tmp_path / "1"
    write_files(target, {"old": b"1", "both": b"1"})
    write_files(target, {"new": b"2", "both": b"2"})
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"new": b"2", "both": b"2"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path):
    target = tmp_path / "1"
    write_files(target, {"old": b"1"})
    with pytest.raises(OSError, match="No such file"):
        write_files(target, {"good": b"2", "no/such/folder": b"2"})
    assert (target / "old").read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [target]


# the second file is asked for when the first stands on the disk
WRITER = """
import sys, time
from pathlib import Path
from include.kreislauf.store.disk import write_files

class Files(dict):
    def items(self):
        yield "model.joblib", b"half a release"
        yield "golden.json", b"the next file"
        Path(sys.argv[2]).touch()
        time.sleep(600)

write_files(Path(sys.argv[1]), Files())
"""


@pytest.mark.parametrize("replaced", [False, True])
def test_a_killed_writer_leaves_nothing_of_the_name_or_what_was_there(tmp_path: Path, replaced: bool):
    target, reached = tmp_path / "releases" / "1", tmp_path / "reached"
    if replaced:
        write_files(target, {"old": b"1"})
    kill_when(reached.exists, WRITER, str(target), str(reached))
    assert ([path.name for path in target.iterdir()] if replaced else target.exists()) == (
        ["old"] if replaced else False
    )
    assert write_files(target, {"new": b"2"})
    assert [path.name for path in target.iterdir()] == ["new"]


def test_what_is_written_once_is_not_replaced(tmp_path: Path):
    for content in (b"first", b"second"):
        write_once(tmp_path / "key", content, 0o600)
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_file_is_read_only_with_its_hash(tmp_path: Path):
    (tmp_path / "one").write_bytes(b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    assert (read_verified(tmp_path / "one", sha256), hash_file(tmp_path / "one")) == (b"content", sha256)
    with pytest.raises(ReleaseError, match="was changed"):
        read_verified(tmp_path / "one", "0" * 64)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(disk.MAX_FILE + 1)  # takes no room on the disk
    with pytest.raises(ReleaseError, match=f"has {disk.MAX_FILE + 1} bytes"):
        hash_file(tmp_path / "huge")


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device"])
def test_only_ordinary_files_are_read_and_nobody_waits_for_a_pipe(tmp_path: Path, kind: str):
    path = tmp_path / "one"
    (tmp_path / "target").write_bytes(b"content")
    {
        "pipe": lambda: os.mkfifo(path), "folder": path.mkdir, "link": lambda: path.symlink_to(tmp_path / "target"),
        "device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()  # fmt: skip
    with pytest.raises(ReleaseError, match=r"is no ordinary file|cannot be read"):
        hash_file(path)
