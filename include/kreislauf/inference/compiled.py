"""A pipeline as data: which number each column of the encoded row is, and the models that read it.

It is written as ``compiled.json`` and one ``trees_N.bin`` per ensemble of trees. Reading them runs no code of theirs,
unlike unpickling. The same model always gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from include.kreislauf.errors import KreislaufError

if TYPE_CHECKING:
    from include.kreislauf.inference.predictor import Predictor

COMPILED = "compiled.json"
Link = Literal["identity", "exponential", "sigmoid", "softmax", "shares", "sums"]
"""From a model's sum to its answer; ``shares``: the sum is the probabilities already; ``sums``: it stays what it is, for
a calibration of classes."""


class NotCompilable(KreislaufError):
    """A pipeline that only scikit-learn can compute; the release is then served by scikit-learn."""


class CompiledError(KreislaufError):
    """Files of a compiled pipeline are incomplete, damaged, or do not fit each other."""


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column ``(value - mean) / scale`` of a numeric feature; ``missing``: where there is none (``None``: NaN)."""

    feature: str
    place: int
    mean: float
    scale: float
    missing: float | None


class Flag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column that tells only whether a numeric feature is there."""

    feature: str
    place: int
    present: float
    missing: float | None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column looked up by a category's text.

    Parameters
    ----------
    missing, other: without a category, and for one that is not among ``values`` (``None``: NaN).
    refuses_missing, refuses_other: such a row cannot be answered, as the pipeline asked for.
    """

    feature: str
    place: int
    values: dict[str, float]
    missing: float | None = 0.0
    other: float | None = 0.0
    refuses_missing: bool = False
    refuses_other: bool = False


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From a row of features to ``width`` numbers.

    Parameters
    ----------
    categorical: feature -> the values seen in training.
    bounded: infinite numbers are missing, and large ones are pulled in, as ``FeatureEncoder`` does.
    as_text: categories that are no text are turned into it, as ``FeatureEncoder`` does.
    """

    width: int
    numeric: tuple[str, ...]
    categorical: dict[str, tuple[str, ...]]
    numbers: tuple[Number, ...] = ()
    flags: tuple[Flag, ...] = ()
    tables: tuple[Table, ...] = ()
    bounded: bool = False
    as_text: bool = False


class Linear(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="linear"):
    """Sums of columns: ``coefficients`` (outputs x width) and ``intercepts`` (outputs)."""

    weight: float
    link: Link
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]

    @property
    def outputs(self) -> int:
        """How many sums."""
        return len(self.intercepts)


class Forest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="trees"):
    """An ensemble of trees in a file of its own.

    Parameters
    ----------
    single: scikit-learn rounds the row to single precision before it compares.
    """

    weight: float
    link: Link
    outputs: int
    single: bool
    file: str
    sha256: str


class Sigmoid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sigmoid"):
    """The probability ``1 / (1 + exp(slope * x + offset))``.

    Source: Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers (1999).
    """

    slope: float
    offset: float


class Isotonic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="isotonic"):
    """The probability by straight lines from point to point, level beyond the ends.

    Source: Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability estimates, KDD (2002).
    """

    xs: tuple[float, ...]
    ys: tuple[float, ...]


class Calibrated(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="calibrated"):
    """The weighted mean of models whose answer is corrected: of two classes by one curve, of more by one for each class."""

    weight: float
    members: tuple[Linear | Forest, ...]
    curves: tuple[Sigmoid | Isotonic, ...]


Member = Linear | Forest | Calibrated


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``compiled.json``; ``classes`` is empty for a regression."""

    plan: Plan
    members: tuple[Member, ...]
    classes: tuple[float, ...] = ()
    format: Literal[1] = 1

    @property
    def forests(self) -> list[Forest]:
        """Every ensemble of trees, those under a calibration too."""
        plain = [one for member in self.members for one in _models(member)]
        return [one for one in plain if isinstance(one, Forest)]


@dataclass(frozen=True)
class CompiledModel:
    """A compiled pipeline: its description, and by file name its trees."""

    description: Description
    trees: Mapping[str, bytes] = field(repr=False)

    @property
    def task(self) -> Literal["regression", "classification"]:
        """What it predicts."""
        return "classification" if self.description.classes else "regression"

    def files(self) -> dict[str, bytes]:
        """What to write into a release."""
        return {COMPILED: msgspec.json.encode(self.description), **self.trees}

    def predictor(self) -> Predictor:
        """Ready to predict.

        Raises
        ------
        CompiledError: the trees do not fit the plan.
        """
        from include.kreislauf.inference.predictor import Predictor

        return Predictor(self)


def from_files(files: Mapping[str, bytes]) -> CompiledModel:
    """Read what :meth:`CompiledModel.files` wrote; other files are left alone.

    Raises
    ------
    CompiledError: a file is missing, was changed, or does not fit the others.
    """
    if COMPILED not in files:
        raise CompiledError("is missing", where=COMPILED, next_step="make the release again")
    try:
        description = msgspec.json.decode(files[COMPILED], type=Description)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CompiledError(f"cannot be read: {error}", where=COMPILED) from error
    _check(description)
    for one in description.forests:
        if hashlib.sha256(files.get(one.file, b"")).hexdigest() != one.sha256:
            raise CompiledError("is missing or was changed (SHA-256 differs)", where=one.file)
    return CompiledModel(description, {one.file: files[one.file] for one in description.forests})


def _check(description: Description) -> None:
    """Whether the parts fit: a wrong place or number of columns would read beyond the row."""
    plan, classes = description.plan, len(description.classes)
    columns: list[Number | Flag | Table] = [*plan.numbers, *plan.flags, *plan.tables]
    of_numbers: list[Number | Flag] = [*plan.numbers, *plan.flags]
    if sorted(column.place for column in columns) != list(range(plan.width)):
        raise CompiledError("columns do not fill the row", where=COMPILED)
    if any(one.feature not in plan.numeric for one in of_numbers) or any(
        one.feature not in plan.categorical for one in plan.tables
    ):
        raise CompiledError("a column is made of no feature", where=COMPILED)
    for member in description.members:
        _check_member(member, plan.width, classes)
    if not sum(member.weight for member in description.members):
        raise CompiledError("no model has a weight", where=COMPILED)


def _models(member: Member) -> tuple[Linear | Forest, ...]:
    return member.members if isinstance(member, Calibrated) else (member,)


def _check_member(member: Member, width: int, classes: int) -> None:
    is_calibrated = isinstance(member, Calibrated)
    for one in _models(member):
        if isinstance(one, Linear) and {len(row) for row in one.coefficients} != {width}:
            raise CompiledError("coefficients do not fit the row", where=COMPILED)
        fits = one.outputs == _outputs(one.link, classes) and (one.link != "sums" or is_calibrated)
        if not fits or one.weight < 0:
            raise CompiledError("a model does not fit the classes", where=COMPILED)
    if isinstance(member, Calibrated):
        _check_calibration(member, classes)


def _check_calibration(member: Calibrated, classes: int) -> None:
    if len(member.curves) != _outputs("sums", classes) or not sum(one.weight for one in member.members):
        raise CompiledError("a calibration does not fit its model", where=COMPILED)
    links = {one.link == "sums" for one in member.members}
    if len(links) != 1 or member.weight < 0:
        raise CompiledError("a calibration reads sums and probabilities", where=COMPILED)
    curves = [one for one in member.curves if isinstance(one, Isotonic)]
    if any(len(one.xs) != len(one.ys) or not one.xs or sorted(one.xs) != list(one.xs) for one in curves):
        raise CompiledError("the points of a calibration are not in order", where=COMPILED)


def _outputs(link: Link, classes: int) -> int:
    """How many sums a model of this link has; -1 where it cannot be."""
    if link in ("identity", "exponential"):
        return 1 if not classes else -1
    if link == "sigmoid":
        return 1 if classes == 2 else -1
    if link == "sums" and classes == 2:
        return 1
    return classes or -1
