"""Releases on disk: whole, signed, unchanged, and nothing unpickled before that is certain."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.kreislauf.errors import ReleaseError
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store.disk import write_files
from include.kreislauf.store.release_files import (
    GOLDEN,
    MANIFEST,
    MAX_MANIFEST,
    MODEL,
    SIGNATURE,
    SNAPSHOT,
    LoadedRelease,
    dump_model,
    load_model,
    load_release,
    load_row,
    release_path,
    write_release,
)
from include.kreislauf.store.signing import SigningKey, TrustedKeys
from tests.support.examples import release as example
from tests.support.tampering import WAYS, tamper_and_load

ROWS = [{"stars": 9.0, "kind": "language"}, {"stars": 4.0, "kind": "framework"}]
FEATURES = {"numeric": ["stars"], "categorical": {"kind": ["framework", "language"]}}
ABOUT = {"use_case": "radar", "version": 1, "features": FEATURES, "note": "größer"}
KEY = SigningKey.new()
TRUSTED = TrustedKeys.from_keys([KEY.private.public_key()])
CHANGED = "was changed|no trusted key"
EVERY_FILE = [MANIFEST, SIGNATURE, MODEL, SNAPSHOT, GOLDEN]


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
    return folder, write_release(folder, ABOUT, files, KEY)[1]


def load(written: tuple[Path, str], **asked: Any) -> LoadedRelease:
    """The release as it is asked for, with its model, as a service without a compiled one would load it."""
    release = load_release(*written, **{"keys": TRUSTED, "use_case": "radar", "version": 1, **asked})
    release.load_model()
    return release


def test_a_release_is_loaded_as_it_was_written(written: tuple[Path, str]):
    release = load(written)
    assert (release.version, release.numeric, release.categorical) == (1, ["stars"], FEATURES["categorical"])
    assert release.snapshot == {"python": ROWS[0]}
    assert release.load_model().predict(pd.DataFrame(ROWS)) == release.golden["outputs"] == [18.0, 8.0]


def test_a_release_keeps_the_verified_bytes_of_all_but_its_model(
    written: tuple[Path, str], files: dict[str, bytes]
):
    release = load(written)
    assert release.files == {name: content for name, content in files.items() if name != MODEL}
    assert (release.use_case, release.signed_by) == ("radar", KEY.id)


def test_loading_a_release_unpickles_nothing_until_the_model_is_asked_for(
    written: tuple[Path, str], mark: Path
):
    release = load_release(*written, TRUSTED, use_case="radar", version=1)
    assert not mark.exists()
    release.load_model()
    assert mark.exists()


def test_the_same_release_has_the_same_digest_anywhere(files: dict[str, bytes], tmp_path: Path):
    digests = {write_release(tmp_path / name, {"b": 1, "a": 2}, files, KEY)[1] for name in ("one", "two")}
    assert len(digests) == 1


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_byte_changed_anywhere_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str
):
    folder, digest = written
    content = (folder / name).read_bytes()
    for position in {0, 1, len(content) // 3, len(content) // 2, len(content) - 1}:
        changed = bytearray(content)
        changed[position] ^= 0x01
        (folder / name).write_bytes(changed)
        with pytest.raises(ReleaseError, match=CHANGED):
            load((folder, digest))
    assert not mark.exists()


@pytest.mark.parametrize(
    "change", [lambda content: content + b"\n", lambda content: content[:-1], lambda _: b""]
)
@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_longer_or_shorter_file_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str, change: Any
):
    folder, digest = written
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(ReleaseError, match=CHANGED):
        load((folder, digest))
    assert not mark.exists()


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_missing_file_is_refused_before_anything_is_unpickled(
    written: tuple[Path, str], mark: Path, name: str
):
    folder, digest = written
    (folder / name).unlink()
    with pytest.raises(ReleaseError, match="cannot be read") as caught:
        load((folder, digest))
    assert name in caught.value.where
    assert "restore" in caught.value.next_step
    assert not mark.exists()


def test_a_manifest_made_to_fit_a_changed_model_is_refused(
    written: tuple[Path, str], files: dict[str, bytes], mark: Path
):
    folder, digest = written
    forged = {**files, MODEL: dump_model(Doubling(mark.with_name("other")))}
    _, forged_digest = write_release(folder, ABOUT, forged, SigningKey.new())
    for known in (digest, forged_digest):
        with pytest.raises(ReleaseError, match=MANIFEST):
            load((folder, known))
    assert not mark.exists()


def test_another_release_in_its_place_is_refused(written: tuple[Path, str], tmp_path: Path, mark: Path):
    folder, digest = written
    other = tmp_path / "releases" / "2"
    content = {name: (folder / name).read_bytes() for name in (MODEL, SNAPSHOT, GOLDEN)}
    _, its_digest = write_release(other, {**ABOUT, "version": 2}, content, KEY)
    shutil.rmtree(folder)
    other.rename(folder)
    with pytest.raises(ReleaseError, match="was changed"):
        load((folder, digest))
    with pytest.raises(ReleaseError, match="is radar release 2, not radar release 1"):
        load((folder, its_digest))
    with pytest.raises(ReleaseError, match="is radar release 2, not churn release 2"):
        load((folder, its_digest), use_case="churn", version=2)
    assert not mark.exists()


def test_what_was_not_signed_must_not_be_there(written: tuple[Path, str], mark: Path):
    (written[0] / "trees_1.bin").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"holds what was not signed: trees_1\.bin"):
        load(written)
    assert not mark.exists()


def test_a_release_of_a_key_that_is_no_longer_trusted_is_refused(written: tuple[Path, str], mark: Path):
    with pytest.raises(ReleaseError, match="no trusted key"):
        load(written, keys=TrustedKeys.from_keys([SigningKey.new().private.public_key()]))
    assert not mark.exists()


def test_a_model_exchanged_after_the_release_was_loaded_is_not_unpickled(
    written: tuple[Path, str], mark: Path
):
    release = load_release(*written, TRUSTED, use_case="radar", version=1)
    (written[0] / MODEL).write_bytes(dump_model(Doubling(mark.with_name("other"))))
    with pytest.raises(ReleaseError, match="was changed"):
        release.load_model()
    assert not mark.exists()


@pytest.mark.parametrize("name", [MODEL, SNAPSHOT, GOLDEN])
def test_a_release_that_was_written_without_a_file_says_which(
    files: dict[str, bytes], tmp_path: Path, mark: Path, name: str
):
    del files[name]
    with pytest.raises(ReleaseError, match=f"lacks {name}"):
        write_release(tmp_path / "1", ABOUT, files, KEY)
    with pytest.raises(ReleaseError, match=f"lacks {name}"):
        load((tmp_path / "1", signed(tmp_path / "1", files)))
    assert not mark.exists()


def signed(folder: Path, content: dict[str, bytes], **changed: Any) -> str:
    """A folder that the key's owner signed without looking; returns its digest."""
    hashes = {name: hashlib.sha256(one).hexdigest() for name, one in content.items()}
    text = json.dumps({**ABOUT, "files": hashes, **changed}).encode()
    write_files(folder, {**content, MANIFEST: text, SIGNATURE: KEY.sign(text)})
    return hashlib.sha256(text).hexdigest()


NAMES = [
    "../model.joblib",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    ".hidden",
    "",
    "a b",
    "a\x00",
    MANIFEST,
    SIGNATURE,
    "x" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_names_only_files_of_its_own_folder(files: dict[str, bytes], tmp_path: Path, name: str):
    with pytest.raises(ReleaseError, match="names a file"):
        write_release(tmp_path / "1", ABOUT, {**files, name: b""}, KEY)
    hashes = {one: hashlib.sha256(content).hexdigest() for one, content in files.items()}
    digest = signed(tmp_path / "2", files, files={**hashes, name: hashlib.sha256(b"").hexdigest()})
    with pytest.raises(ReleaseError, match="names a file"):
        load((tmp_path / "2", digest))


@pytest.mark.parametrize("hashes", [None, [], {MODEL: 1}, {MODEL: "0" * 63}, {MODEL: "G" * 64}])
def test_a_manifest_without_hashes_is_refused(files: dict[str, bytes], tmp_path: Path, hashes: Any):
    with pytest.raises(ReleaseError, match=r"names no files|has no SHA-256"):
        load((tmp_path / "1", signed(tmp_path / "1", files, files=hashes)))


def test_a_manifest_beyond_the_limit_is_refused(files: dict[str, bytes], tmp_path: Path):
    with pytest.raises(ReleaseError, match="at most 1048576 bytes"):
        write_release(tmp_path / "1", {**ABOUT, "note": "x" * MAX_MANIFEST}, files, KEY)
    with pytest.raises(ReleaseError, match="at most 1048576 bytes"):
        load((tmp_path / "1", signed(tmp_path / "1", files, note="x" * MAX_MANIFEST)))


def test_two_hundred_releases_tampered_with_are_two_hundred_refused(tmp_path: Path):
    found = tamper_and_load(200, seed=5, folder=tmp_path)
    assert (found["refused"], found["escaped"], found["marks"]) == (200, [], 0)
    assert found["genuine"] == 6
    assert len(found["by_way"]) == len(WAYS)


# Where releases stand


def test_releases_are_found_where_the_home_has_moved(files: dict[str, bytes], tmp_path: Path):
    before = Settings(home=tmp_path / "before", signing_key="", trusted_keys="")
    name = "releases/radar/0001-c0001-1"
    manifest, digest = write_release(before.artefacts / name, ABOUT, files, SigningKey.of(before))
    row = example(1, path=name, digest=digest, manifest=manifest)
    assert load_row(before, row).version == 1
    before.home.rename(tmp_path / "after")
    assert load_row(before.model_copy(update={"home": tmp_path / "after"}), row).version == 1


def test_releases_of_older_stores_are_found_by_their_whole_path(tmp_path: Path):
    settings = Settings(home=tmp_path)
    assert release_path(settings, example(1, path="/srv/releases/1")) == Path("/srv/releases/1")
    assert release_path(settings, example(1, path="releases/1")) == tmp_path / "artefacts" / "releases" / "1"


# In a process of its own: nothing else has imported what must not be there.
LOADER = """
import sys
from pathlib import Path
from include.kreislauf.store.release_files import load_release
from include.kreislauf.store.signing import TrustedKeys
from cryptography.hazmat.primitives.serialization import load_pem_public_key

keys = TrustedKeys.from_keys([load_pem_public_key(sys.argv[3].encode())])
assert load_release(Path(sys.argv[1]), sys.argv[2], keys, use_case="radar", version=1).golden["rows"]
print([name for name in ("pandas", "joblib", "sklearn", "numpy", "scipy") if name in sys.modules])
"""


def test_a_release_is_verified_without_pandas_joblib_and_scikit_learn(written: tuple[Path, str]):
    command = [sys.executable, "-c", LOADER, *map(str, written), KEY.public_pem.decode()]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


UNPICKLING = """
import pickle
import joblib
from pickle import loads, Unpickler
from joblib import load
import cloudpickle

joblib.load("model")
pickle.loads(b"")
pickle.load(open("model", "rb"))
pickle.Unpickler
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [("include/kreislauf/service/other.py", 8), ("include/kreislauf/store/release_files.py", 0)],
)
def test_no_other_module_may_unpickle(path: str, found: int):
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise",
               "--stdin-filename", path, "-"]  # fmt: skip
    said = subprocess.run(command, cwd=ROOT, input=UNPICKLING, capture_output=True, text=True).stdout
    assert said.count("TID251") == found, said


def test_one_model_is_unpickled_only_with_the_right_hash(files: dict[str, bytes], tmp_path: Path, mark: Path):
    hashes = write_files(tmp_path / "candidates", files)
    with pytest.raises(ReleaseError, match="was changed"):
        load_model(tmp_path / "candidates" / MODEL, hashes[GOLDEN])
    assert not mark.exists()
    assert load_model(tmp_path / "candidates" / MODEL, hashes[MODEL]).predict(pd.DataFrame(ROWS)) == [
        18.0,
        8.0,
    ]
