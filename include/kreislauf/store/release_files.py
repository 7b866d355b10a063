"""A release on disk: an immutable, signed folder with a manifest that names the SHA-256 of every file.

Written to a temporary name, flushed to the disk, renamed; recorded in the store last. One function loads it, and trusts
nothing before it is proved: first the bytes of the manifest (digest in the store, signature by a trusted key), then which
release it is, then every file against the manifest. What was verified are the bytes that are used: no file is read
anew after its hash was found right.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.kreislauf.errors import ReleaseError
from include.kreislauf.settings import Settings
from include.kreislauf.store.disk import (
    MAX_FILE,
    hash_file,
    names_in,
    read_file,
    read_verified,
    require_hash,
    require_size,
    write_files,
)
from include.kreislauf.store.signing import SigningKey, TrustedKeys

if TYPE_CHECKING:
    from include.kreislauf.store.live import ReleaseRow

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
MODEL = "model.joblib"
SNAPSHOT = "snapshot.json"
GOLDEN = "golden.json"
PROFILE = "profile.json"
"""How the features were spread in training; releases made before monitoring looked at that have none."""
MAX_MANIFEST = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LoadedRelease:
    """A verified release; of its model only the hash has been looked at.

    Parameters
    ----------
    folder: where it stands.
    manifest: what the release is and what it was made from.
    snapshot: entity name -> its latest features when the release was made; these are the entities the model knows.
    golden: input rows and the outputs they must give.
    files: the verified bytes of every file but the model.
    signed_by: id of the key that signed.
    """

    folder: Path
    manifest: dict[str, Any]
    snapshot: dict[str, dict[str, Any]] = field(repr=False)
    golden: dict[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    signed_by: str

    @property
    def use_case(self) -> str:
        """Whose release it is."""
        return str(self.manifest["use_case"])

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

    def load_model(self) -> Any:
        """The fitted scikit-learn pipeline, which takes a frame with the columns ``numeric`` + ``categorical``.

        Raises
        ------
        ReleaseError: its file is missing, or was changed since the release was loaded.
        """
        return load_model(self.folder / MODEL, self.manifest["files"][MODEL])


def dump_model(model: Any) -> bytes:
    """A fitted model as bytes, to be hashed and written."""
    import joblib

    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=3)
    return buffer.getvalue()


def load_model(path: Path, sha256: str) -> Any:
    """Unpickle one model file after its hash was found right. Nothing else in this project may unpickle a file.

    Raises
    ------
    ReleaseError: the file is missing or was changed.
    """
    content = read_verified(path, sha256)
    import joblib

    return joblib.load(io.BytesIO(content))


def at_once() -> None:
    """No rest between pieces of work."""


def write_release(
    target: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes], key: SigningKey
) -> tuple[dict[str, Any], str]:
    """Write a signed release folder; returns its manifest with the files' hashes, and the manifest's digest.

    Raises
    ------
    ReleaseError: a file's name or size is not allowed.
    """
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    complete = {**manifest, "files": hashes, "signed_by": key.id}
    text = json.dumps(complete, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    require_size(len(text), MAX_MANIFEST, target / MANIFEST)
    for name, content in files.items():
        require_size(len(content), MAX_FILE, target / name)
    _require_names(hashes, target / MANIFEST)
    write_files(target, {**files, MANIFEST: text, SIGNATURE: key.sign(text)})
    return complete, hashlib.sha256(text).hexdigest()


def release_path(settings: Settings, row: ReleaseRow) -> Path:
    """Folder of a release: the store has it relative to the artefacts, so that these can move; older rows are absolute."""
    return settings.artefacts / row.path


def load_row(settings: Settings, row: ReleaseRow, rest: Callable[[], None] = at_once) -> LoadedRelease:
    """Verify and load the release that the store has, with the keys that the installation trusts.

    Parameters
    ----------
    rest: called between pieces of work, for those who want to give way to others.

    Raises
    ------
    ReleaseError: see :func:`load_release`; or there are no trusted keys.
    """
    return load_release(
        release_path(settings, row), row.digest, TrustedKeys.of(settings), use_case=row.use_case, version=row.version,
        rest=rest,
    )  # fmt: skip


def load_release(
    path: Path,
    digest: str,
    keys: TrustedKeys,
    *,
    use_case: str,
    version: int,
    rest: Callable[[], None] = at_once,
) -> LoadedRelease:
    """Verify and load a release. Nothing of it is parsed before its bytes are proved, and nothing is unpickled here.

    Parameters
    ----------
    digest: SHA-256 of the manifest, as the store has it.
    keys: whose signature is believed.
    use_case, version: the release that is asked for; another one, however well signed, is refused.
    rest: see :func:`load_row`.

    Raises
    ------
    ReleaseError: it is not signed by a trusted key, is another release than was asked for, a file is missing or too
        many, or was changed after the release was written.
    """
    text = read_verified(path / MANIFEST, digest, MAX_MANIFEST)
    signed_by = keys.verify(text, read_file(path / SIGNATURE, MAX_MANIFEST), where=str(path / MANIFEST))
    manifest = json.loads(text)
    found = (manifest.get("use_case"), manifest.get("version"))
    if found != (use_case, version):
        raise ReleaseError(f"is {found[0]} release {found[1]}, not {use_case} release {version}", where=str(path),
                           next_step="restore the release, or promote another")  # fmt: skip
    hashes = manifest["files"]
    _require_names(hashes, path / MANIFEST)
    _require_only(path, {*hashes, MANIFEST, SIGNATURE})
    files = {}
    for name, sha256 in hashes.items():
        rest()
        if name == MODEL:
            require_hash(path / MODEL, hash_file(path / MODEL), sha256)
        else:
            files[name] = read_verified(path / name, sha256)
    rest()
    return LoadedRelease(
        folder=path, manifest=manifest, snapshot=json.loads(files[SNAPSHOT]), golden=json.loads(files[GOLDEN]),
        files=files, signed_by=signed_by,
    )  # fmt: skip


def _require_names(hashes: Any, where: Path) -> None:
    """Files named so that they can stand nowhere but in the folder itself, and those that every release has."""
    again = "make the release again, or promote another"
    if not isinstance(hashes, dict):
        raise ReleaseError("names no files", where=str(where), next_step=again)
    for name, sha256 in hashes.items():
        if not _NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE):
            raise ReleaseError(f"names a file {name!r}", where=str(where),
                               allowed="letters, digits, _ - and . after the first character", next_step=again)  # fmt: skip
        if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
            raise ReleaseError(f"has no SHA-256 of {name}", where=str(where), next_step=again)
    if lacking := {MODEL, SNAPSHOT, GOLDEN} - set(hashes):
        raise ReleaseError(
            f"the release lacks {', '.join(sorted(lacking))}", where=str(where), next_step=again
        )


def _require_only(path: Path, names: set[str]) -> None:
    """No file beside those that were signed; one that is missing is told by who opens it."""
    if more := sorted(set(names_in(path)) - names):
        raise ReleaseError(f"holds what was not signed: {', '.join(more[:5])}", where=str(path),
                           next_step="take it away, or promote another release")  # fmt: skip
