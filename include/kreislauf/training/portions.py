"""The search of one family as a file, so that it can be made by another worker, or by an attempt that was killed."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.kreislauf.errors import ReleaseError
from include.kreislauf.store.disk import read_verified, write_files
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.search import Searched

ACCOUNT, PREDICTIONS, DIGEST = "account.json", "predictions.npz", "sha256"


@dataclass(frozen=True)
class Portions:
    """The searched families of one training, in a folder of their own.

    Parameters
    ----------
    basis: what the results depend on; those of another basis are not found.
    """

    folder: Path
    basis: str

    def keep(self, searched: Searched) -> None:
        """Write one family's search, all at once."""
        best = searched.best
        account = {
            **{name: getattr(searched, name) for name in ("family", "failed", "seconds", "fits", "configurations", "folds")},
            "losses": {name: list(found) for name, found in searched.losses.items()},
            "best": best and {"name": best.name, "family": best.family, "params": dict(best.params)},
            "labels": list(searched.predictions), "basis": self.basis,
        }  # fmt: skip
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f"f{n}": one for n, one in enumerate(searched.predictions.values())}
        np.savez(buffer, **arrays)
        files = {ACCOUNT: json.dumps(account, sort_keys=True).encode(), PREDICTIONS: buffer.getvalue()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        write_files(
            self.folder / searched.family, {**files, DIGEST: json.dumps(digests, sort_keys=True).encode()}
        )

    def clear(self) -> None:
        """Remove the folder, once the training's own files hold everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def find(self, family: str) -> Searched | None:
        """One family's search, or ``None`` where there is none, or one of another basis, or a damaged one."""
        folder = self.folder / family
        try:
            digests = json.loads((folder / DIGEST).read_bytes())
            account = json.loads(read_verified(folder / ACCOUNT, digests[ACCOUNT]))
            arrays = np.load(io.BytesIO(read_verified(folder / PREDICTIONS, digests[PREDICTIONS])))
        except (OSError, ValueError, KeyError, TypeError, ReleaseError):
            return None
        return _searched(account, arrays) if account["basis"] == self.basis else None


def _searched(account: dict[str, Any], arrays: Any) -> Searched:
    best = account["best"] and Candidate(**account["best"])
    return Searched(
        family=account["family"], best=best, failed=account["failed"], seconds=account["seconds"], fits=account["fits"],
        configurations=account["configurations"], folds=account["folds"],
        losses={name: (loss, folds) for name, (loss, folds) in account["losses"].items()},
        predictions={label: arrays[f"f{n}"] for n, label in enumerate(account["labels"])},
    )  # fmt: skip
