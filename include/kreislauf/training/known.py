"""Trials that were made before, on the same rows: a wider search fits only what it has not tried yet.

A trial is found by the rows' version, the candidate, the fold and the seed. Its predictions are kept to the last bit, so
that a search comes to the same whether they are computed or read. Trials of older rows are removed.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from include.kreislauf.errors import ReleaseError
from include.kreislauf.requirements.contract import canonical_json
from include.kreislauf.store.disk import hash_file, require_hash, write_files
from include.kreislauf.training.design import Rows
from include.kreislauf.training.trials import Floats, Job, Trial, run_all

TRIALS, DIGEST = "trials.npz", "sha256"
KEPT = 3
"""So many versions of rows keep their trials, those used last."""
MOST_BYTES = 512 * 1024**2
"""So much one version of rows may take on the disk; further trials are made, and not kept."""
_LIMITS = ("candidate", "fold", "seconds", "until")


@dataclass(frozen=True)
class KnownTrials:
    """The trials of one use case on one version of its rows, in a folder.

    Parameters
    ----------
    root: the folders of all versions of the use case's rows.
    basis: what trials depend on beside their job: the rows, the code, the seed.
    fresh: whether those that are there are not looked at.
    """

    root: Path
    basis: Mapping[str, Any]
    fresh: bool = False

    def run(self, rows: Rows, jobs: Sequence[Job], seed: int, n_jobs: int) -> list[Trial]:
        """As :func:`~include.kreislauf.training.trials.run_all`, with the trials that are known not made again.

        A trial that failed, or that took too long, is made again each time.
        """
        keys = [self._key(job, seed) for job in jobs]
        found = [self._find(key) for key in keys]
        left = [job for job, known in zip(jobs, found, strict=True) if known is None]
        made = iter(run_all(rows, left, seed, n_jobs) if left else [])
        trials = [
            next(made) if known is None else Trial(job.candidate.name, job.fold, known, 0.0)
            for job, known in zip(jobs, found, strict=True)
        ]
        self._keep({
            key: trial.predictions for key, trial, known in zip(keys, trials, found, strict=True)
            if key and known is None and not trial.failed
        })  # fmt: skip
        self.count["reused"] += len(jobs) - len(left)
        self.count["made"] += len(left)
        return trials

    def once(self, what: Sequence[Any], make: Callable[[], Floats]) -> Floats:
        """Numbers that depend on the basis and on something else in JSON's types: made, or read where they were made before."""
        key = _digest(what)
        found = self._find(key)
        if found is None:
            found = make()
            self._keep({key: found})
        return found

    @cached_property
    def count(self) -> dict[str, int]:
        """How many trials were found, and how many were made."""
        return {"reused": 0, "made": 0}

    def forget_older(self) -> None:
        """Remove the trials of all versions of the rows but those used last."""
        with suppress(FileNotFoundError):
            os.utime(self.folder)
            folders = [one for one in self.root.iterdir() if one.is_dir() and not one.name.startswith(".")]
            for old in sorted(folders, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT:]:
                shutil.rmtree(old, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where they are: a folder for each batch of them."""
        return self.root / _digest(dict(self.basis))[:32]

    def _find(self, key: str) -> Floats | None:
        """The predictions of a trial, if it is known, and is still there."""
        with suppress(OSError, ValueError, KeyError, BadZipFile):
            if key in self._places:
                with np.load(self._places[key]) as trials:
                    return np.asarray(trials[key], dtype=np.float64)
        return None

    @cached_property
    def _places(self) -> dict[str, Path]:
        """By key the file of every trial that is whole. What is damaged, or just being removed, is as good as none."""
        found: dict[str, Path] = {}
        for batch in [] if self.fresh or not self.folder.is_dir() else sorted(self.folder.iterdir()):
            with suppress(OSError, ReleaseError, ValueError, BadZipFile):
                require_hash(batch / TRIALS, hash_file(batch / TRIALS), (batch / DIGEST).read_text())
                with np.load(batch / TRIALS) as trials:
                    found |= dict.fromkeys(trials.files, batch / TRIALS)
        return found

    def _keep(self, new: Mapping[str, Floats]) -> None:
        if not new or self._size + sum(one.nbytes for one in new.values()) > MOST_BYTES:
            return
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(new)
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        batch = self.folder / _digest(sorted(new))[:32]
        write_files(batch, {TRIALS: content, DIGEST: hashlib.sha256(content).hexdigest().encode()})
        self._places.update(dict.fromkeys(new, batch / TRIALS))

    @property
    def _size(self) -> int:
        """Bytes of the trials of this version of the rows."""
        return sum(one.stat().st_size for one in self.folder.glob(f"*/{TRIALS}"))

    def _key(self, job: Job, seed: int) -> str:
        """What a trial is found by; empty for a candidate whose parameters are not JSON's: it is never found."""
        more = {one.name: getattr(job, one.name) for one in fields(job) if one.name not in _LIMITS}
        parts = [
            job.candidate.family, dict(job.candidate.params), seed, more, job.fold.label,
            *(hashlib.sha256(np.asarray(one, dtype=np.int64).tobytes()).hexdigest() for one in (job.fold.learn, job.fold.predict)),
        ]  # fmt: skip
        try:
            return _digest(parts)
        except TypeError:
            return ""


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
