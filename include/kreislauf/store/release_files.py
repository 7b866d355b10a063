"""A release on disk: an immutable folder with a manifest that names the SHA-256 of every file.

Written to a temporary name, flushed to the disk, renamed; recorded in the store last. Whoever loads one compares the
manifest with the digest in the store and every file with the manifest before a single byte of it is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import ReleaseError

MANIFEST = "manifest.json"
MODEL = "model.joblib"
SNAPSHOT = "snapshot.json"
GOLDEN = "golden.json"


@dataclass(frozen=True)
class LoadedRelease:
    """A verified release, ready to predict.

    Parameters
    ----------
    manifest: what the release is and what it was made from.
    model: a fitted scikit-learn pipeline that takes a frame with the columns ``numeric`` + ``categorical``.
    snapshot: entity name -> its latest features when the release was made; these are the entities the model knows.
    golden: input rows and the outputs they must give.
    """

    manifest: dict[str, Any]
    model: Any
    snapshot: dict[str, dict[str, Any]]
    golden: dict[str, Any]

    @property
    def version(self) -> int:
        """Number of the release within its use case."""
        return int(self.manifest["version"])

    @property
    def numeric(self) -> list[str]:
        """Names of the numeric features, in the model's order."""
        return list(self.manifest["features"]["numeric"])

    @property
    def categorical(self) -> dict[str, list[str]]:
        """Names of the categorical features, each with the values seen in training."""
        return dict(self.manifest["features"]["categorical"])

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """Predictions for rows that hold every feature; shape (len(rows),)."""
        columns = [*self.numeric, *self.categorical]
        frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows], columns=columns)
        frame[self.numeric] = frame[self.numeric].astype(float)
        return np.asarray(self.model.predict(frame), dtype=np.float64)

    def check_golden(self, tolerance: float = 1e-9) -> None:
        """Predict the golden rows and compare.

        Raises
        ------
        ReleaseError: an output differs by more than ``tolerance`` (relative).
        """
        expected = np.asarray(self.golden["outputs"], dtype=np.float64)
        found = self.predict(self.golden["rows"])
        if not np.allclose(found, expected, rtol=tolerance, atol=tolerance):
            raise ReleaseError(
                f"golden rows differ by up to {np.max(np.abs(found - expected)):.3g}",
                where=f"{self.manifest['use_case']} release {self.version}",
                next_step="compare the library versions in the manifest with the installed ones",
            )


def dump_model(model: Any) -> bytes:
    """A fitted model as bytes, to be hashed and written."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=3)
    return buffer.getvalue()


def load_model(path: Path, sha256: str) -> Any:
    """Unpickle one model file after its hash was found right.

    Raises
    ------
    ReleaseError: the file is missing or was changed.
    """
    return joblib.load(io.BytesIO(read_verified(path, sha256)))


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
    _fsync_folder(target)
    _fsync_folder(target.parent)
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def write_release(
    target: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]
) -> tuple[dict[str, Any], str]:
    """Write a release folder; returns its manifest with the files' hashes, and the manifest's digest."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    complete = {**manifest, "files": hashes}
    text = json.dumps(complete, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    write_files(target, {**files, MANIFEST: text})
    return complete, hashlib.sha256(text).hexdigest()


def load_release(path: Path, digest: str) -> LoadedRelease:
    """Verify and load a release.

    Parameters
    ----------
    digest: SHA-256 of the manifest, as the store has it.

    Raises
    ------
    ReleaseError: a file is missing, or was changed after the release was written.
    """
    manifest = json.loads(read_verified(path / MANIFEST, digest))
    if lacking := {MODEL, SNAPSHOT, GOLDEN} - set(manifest["files"]):
        raise ReleaseError(f"the release lacks {', '.join(sorted(lacking))}", where=str(path / MANIFEST),
                           next_step="make the release again, or promote another")  # fmt: skip
    content = {name: read_verified(path / name, sha256) for name, sha256 in manifest["files"].items()}
    return LoadedRelease(
        manifest=manifest,
        model=joblib.load(io.BytesIO(content[MODEL])),
        snapshot=json.loads(content[SNAPSHOT]),
        golden=json.loads(content[GOLDEN]),
    )


def read_verified(path: Path, sha256: str) -> bytes:
    """The content of a file whose hash is right.

    Raises
    ------
    ReleaseError: the file is missing or was changed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot be read: {error.strerror}", where=str(path),
                           next_step="restore the file, or promote another release") from error  # fmt: skip
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ReleaseError("was changed after it was written (SHA-256 differs)", where=str(path),
                           next_step="restore the file, or promote another release")  # fmt: skip
    return content


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
