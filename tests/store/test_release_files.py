"""Releases on disk: whole, unchanged, and nothing unpickled before that is certain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.kreislauf.errors import ReleaseError
from include.kreislauf.store.release_files import (
    GOLDEN,
    MANIFEST,
    MODEL,
    SNAPSHOT,
    dump_model,
    load_model,
    load_release,
    write_files,
    write_release,
)
from tests.support.killing import kill_when

ROWS = [{"stars": 9.0, "kind": "language"}, {"stars": 4.0, "kind": "framework"}]
FEATURES = {"numeric": ["stars"], "categorical": {"kind": ["framework", "language"]}}


class Doubling:
    """A model that can be told from every other, and that leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (str(self.mark),)

    def predict(self, frame: pd.DataFrame) -> list[float]:
        return [2 * value for value in frame["stars"]]


def _unpickled(mark: str) -> Doubling:
    Path(mark).touch()
    return Doubling(Path(mark))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Exists as soon as a model was unpickled."""
    return tmp_path / "unpickled"


@pytest.fixture
def files(mark: Path) -> dict[str, bytes]:
    return {
        MODEL: dump_model(Doubling(mark)),
        SNAPSHOT: json.dumps({"python": ROWS[0]}).encode(),
        GOLDEN: json.dumps({"rows": ROWS, "outputs": [18.0, 8.0]}).encode(),
    }


@pytest.fixture
def written(tmp_path: Path, files: dict[str, bytes]) -> tuple[Path, str]:
    """A release's folder and its digest."""
    folder = tmp_path / "releases" / "1"
    manifest = {"use_case": "radar", "version": 1, "features": FEATURES, "note": "größer"}
    _, digest = write_release(folder, manifest, files)
    return folder, digest


def test_a_release_is_loaded_as_it_was_written(written: tuple[Path, str]):
    release = load_release(*written)
    assert (release.version, release.numeric, release.categorical) == (1, ["stars"], FEATURES["categorical"])
    assert release.snapshot == {"python": ROWS[0]}
    assert release.predict(ROWS).tolist() == [18.0, 8.0]
    release.check_golden()


def test_the_same_release_has_the_same_digest_anywhere(files: dict[str, bytes], tmp_path: Path):
    digests = {write_release(tmp_path / name, {"b": 1, "a": 2}, files)[1] for name in ("one", "two")}
    assert len(digests) == 1


def test_golden_rows_that_come_out_otherwise_are_an_error_with_the_difference(
    files: dict[str, bytes], tmp_path: Path
):
    files[GOLDEN] = json.dumps({"rows": ROWS, "outputs": [18.0, 8.5]}).encode()
    manifest = {"use_case": "radar", "version": 7, "features": FEATURES}
    _, digest = write_release(tmp_path / "7", manifest, files)
    with pytest.raises(ReleaseError, match=r"radar release 7: golden rows differ by up to 0\.5"):
        load_release(tmp_path / "7", digest).check_golden()


@pytest.mark.parametrize("name", [MANIFEST, MODEL, SNAPSHOT, GOLDEN])
def test_a_byte_changed_anywhere_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str
):
    folder, digest = written
    content = (folder / name).read_bytes()
    for position in {0, 1, len(content) // 3, len(content) // 2, len(content) - 1}:
        changed = bytearray(content)
        changed[position] ^= 0x01
        (folder / name).write_bytes(changed)
        with pytest.raises(ReleaseError, match="was changed"):
            load_release(folder, digest)
    assert not mark.exists()


@pytest.mark.parametrize(
    "change", [lambda content: content + b"\n", lambda content: content[:-1], lambda _: b""]
)
@pytest.mark.parametrize("name", [MANIFEST, MODEL, SNAPSHOT, GOLDEN])
def test_a_longer_or_shorter_file_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str, change: Any
):
    folder, digest = written
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(ReleaseError, match="was changed"):
        load_release(folder, digest)
    assert not mark.exists()


@pytest.mark.parametrize("name", [MANIFEST, MODEL, SNAPSHOT, GOLDEN])
def test_a_missing_file_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str
):
    folder, digest = written
    (folder / name).unlink()
    with pytest.raises(ReleaseError, match="cannot be read") as caught:
        load_release(folder, digest)
    assert name in caught.value.where
    assert "restore" in caught.value.next_step
    assert not mark.exists()


def test_a_manifest_made_to_fit_a_changed_model_is_refused(
    written: tuple[Path, str], files: dict[str, bytes], mark: Path
):
    folder, digest = written
    forged = {**files, MODEL: dump_model(Doubling(mark.with_name("other")))}
    write_release(folder, {"use_case": "radar", "version": 1, "features": FEATURES, "note": "größer"}, forged)
    with pytest.raises(ReleaseError, match=MANIFEST):
        load_release(folder, digest)
    assert not mark.exists()


def test_another_release_in_its_place_is_refused(written: tuple[Path, str], tmp_path: Path, mark: Path):
    folder, digest = written
    other = tmp_path / "releases" / "2"
    write_release(
        other, {"version": 2}, {name: (folder / name).read_bytes() for name in (MODEL, SNAPSHOT, GOLDEN)}
    )
    shutil.rmtree(folder)
    other.rename(folder)
    with pytest.raises(ReleaseError, match="was changed"):
        load_release(folder, digest)
    assert not mark.exists()


@pytest.mark.parametrize("name", [MODEL, SNAPSHOT, GOLDEN])
def test_a_release_that_was_written_without_a_file_says_which(
    files: dict[str, bytes], tmp_path: Path, mark: Path, name: str
):
    del files[name]
    _, digest = write_release(tmp_path / "1", {"version": 1}, files)
    with pytest.raises(ReleaseError, match=f"lacks {name}"):
        load_release(tmp_path / "1", digest)
    assert not mark.exists()


def test_one_model_is_unpickled_only_with_the_right_hash(files: dict[str, bytes], tmp_path: Path, mark: Path):
    hashes = write_files(tmp_path / "candidates", files)
    with pytest.raises(ReleaseError, match="was changed"):
        load_model(tmp_path / "candidates" / MODEL, hashes[GOLDEN])
    assert not mark.exists()
    assert load_model(tmp_path / "candidates" / MODEL, hashes[MODEL]).predict(pd.DataFrame(ROWS)) == [
        18.0,
        8.0,
    ]


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
from include.kreislauf.store.release_files import write_files

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
