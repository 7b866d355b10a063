"""The winner of an evaluation, as deployment takes it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from include.kreislauf.errors import ReleaseError
from include.kreislauf.settings import Settings
from include.kreislauf.store.tables import Tables
from include.kreislauf.training.files import load_candidates

SEPARATOR = "#"


@dataclass(frozen=True)
class Winner:
    """Everything a release is made from.

    Parameters
    ----------
    features: the rows of the feature version that the model was trained on.
    categorical: categorical features, each with the values seen in training.
    trained_until: start of the last period whose target the model has seen (ISO date); empty without time.
    classes: in the order of their positions; none for numbers.
    may_be_missing: numeric features that need not be known.
    """

    family: str
    params: dict[str, Any]
    model: Any
    numeric: list[str]
    categorical: dict[str, list[str]]
    features: pd.DataFrame
    trained_until: str
    inputs: dict[str, str]
    classes: tuple[str, ...] = ()
    may_be_missing: tuple[str, ...] = ()


def winner_version(candidates: str, name: str) -> str:
    """How a handover names the winner: the training's version and the candidate."""
    return f"{candidates}{SEPARATOR}{name}"


def load_winner(settings: Settings, use_case: str, version: str) -> Winner:
    """Load what :func:`winner_version` names.

    Raises
    ------
    ReleaseError: the version's name is malformed, or names a candidate that was not trained.
    TrainingError: the training's files are missing or were changed.
    """
    candidates, _, name = version.partition(SEPARATOR)
    saved = load_candidates(settings.artefacts, use_case, candidates)
    chosen = next((one for one in saved.candidates if one.name == name), None)
    if chosen is None:
        raise ReleaseError(
            f"{name!r} is not among the candidates",
            where=candidates,
            allowed=[one.name for one in saved.candidates],
        )
    return Winner(
        family=chosen.family,
        params=dict(chosen.params),
        model=saved.model(name),
        numeric=list(saved.index["numeric"]),
        categorical=dict(saved.index["categorical"]),
        features=Tables(settings.tables, use_case).read(saved.index["features"]),
        trained_until=saved.index["trained_until"],
        inputs={**saved.index["inputs"], "candidates": candidates},
        classes=tuple(saved.index["classes"]),
        may_be_missing=tuple(saved.index["may_be_missing"]),
    )
