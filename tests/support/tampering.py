"""Releases as an attacker would leave them, in every way that was thought of; each must be refused.

The attacker can write to the folder of releases, and in half of the cases to the store too, so that the digest there
fits the forged manifest: then only the signature, and what was signed, can tell.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.kreislauf.errors import ReleaseError
from include.kreislauf.store.release_files import (
    GOLDEN,
    MANIFEST,
    MODEL,
    SIGNATURE,
    SNAPSHOT,
    LoadedRelease,
    dump_model,
    load_release,
    write_release,
)
from include.kreislauf.store.signing import SigningKey, TrustedKeys

VERSIONS = (1, 2, 3)
COMPILED = ("compiled.json", "trees_0.bin")


class Marking:
    """What leaves a mark as soon as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return _mark, (str(self.mark),)


def _mark(path: str) -> str:
    Path(path).touch()
    return path


@dataclass
class Case:
    """A copy of a genuine release, to be tampered with, and what the store has of it."""

    folder: Path
    genuine: Mapping[tuple[str, int], Path]
    random: random.Random
    use_case: str
    version: int
    mark: Path

    def other(self) -> Path:
        """Another genuine release."""
        found = [path for key, path in self.genuine.items() if key != (self.use_case, self.version)]
        return self.random.choice(found)

    def manifest(self) -> dict[str, Any]:
        """The manifest as it is now."""
        return json.loads((self.folder / MANIFEST).read_bytes())  # type: ignore[no-any-return]

    def write_manifest(self, manifest: Mapping[str, Any]) -> bytes:
        """Another manifest in its place; returns its bytes."""
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
        (self.folder / MANIFEST).write_bytes(text)
        return text


def flip_a_byte(case: Case) -> None:
    """One byte of one file is another one."""
    path = case.random.choice(sorted(case.folder.iterdir()))
    content = bytearray(path.read_bytes())
    content[case.random.randrange(len(content))] ^= case.random.randint(1, 255)
    path.write_bytes(content)


def cut_or_lengthen(case: Case) -> None:
    """A file ends too early or too late."""
    path = case.random.choice(sorted(case.folder.iterdir()))
    content = path.read_bytes()
    longer = content + case.random.randbytes(case.random.randint(1, 9))
    path.write_bytes(case.random.choice([longer, content[: case.random.randrange(len(content))]]))


def swap_a_file(case: Case) -> None:
    """A file of another genuine release."""
    name = case.random.choice(sorted(path.name for path in case.folder.iterdir()))
    shutil.copy(case.other() / name, case.folder / name)


def replay(case: Case) -> None:
    """Another genuine release, such as an older one with a known fault, under this one's path."""
    shutil.rmtree(case.folder)
    shutil.copytree(case.other(), case.folder)


def sign_anew(case: Case) -> None:
    """A changed manifest, or the very same, signed by a key that nobody trusts."""
    manifest = case.manifest()
    if case.random.random() < 0.5:
        manifest["metrics"] = {"mae": 0.0}
    (case.folder / SIGNATURE).write_bytes(SigningKey.new().sign(case.write_manifest(manifest)))


def add_a_file(case: Case) -> None:
    """A file that was not signed."""
    names = ["model.pkl", "compiled.so", "trees_9.bin", ".hidden", "__init__.py"]
    (case.folder / case.random.choice(names)).write_bytes(b"more")


def take_a_file(case: Case) -> None:
    """A file less."""
    case.random.choice(sorted(case.folder.iterdir())).unlink()


def link_a_file(case: Case) -> None:
    """A link to a file elsewhere, which can be exchanged at any time."""
    path = case.random.choice(sorted(case.folder.iterdir()))
    elsewhere = case.folder.with_name("elsewhere")
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def plant_a_model(case: Case) -> None:
    """A model that runs code, with a manifest that fits it and a signature that does not."""
    content = dump_model(Marking(case.mark))
    (case.folder / MODEL).write_bytes(content)
    manifest = case.manifest()
    manifest["files"][MODEL] = hashlib.sha256(content).hexdigest()
    how = case.random.choice(["model", "manifest", "signed"])
    if how == "model":
        return
    text = case.write_manifest(manifest)
    if how == "signed":
        (case.folder / SIGNATURE).write_bytes(SigningKey.new().sign(text))


WAYS: tuple[Callable[[Case], None], ...] = (
    flip_a_byte, cut_or_lengthen, swap_a_file, replay, sign_anew, add_a_file, take_a_file, link_a_file, plant_a_model,
)  # fmt: skip


def tamper_and_load(n: int, seed: int, folder: Path) -> dict[str, Any]:
    """Tamper with ``n`` releases, each in one way, and try to load each with its model.

    Returns
    -------
    ``tampered`` and ``refused``: how many; ``escaped``: ways and numbers of those that were loaded; ``marks``: how many
    left the mark of an unpickled model; ``by_way``: how many of each; ``genuine``: how many untouched ones were loaded
    and did leave their mark, as they must.
    """
    chance, key, mark = random.Random(seed), SigningKey.new(), folder / "unpickled"
    trusted = TrustedKeys.from_keys([key.private.public_key()])
    genuine = {
        (use_case, version): _genuine(folder / use_case / str(version), use_case, version, key, mark)
        for use_case in ("radar", "churn") for version in VERSIONS
    }  # fmt: skip
    found: dict[str, Any] = {"tampered": n, "refused": 0, "escaped": [], "marks": 0, "genuine": 0}
    by_way: Counter[str] = Counter()
    for (use_case, version), path in genuine.items():
        _load(path, _digest(path), trusted, use_case, version)
        found["genuine"] += mark.exists()
        mark.unlink(missing_ok=True)
    for number in range(n):
        way = WAYS[number % len(WAYS)]
        by_way[way.__name__] += 1
        use_case, version = chance.choice(sorted(genuine))
        copy = folder / "tampered" / f"{use_case}-{version}"
        shutil.copytree(genuine[use_case, version], copy)
        digest = _digest(copy)
        way(Case(copy, genuine, chance, use_case, version, mark))
        if chance.random() < 0.5 and (copy / MANIFEST).is_file():
            digest = _digest(copy)
        try:
            _load(copy, digest, trusted, use_case, version)
            found["escaped"].append(f"{way.__name__} {number}")
        except ReleaseError:
            found["refused"] += 1
        found["marks"] += mark.exists()
        mark.unlink(missing_ok=True)
        shutil.rmtree(folder / "tampered")
    return {**found, "by_way": dict(by_way)}


def _genuine(path: Path, use_case: str, version: int, key: SigningKey, mark: Path) -> Path:
    manifest = {
        "use_case": use_case,
        "version": version,
        "features": {"numeric": ["stars"], "categorical": {}},
    }
    own = f"{use_case} {version}"
    files = {
        MODEL: dump_model((own, Marking(mark))),
        SNAPSHOT: json.dumps({own: {"stars": 1.0}}).encode(),
        GOLDEN: json.dumps({"rows": [{"stars": version}], "outputs": [len(own)], "of": own}).encode(),
        **{name: f"{name} of {own}".encode() for name in COMPILED},
    }
    write_release(path, manifest, files, key)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest()


def _load(path: Path, digest: str, keys: TrustedKeys, use_case: str, version: int) -> LoadedRelease:
    release = load_release(path, digest, keys, use_case=use_case, version=version)
    release.load_model()
    return release
