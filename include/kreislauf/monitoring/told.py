"""What was predicted, beside what then happened, in the form in which performance metrics judge a kind of problem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from include.kreislauf.inference.served import MISSING
from include.kreislauf.monitoring.measuring import can_be_told, can_happen
from include.kreislauf.requirements.problem import Problem

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """Rows in the order of time.

    Parameters
    ----------
    predicted: shape (n,) numbers, or (n, classes) probabilities in the order of the contract.
    outcomes: shape (n,), numbers or positions of classes.
    """

    predicted: Floats
    outcomes: Floats


def told_by_log(problem: Problem, rows: Sequence[Any]) -> Told | None:
    """What the log itself says; ``None``: of more than two classes it has no probabilities.

    Parameters
    ----------
    rows: with attributes value and outcome.
    """
    if problem.kind == "multiclass":
        return None
    values, outcomes = (
        np.array([getattr(row, name) for row in rows], dtype=np.float64) for name in ("value", "outcome")
    )
    good = can_be_told(problem, values) & can_happen(problem, outcomes)
    values, outcomes = values[good], outcomes[good]
    return Told(np.column_stack([1 - values, values]) if problem.classes else values, outcomes)


def told_by_model(problem: Problem, model: Pipeline, table: pd.DataFrame) -> Floats:
    """What a model says of some rows; the probability of a class that it never saw is 0."""
    if not problem.classes:
        return np.asarray(model.predict(table), dtype=np.float64)
    found = np.zeros((len(table), len(problem.classes)))
    found[:, model.classes_.astype(np.intp)] = model.predict_proba(table)
    return found


def table_of(
    problem: Problem, features: Mapping[str, Sequence[str]], rows: Sequence[Any]
) -> tuple[pd.DataFrame, Floats]:
    """The rows that carry every feature and of which is known what happened, as a pipeline takes them; and the outcomes.

    Parameters
    ----------
    features: names of the features, ``numeric`` and ``categorical``.
    rows: with attributes features (JSON, or ``None``) and outcome.
    """
    numeric, names = list(features["numeric"]), [*features["numeric"], *features["categorical"]]
    sent = [(json.loads(row.features), row.outcome) for row in rows if row.features]
    whole = [(one, outcome) for one, outcome in sent if all(name in one for name in names)]
    table = pd.DataFrame([[one[name] for name in names] for one, _ in whole], columns=names)
    table[numeric] = table[numeric].astype(float)
    categorical = list(features["categorical"])
    # a category that was not sent: the service computed with this, where the release has learnt it
    table[categorical] = table[categorical].astype(object).where(table[categorical].notna(), MISSING)
    outcomes = np.array([outcome for _, outcome in whole], dtype=np.float64)
    good = can_happen(problem, outcomes)
    return table[good], outcomes[good]
