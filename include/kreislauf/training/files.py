"""What a training leaves for evaluation and deployment: fitted models, held-out predictions, and an index of both."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from include.kreislauf.errors import ReleaseError, TrainingError
from include.kreislauf.store.disk import hash_file, require_hash, write_files
from include.kreislauf.store.release_files import dump_model, load_model
from include.kreislauf.training.families import Candidate

INDEX = "index.json"
PREDICTIONS = "predictions.parquet"
OWN = ("sklearn.", "include.")
"""Modules whose objects a model is made of."""
_VERSION = re.compile(r"^(?P<folder>[A-Za-z0-9.:_-]+)@(?P<digest>[0-9a-f]{64})$")


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one training, as they stand on the disk.

    Parameters
    ----------
    version: ``cycle-attempt@sha256`` of the index; names the set in handovers.
    index: feature version, features, held-out periods, and each candidate with its model's file and hash.
    """

    version: str
    folder: Path
    index: dict[str, Any]

    @property
    def candidates(self) -> list[Candidate]:
        """What was tried."""
        return [Candidate(one["name"], one["family"], one["params"]) for one in self.index["candidates"]]

    def model(self, name: str) -> Any:
        """One candidate's model, verified before it is unpickled."""
        entry = next(one for one in self.index["candidates"] if one["name"] == name)
        return load_model(self.folder / entry["file"], self.index["files"][entry["file"]])

    def predictions(self) -> pd.DataFrame:
        """Predictions of candidates and baselines, of the search's folds and of those held out.

        Columns: model, part (``search`` or ``held_out``), fold, time, block, row (its position among those with known
        target), entity, period (where rows have time), target, and prediction, or one column ``p0``, ``p1``, ... per class.
        """
        content = (self.folder / PREDICTIONS).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.index["files"][PREDICTIONS]:
            raise TrainingError("was changed after training", where=str(self.folder / PREDICTIONS))
        return pd.read_parquet(io.BytesIO(content))


def probabilities_of(predictions: pd.DataFrame) -> list[str]:
    """The columns ``p0``, ``p1``, ... of a frame of predictions; none where numbers are predicted."""
    return [name for name in predictions.columns if name[:1] == "p" and name[1:].isdigit()]


def save_candidates(
    artefacts: Path, use_case: str, folder: str, *, tried: Sequence[Candidate], models: Mapping[str, Any],
    predictions: pd.DataFrame, index: Mapping[str, Any],
) -> CandidateSet:  # fmt: skip
    """Write a training's results as one folder."""
    names = {candidate.name: f"model_{number:02d}.joblib" for number, candidate in enumerate(tried)}
    files = {
        names[candidate.name]: dump_model(with_interned_names(models[candidate.name])) for candidate in tried
    }
    buffer = io.BytesIO()
    predictions.to_parquet(buffer, index=False)
    files[PREDICTIONS] = buffer.getvalue()
    complete = {
        **index,
        "candidates": [
            {"name": c.name, "family": c.family, "params": dict(c.params), "file": names[c.name]}
            for c in tried
        ],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    text = json.dumps(complete, sort_keys=True, indent=1, allow_nan=False).encode()
    target = _root(artefacts, use_case) / folder
    write_files(target, {**files, INDEX: text})
    return CandidateSet(f"{folder}@{hashlib.sha256(text).hexdigest()}", target, complete)


def with_interned_names(model: Any) -> Any:
    """The model, its parts' attributes named by the one interned string of each name; changed in place.

    A pickle shows whether two equal names are one object, which depends on what its process has unpickled before.
    """
    waiting, seen = [model], set[int]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif type(part).__module__.startswith(OWN) and hasattr(part, "__dict__") and id(part) not in seen:
            seen.add(id(part))
            part.__dict__ = {sys.intern(name): value for name, value in vars(part).items()}
            waiting += vars(part).values()
    return model


def load_candidates(artefacts: Path, use_case: str, version: str) -> CandidateSet:
    """The candidates that a training handed over.

    Raises
    ------
    TrainingError: the version's name is malformed, its files are missing, or were changed.
    """
    if (match := _VERSION.match(version)) is None:
        raise TrainingError(f"{version!r} does not name a training", allowed="folder@sha256")
    folder = _root(artefacts, use_case) / match["folder"]
    try:
        text = (folder / INDEX).read_bytes()
    except OSError as error:
        raise TrainingError(f"candidates cannot be read: {error.strerror}", where=str(folder)) from error
    if hashlib.sha256(text).hexdigest() != match["digest"]:
        raise TrainingError("index was changed after training", where=str(folder / INDEX))
    return CandidateSet(version, folder, json.loads(text))


def fault_of(artefacts: Path, use_case: str, version: str) -> str:
    """Why the files of a training are not there as they were written; empty: they are."""
    try:
        found = load_candidates(artefacts, use_case, version)
        for name, sha256 in found.index["files"].items():
            require_hash(found.folder / name, hash_file(found.folder / name), sha256)
    except (TrainingError, ReleaseError) as error:
        return error.text
    return ""


def _root(artefacts: Path, use_case: str) -> Path:
    return artefacts / "candidates" / use_case
