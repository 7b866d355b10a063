"""Predictions of made-up models over made-up outcomes, in the form that training leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.evaluation.business import uplifts
from include.kreislauf.evaluation.gates import Thresholds, decide
from include.kreislauf.evaluation.models import Decision, Report
from include.kreislauf.evaluation.report import Champion, Question, build_report
from include.kreislauf.requirements.science import Performance
from include.kreislauf.statistics.business import portfolio_uplift
from include.kreislauf.training.families import Candidate

Floats = npt.NDArray[np.float64]
SEARCH = 8
"""Periods of the search, before those held out."""
TOP = 5
BEFORE = "1990-01-01"
"""A champion that was trained until then has seen nothing of what is held out."""


def truth(entities: int = 20, held_out: int = 8, seed: int = 0) -> pd.DataFrame:
    """Rows with random outcomes, standard deviation 0.1, of the search and held out, oldest first."""
    starts = pd.date_range("2012-01-01", periods=SEARCH + held_out, freq="QS")
    keys = [(n, start, f"e{i:02d}") for n, start in enumerate(starts) for i in range(entities)]
    rows = pd.DataFrame(keys, columns=["time", "period", "entity"])
    label = rows["period"].dt.strftime("%Y-%m-%d")
    part = np.where(rows["time"] < SEARCH, "search", "held_out")
    target = np.random.default_rng(seed).normal(0, 0.1, len(rows))
    return rows.assign(row=range(len(rows)), fold=label, block=label, part=part, target=target)


def guess(rows: pd.DataFrame, skill: float, seed: int = 1) -> Floats:
    """Predictions that are ``skill`` truth and the rest noise of the same size."""
    noise = np.random.default_rng(seed).normal(0, 0.1, len(rows))
    return np.asarray(skill * rows["target"] + (1 - skill) * noise, dtype=np.float64)


def predicted(rows: pd.DataFrame, models: Mapping[str, Any]) -> pd.DataFrame:
    """What training saves: the rows once per model, and of persistence, which predicts no change."""
    named = {"persistence": 0.0, **models}
    frames = [rows.assign(model=name, prediction=values) for name, values in named.items()]
    return pd.concat(frames, ignore_index=True)


def question(*, horizon: int = 1, marks: pd.DataFrame | None = None, **performance: Any) -> Question:
    """What the made-up contract asks; see :class:`Performance`. ``marks``: the segments of the rows."""
    asked = {"metric": "mae", "baseline": "persistence", "min_gain": 0.02, **performance}
    return Question(Performance.model_validate(asked), lambda rows: uplifts(rows, TOP), 0.8, horizon, marks)


def uplift(rows: pd.DataFrame) -> float:
    return portfolio_uplift(rows["prediction"], rows["target"], TOP, names=rows["entity"].tolist())


def tried(*names: str) -> list[Candidate]:
    """Candidates; the family is what stands before the colon."""
    return [Candidate(name, name.partition(":")[0], {}) for name in names]


def report(
    rows: pd.DataFrame, models: Mapping[str, Any], champion: Champion | None = None,
    asked: Question | None = None, **more: Any,
) -> Report:  # fmt: skip
    return build_report(predicted(rows, models), tried(*models), asked or question(), champion, **more)


def verdict(
    rows: pd.DataFrame, models: Mapping[str, Any], champion: Champion | None = None,
    asked: Question | None = None, **limits: Any,
) -> Decision:  # fmt: skip
    return decide(report(rows, models, champion, asked), Thresholds(**limits))


def live(rows: pd.DataFrame, values: Any, trained_until: str = BEFORE) -> Champion:
    """A champion that predicts these values of the rows."""
    shown = rows.assign(prediction=values)
    shown = shown[shown["part"] == "held_out"]
    return Champion(shown[["row", "prediction"]], trained_until)


def halves(rows: pd.DataFrame) -> pd.DataFrame:
    """Segments of the rows: ``half`` is ``first`` or ``second``."""
    half = np.where(rows["entity"] < "e10", "first", "second")
    return pd.DataFrame({"half": half}, index=rows["row"])
