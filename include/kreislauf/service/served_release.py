"""A release as the service holds it: verified, and with everything computed that need not be computed per request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from include.kreislauf.errors import ReleaseError
from include.kreislauf.inference.served import MAX_TEXT, Served
from include.kreislauf.service.schemas import RankedEntity, ReleaseAnswer
from include.kreislauf.store.release_files import at_once

_PIECE = 32
MAX_MAGNITUDE = 1e30  # forests compute in float32, which ends at 3.4e38


@dataclass(frozen=True)
class ServedRelease:
    """What answers requests.

    Parameters
    ----------
    decoder: reads the features of a row from JSON, numbers first, then categories.
    seen: values of each category in training.
    values: entity of the snapshot -> its prediction.
    ranking: the same, highest first.
    """

    served: Served = field(repr=False)
    about: ReleaseAnswer
    numeric: tuple[str, ...]
    categorical: Mapping[str, frozenset[str]]
    decoder: msgspec.json.Decoder[Any] = field(repr=False)
    seen: tuple[frozenset[str], ...] = field(repr=False)
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

    def read(self, features: str) -> tuple[tuple[Any, ...], bool] | None:
        """The values of a row's features, numbers first, and whether all its categories were seen in training.

        ``None``: they are not exactly the release's features with values that can be used; no more is said here.
        """
        try:
            values: tuple[Any, ...] = astuple(self.decoder.decode(features))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        known = True
        for value, seen in zip(values[len(self.numeric) :], self.seen, strict=True):
            if value not in seen:
                if not is_text(value):
                    return None
                known = False
        return values, known


def is_text(value: str) -> bool:
    """Whether a categorical value can be taken: short and printable."""
    return 0 < len(value) <= MAX_TEXT and value.isprintable()


def served_release(served: Served, rest: Callable[[], None] = at_once) -> ServedRelease:
    """Compute what a release can answer without its model.

    Parameters
    ----------
    rest: called between pieces of work, for those who want to give way to others.

    Raises
    ------
    ReleaseError: it predicts something that is no number for an entity of its snapshot.
    """
    release, predictor = served.release, served.predictor
    names = list(release.snapshot)
    found = np.empty(len(names))
    for begin in range(0, len(names), _PIECE):
        rest()
        piece = slice(begin, begin + _PIECE)
        found[piece] = served.predict([release.snapshot[name] for name in names[piece]])
    if not np.isfinite(found).all():
        wrong = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ReleaseError(f"predicts {found[wrong]} for {names[wrong]!r}", allowed="finite numbers")
    values = dict(zip(names, found.tolist(), strict=True))
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return ServedRelease(
        served=served,
        about=about_release(release.manifest),
        numeric=predictor.numeric,
        categorical=predictor.categorical,
        decoder=_decoder(predictor.numeric, list(predictor.categorical)),
        seen=tuple(predictor.categorical.values()),
        values=values,
        ranking=tuple(RankedEntity(entity=name, value=value) for name, value in ranked),
    )


def _decoder(numeric: Sequence[str], categorical: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Reads an object with exactly these features; what a type can say of their values, it says."""
    number = Annotated[float, msgspec.Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]
    kinds: list[tuple[str, Any]] = [(name, number) for name in numeric] + [
        (name, str) for name in categorical
    ]
    # a feature may have any name, a field may not
    fields = [(f"f{place}", kind) for place, (_, kind) in enumerate(kinds)]
    names = {field: name for (field, _), (name, _) in zip(fields, kinds, strict=True)}
    kind = msgspec.defstruct("Features", fields, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(kind)


def about_release(manifest: Mapping[str, Any]) -> ReleaseAnswer:
    """What the service tells of a release."""
    return ReleaseAnswer.model_validate(
        {name: manifest[name] for name in ReleaseAnswer.model_fields if name in manifest}
    )
