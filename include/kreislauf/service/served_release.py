"""A release as the service holds it: verified, and with everything computed that need not be computed per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from include.kreislauf.errors import ReleaseError
from include.kreislauf.inference.served import Served
from include.kreislauf.service.schemas import RankedEntity, ReleaseAnswer

MAX_MAGNITUDE = 1e30  # forests compute in float32, which ends at 3.4e38
MAX_TEXT = 128


@dataclass(frozen=True)
class ServedRelease:
    """What answers requests.

    Parameters
    ----------
    values: entity of the snapshot -> its prediction.
    ranking: the same, highest first.
    """

    served: Served = field(repr=False)
    about: ReleaseAnswer
    numeric: tuple[str, ...]
    categorical: Mapping[str, frozenset[str]]
    values: Mapping[str, float] = field(repr=False)
    ranking: tuple[RankedEntity, ...] = field(repr=False)

    @property
    def version(self) -> int:
        """Number of the release."""
        return self.about.version

    @property
    def is_quick(self) -> bool:
        """Whether a row takes microseconds: then it is computed where the request arrives, without a thread."""
        return bool(self.served.kind == "compiled")

    def judge(self, features: Mapping[str, Any]) -> bool | None:
        """``None``: they are not exactly the release's features with values that can be used; no more is said here.

        Else whether they are known: all categorical values were seen in training.
        """
        if len(features) != len(self.numeric) + len(self.categorical):
            return None
        for name in self.numeric:
            value = features.get(name)
            # bool is an int in Python, but true is no number in JSON; abs of an int never overflows
            if value.__class__ not in (float, int) or not -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
                return None
        known = True
        for name, seen in self.categorical.items():
            value = features.get(name)
            if value.__class__ is not str:
                return None
            if value not in seen:
                if not is_text(value):
                    return None
                known = False
        return known

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Predictions for accepted features; may be infinite where a model of squares overflows."""
        if len(rows) == 1:
            return [self.served.predict_one(rows[0])]
        found: list[float] = self.served.predict(rows).tolist()
        return found


def is_text(value: str) -> bool:
    """Whether a categorical value can be taken: short and printable."""
    return 0 < len(value) <= MAX_TEXT and value.isprintable()


def served_release(served: Served) -> ServedRelease:
    """Compute what a release can answer without its model.

    Raises
    ------
    ReleaseError: it predicts something that is no number for an entity of its snapshot.
    """
    release = served.release
    names = list(release.snapshot)
    found = served.predict([release.snapshot[name] for name in names]) if names else np.empty(0)
    if not np.isfinite(found).all():
        wrong = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ReleaseError(f"predicts {found[wrong]} for {names[wrong]!r}", allowed="finite numbers")
    values = dict(zip(names, found.tolist(), strict=True))
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return ServedRelease(
        served=served,
        about=about_release(release.manifest),
        numeric=tuple(release.numeric),
        categorical={name: frozenset(seen) for name, seen in release.categorical.items()},
        values=values,
        ranking=tuple(RankedEntity(entity=name, value=value) for name, value in ranked),
    )


def about_release(manifest: Mapping[str, Any]) -> ReleaseAnswer:
    """What the service tells of a release."""
    return ReleaseAnswer.model_validate(
        {name: manifest[name] for name in ReleaseAnswer.model_fields if name in manifest}
    )
