"""A release as the service holds it: verified, and with everything computed that need not be computed per request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Annotated, Any, Optional

import msgspec
import numpy as np
from msgspec.structs import astuple

from include.kreislauf.errors import ReleaseError
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.inference.served import MAX_TEXT, MISSING, Served
from include.kreislauf.service.problems import RefusedError
from include.kreislauf.service.schemas import RankedEntity, ReleaseAnswer
from include.kreislauf.store.release_files import at_once

_PIECE = 32
Reader = Callable[[str], tuple[Any, ...]]
ESCAPED = re.compile(r'["\\\x00-\x1f]')
"""What JSON has to escape in a name."""
MAX_MAGNITUDE = 1e30  # forests compute in float32, which ends at 3.4e38


@dataclass(frozen=True)
class ServedRelease:
    """What answers requests.

    Parameters
    ----------
    problem: what it answers.
    needs_features: whether every row has to bring all features; its entity is then a label.
    reader: reads the features of a row from JSON, numbers first, then categories.
    seen: values of each category in training.
    nullable: features that may be null: numbers that the contract lets be missing, and categories of which training has
        seen a missing one.
    values: entity of the snapshot -> its prediction, a number or a
        :class:`~include.kreislauf.inference.problem.ClassAnswer`.
    ranking: the same by value, highest first.
    """

    served: Served = field(repr=False)
    about: ReleaseAnswer
    problem: ServedProblem
    needs_features: bool
    numeric: tuple[str, ...]
    categorical: Mapping[str, frozenset[str]]
    reader: Reader = field(repr=False)
    seen: tuple[frozenset[str], ...] = field(repr=False)
    nullable: frozenset[str] = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
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
            values = self.reader(features)
        except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError):
            return None
        known, count, has_gap = True, len(self.numeric), False
        for value, seen in zip(values[count:], self.seen, strict=True):
            if value not in seen:
                if value is None:
                    has_gap = True
                elif not is_text(value):
                    return None
                else:
                    known = False
        if has_gap:
            values = (*values[:count], *(MISSING if one is None else one for one in values[count:]))
        return values, known


def require_ranking(release: ServedRelease) -> None:
    """Refuse a ranking of what has none.

    Raises
    ------
    RefusedError: 404, clients send all features, so that no entities are kept; or several classes are predicted.
    """
    if release.problem.is_ranked:
        return
    use_case, kind = release.about.use_case, release.problem.kind
    why = "requests bring all features: no entities are kept"
    if release.problem.requests == "entity":
        why = f"a release of kind {kind} predicts classes that have no order"
    raise RefusedError(404, f"{use_case!r} has no ranking: {why}")


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
    predictor, problem = served.predictor, served.problem
    values = _values(served, rest)
    nullable = {*problem.may_be_missing} & {*predictor.numeric}
    nullable |= {name for name, seen in predictor.categorical.items() if MISSING in seen}
    return ServedRelease(
        served=served,
        about=about_release(served.release.manifest),
        problem=problem,
        needs_features=problem.requests == "features",
        numeric=predictor.numeric,
        categorical=predictor.categorical,
        reader=_reader(predictor.numeric, list(predictor.categorical), nullable),
        seen=tuple(predictor.categorical.values()),
        nullable=frozenset(nullable),
        values=values,
        ranking=_ranking(values, problem),
    )


def _values(served: Served, rest: Callable[[], None]) -> dict[str, Any]:
    """By entity of the snapshot, what is answered for it."""
    snapshot, predictor, problem = served.release.snapshot, served.predictor, served.problem
    names = list(snapshot)
    values: dict[str, Any] = {}
    for begin in range(0, len(names), _PIECE):
        rest()
        piece = names[begin : begin + _PIECE]
        rows = [snapshot[name] for name in piece]
        found = predictor.probabilities(rows) if problem.classes else served.predict(rows)
        if not np.isfinite(found).all():
            wrong = int(np.flatnonzero(~np.isfinite(found.reshape(len(piece), -1)).all(axis=1))[0])
            raise ReleaseError(f"predicts {found[wrong]} for {piece[wrong]!r}", allowed="finite numbers")
        answers = problem.answers(found, predictor.classes) if problem.classes else found.tolist()
        values.update(zip(piece, answers, strict=True))
    return values


def _ranking(values: Mapping[str, Any], problem: ServedProblem) -> tuple[RankedEntity, ...]:
    if not problem.is_ranked:
        return ()
    numbers = {name: one.value if problem.classes else one for name, one in values.items()}
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return tuple(RankedEntity(entity=name, value=value) for name, value in ranked)


def _reader(numeric: Sequence[str], categorical: Sequence[str], nullable: Set[str]) -> Reader:
    """Reads an object with exactly these features; what a type can say of their values, it says."""
    number = Annotated[float, msgspec.Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]
    of = [*((name, number) for name in numeric), *((name, str) for name in categorical)]
    kinds: dict[str, Any] = {
        name: Optional[kind] if name in nullable else kind  # noqa: UP045 - of an Annotated there is no |
        for name, kind in of
    }
    if any(ESCAPED.search(name) for name in kinds):
        return _read_by_name(kinds)
    # a feature may have any name, a field may not
    fields = [(f"f{place}", kind) for place, kind in enumerate(kinds.values())]
    names = {field: name for (field, _), name in zip(fields, kinds, strict=True)}
    kind = msgspec.defstruct("Features", fields, rename=names, forbid_unknown_fields=True, gc=False)
    decode = msgspec.json.Decoder(kind).decode
    return lambda text: astuple(decode(text))


def _read_by_name(kinds: Mapping[str, Any]) -> Reader:
    """The same for names that msgspec gives to no field."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    values: Any = tuple[tuple(kinds.values())]  # type: ignore[misc]

    def read(text: str) -> tuple[Any, ...]:
        found = decode(text)
        if found.keys() != kinds.keys():
            raise msgspec.ValidationError("other names")
        made: tuple[Any, ...] = msgspec.convert([found[name] for name in kinds], values)
        return made

    return read


def about_release(manifest: Mapping[str, Any]) -> ReleaseAnswer:
    """What the service tells of a release."""
    return ReleaseAnswer.model_validate(
        {name: manifest[name] for name in ReleaseAnswer.model_fields if name in manifest}
    )
