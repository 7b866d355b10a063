"""What a result depends on: the part of the contract, the code, and the versions of the inputs.

The address of a result is the digest of all that. Equal addresses mean equal results, so that a result that is there
already can be used instead of being made again.

Source: Mokhov, Mitchell and Peyton Jones, Build systems à la carte, Proceedings of the ACM on Programming Languages 2
(ICFP), 2018: a task is made again when what it depends on differs by content, not by age.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from include.kreislauf.handovers import Stage
from include.kreislauf.requirements.contract import Contract, canonical_json
from include.kreislauf.requirements.loading import folder_of
from include.kreislauf.settings import Settings

PARTS: Mapping[Stage, tuple[str, ...]] = {
    Stage.COLLECTION: (
        "problem.entity", "problem.group", "problem.time", "problem.period", "problem.row_hours",
        "sources", "technologies", "emerging", "quality",
    ),
    Stage.PREPARATION: (
        "problem.kind", "problem.target", "problem.classes", "problem.entity", "problem.group", "problem.time",
        "problem.period", "problem.row_hours", "problem.horizon", "sources.kind", "sources.columns", "preparation",
    ),
    Stage.TRAINING: (
        "problem.kind", "problem.classes", "problem.group", "problem.time", "problem.period", "problem.row_hours",
        "problem.horizon", "training", "performance.metric",
    ),
}  # fmt: skip
"""By discipline the fields of the contract that its result depends on. The other disciplines are always done anew:
they compare with what is live today."""
ELSEWHERE = (
    "version", "name", "title", "purpose", "owner", "sign_off", "problem.requests", "business_metrics", "delivery",
    "monitoring", "governor",
    *(f"performance.{name}" for name in (
        "baseline", "min_gain", "confidence", "champion_tolerance", "too_good_to_be_true", "interval",
        "interval_tolerance", "max_calibration_error", "segments",
    )),
)  # fmt: skip
"""Fields that none of these results depends on: they speak of judging, releasing and watching, or to people."""

PACKAGES: Mapping[Stage, tuple[str, ...]] = {
    Stage.COLLECTION: ("collection", "periods.py"),
    Stage.PREPARATION: ("preparation", "periods.py"),
    Stage.TRAINING: ("training", "preparation", "statistics", "periods.py"),
}
"""By discipline the code of Kreislauf whose change makes another result."""
_LIBRARIES: Mapping[Stage, tuple[str, ...]] = {
    Stage.COLLECTION: ("pandas",),
    Stage.PREPARATION: ("pandas", "numpy"),
    Stage.TRAINING: ("pandas", "numpy", "scikit-learn"),
}
_OTHERS_FILES: Mapping[Stage, tuple[str, ...]] = {
    Stage.COLLECTION: ("features.py", "metrics.py"),
    Stage.PREPARATION: ("source.py", "metrics.py"),
    Stage.TRAINING: ("features.py", "source.py", "metrics.py"),
}
"""By discipline the files of a use case that other disciplines alone know; what features there are stands in a version."""
_KREISLAUF = Path(__file__).resolve().parents[1]
CONTRACT, FILE = "contract ", "file "
"""What the names of parts of the contract, and of the use case's own files, begin with."""
SHORT = 16


@dataclass(frozen=True)
class Address:
    """What a result of one discipline depends on.

    Parameters
    ----------
    basis: a version or digest of each part, by the part's name.
    untold: why equal addresses do not mean equal results here; empty: they do.
    """

    stage: Stage
    basis: Mapping[str, str]
    untold: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of discipline and basis."""
        return hashlib.sha256(canonical_json([self.stage, dict(self.basis)]).encode()).hexdigest()


def address_of(
    stage: Stage, contract: Contract, settings: Settings, inputs: Mapping[str, str], *, untold: str = ""
) -> Address:
    """The address of a discipline's result.

    Parameters
    ----------
    inputs: version of each input, by a name that people understand; whatever else the result depends on as well.
    """
    of_contract = {f"{CONTRACT}{path}": digest(value_at(contract, path)) for path in PARTS[stage]}
    return Address(stage, {**code_of(stage, settings, contract.name), **of_contract, **inputs}, untold)


def code_of(stage: Stage, settings: Settings, use_case: str) -> dict[str, str]:
    """The version of the code, of the libraries that compute, and of the use case's own files."""
    return {
        "code": settings.code,
        "sources of Kreislauf": _own_code(stage),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES[stage]),
        **_files(stage, folder_of(settings.use_cases, use_case)),
    }


def value_at(contract: Contract, path: str) -> Any:
    """The value of a contract's field in JSON's types; of a field of several sections, one value each."""
    value: Any = contract
    for name in path.split("."):
        value = (
            [getattr(one, name, None) for one in value] if isinstance(value, tuple) else getattr(value, name)
        )
    return _plain(value)


def digest(value: Any) -> str:
    """Of a value in JSON's types, short enough to be read out."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:SHORT]


def _plain(value: Any) -> Any:
    """JSON's types. Of a mapping the order counts too: it is that of columns."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return [[name, _plain(one)] for name, one in value.items()]
    return (
        [_plain(one) for one in value]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )


def _files(stage: Stage, folder: Path) -> dict[str, str]:
    """The use case's own files that the discipline may use, by name."""
    own = (path for path in sorted(folder.glob("*.py")) if path.name not in _OTHERS_FILES[stage])
    return {f"{FILE}{path.name}": _digest_of(path) for path in own if path.stat().st_size}


@lru_cache
def _own_code(stage: Stage) -> str:
    """Of the files that this process has loaded, or may: they stay what they are as long as it lives."""
    found = hashlib.sha256()
    for path in sorted(_modules(PACKAGES[stage])):
        found.update(f"{path.relative_to(_KREISLAUF)} {_digest_of(path)}\n".encode())
    return found.hexdigest()[:SHORT]


def _modules(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = _KREISLAUF / name
        yield from path.rglob("*.py") if path.is_dir() else [path]


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:SHORT]
