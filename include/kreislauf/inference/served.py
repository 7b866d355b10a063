"""A verified release that answers: compiled where it is, by scikit-learn where not, with one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from include.kreislauf.errors import ReleaseError
from include.kreislauf.inference.compiled import COMPILED, from_files
from include.kreislauf.inference.predictor import values_of
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.settings import Settings
from include.kreislauf.store.release_files import at_once, load_row

if TYPE_CHECKING:
    from include.kreislauf.store.live import ReleaseRow

MAX_TEXT = 128
"""Characters of a categorical value that is asked for."""
MISSING = "missing"
"""What stands for a missing category where a use case has no features of its own; a test holds the two together."""

Floats = npt.NDArray[np.float64]
Row = Mapping[str, Any]


class VerifiedRelease(Protocol):
    """What this module needs of a release whose signature and hashes were found right."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the release is and what it was made from."""

    @property
    def golden(self) -> Mapping[str, Any]:
        """Input ``rows`` and the ``outputs`` they must give."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """By name the content of every file."""

    def load_model(self) -> Any:
        """The pipeline, unpickled."""


class Predicting(Protocol):
    """What both ways of predicting share; see :class:`~include.kreislauf.inference.predictor.Predictor`."""

    numeric: tuple[str, ...]
    categorical: Mapping[str, frozenset[str]]
    classes: tuple[float, ...]

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Predictions for rows that hold every feature, (n,)."""

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of :attr:`classes`, (n, classes)."""

    def predict_values(self, values: Sequence[Any]) -> float:
        """The prediction for one row's values alone: numbers first, then categories."""

    def encode(self, values: Sequence[Sequence[Any]]) -> Any:
        """Such rows, made ready for ``evaluate``; needs Python's lock."""

    def evaluate(self, encoded: Any) -> Floats:
        """Predictions, (n,), or probabilities of :attr:`classes`, (n, classes)."""


class SklearnPredictor:
    """A pipeline on pandas frames: a few milliseconds a call.

    Parameters
    ----------
    features: ``numeric`` names, and ``categorical`` names with the values seen in training.
    """

    def __init__(self, model: Any, features: Mapping[str, Any]) -> None:
        self.numeric: tuple[str, ...] = tuple(features["numeric"])
        self.categorical: Mapping[str, frozenset[str]] = {
            name: frozenset(seen) for name, seen in features["categorical"].items()
        }
        self.classes: tuple[float, ...] = tuple(float(one) for one in getattr(model, "classes_", ()))
        self._model = model

    def predict_values(self, values: Sequence[Any]) -> float:
        """The prediction for one row's values alone: numbers first, then categories."""
        return float(self._values(self.evaluate(self.encode([values])))[0])

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Predictions, (n,)."""
        return self._values(self.evaluate(self._frame(rows)))

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of the classes, (n, classes); for a regression nothing, (n, 0)."""
        return self.evaluate(self._frame(rows)) if self.classes else np.empty((len(rows), 0))

    def encode(self, values: Sequence[Sequence[Any]]) -> Any:
        """A frame of the rows."""
        import pandas as pd

        frame = pd.DataFrame(list(values), columns=[*self.numeric, *self.categorical])
        frame[list(self.numeric)] = frame[list(self.numeric)].astype(float)
        return frame

    def evaluate(self, encoded: Any) -> Floats:
        """For a frame predictions, (n,), or probabilities, (n, classes)."""
        if not len(encoded):
            return np.empty((0, len(self.classes)) if self.classes else 0)
        predict = self._model.predict_proba if self.classes else self._model.predict
        return np.asarray(predict(encoded), dtype=np.float64)

    def _frame(self, rows: Sequence[Row]) -> Any:
        names = [*self.numeric, *self.categorical]
        return self.encode([[row[name] for name in names] for row in rows])

    def _values(self, found: Floats) -> Floats:
        return values_of(found) if self.classes else found


@dataclass(frozen=True)
class Served:
    """A release ready to answer.

    Parameters
    ----------
    kind: ``compiled`` or ``scikit-learn``.
    half_width: of the interval around a prediction; ``None``: there is none.
    problem: what it answers.
    """

    release: Any = field(repr=False)
    kind: Literal["compiled", "scikit-learn"]
    predictor: Predicting = field(repr=False)
    half_width: float | None = None
    problem: ServedProblem = field(default_factory=ServedProblem)

    def predict_one(self, row: Row) -> float:
        """The prediction for a row that holds every feature, as it is logged."""
        return float(self.predict([row])[0])

    def predict(self, rows: Sequence[Row]) -> Floats:
        """Predictions for rows as they are logged, (n,).

        Numbers; of two classes the probability of the second; of more the position of the most probable one.
        """
        found = self.predictor.probabilities(rows) if self.predictor.classes else self.predictor.predict(rows)
        return self.problem.values(found, self.predictor.classes)

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """Probabilities of the contract's classes in its order, (n, classes); of numbers nothing, (n, 0)."""
        if not self.problem.classes:
            return np.empty((len(rows), 0))
        return self.problem.shares(self.predictor.probabilities(rows), self.predictor.classes)

    def interval(self, value: float) -> tuple[float | None, float | None]:
        """Lower and upper end of the interval around a prediction."""
        if self.half_width is None:
            return None, None
        return value - self.half_width, value + self.half_width

    def check_golden(self, tolerance: float = 1e-9) -> None:
        """Predict the golden rows and compare.

        Raises
        ------
        ReleaseError: an output differs by more than ``tolerance`` (relative).
        """
        manifest, golden = self.release.manifest, self.release.golden
        if self.problem.classes:  # what is logged follows from them, but for ties
            expected, found = golden["probabilities"], self.probabilities(golden["rows"])
        else:
            expected, found = golden["outputs"], self.predict(golden["rows"])
        expected = np.asarray(expected, dtype=np.float64).reshape(found.shape)
        if not np.allclose(found, expected, rtol=tolerance, atol=tolerance):
            raise ReleaseError(
                f"golden rows differ by up to {np.max(np.abs(found - expected)):.3g}",
                where=f"{manifest['use_case']} release {manifest['version']}",
                next_step="compare the library versions in the manifest with the installed ones",
            )


def load_served(settings: Settings, row: ReleaseRow, rest: Callable[[], None] = at_once) -> Served:
    """Verify the release that the store has, make it answer, and see that it answers as when it was made.

    Parameters
    ----------
    rest: called between pieces of work, for those who want to give way to others.

    Raises
    ------
    ReleaseError: it cannot be believed, or its golden rows differ.
    CompiledError: its compiled files do not fit each other.
    """
    served = serve(load_row(settings, row, rest))
    rest()
    served.check_golden()
    return served


def serve(release: VerifiedRelease) -> Served:
    """Make a verified release answer.

    Raises
    ------
    CompiledError: its compiled files do not fit each other.
    ReleaseError: its model cannot be loaded.
    """
    problem = ServedProblem.of(release.manifest)
    width = (release.manifest.get("interval") or {}).get("half_width")
    half_width = float(width) if width is not None and np.isfinite(width) and not problem.classes else None
    if COMPILED in release.files:
        return Served(release, "compiled", from_files(release.files).predictor(), half_width, problem)
    predictor = SklearnPredictor(release.load_model(), release.manifest["features"])
    return Served(release, "scikit-learn", predictor, half_width, problem)
