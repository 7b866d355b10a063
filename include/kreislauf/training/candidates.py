"""Candidates of one training: which are tried, how they predict held-out periods, and the final fit.

**The boundary in time.** With horizon 1, the target of period p is known at the end of period p + 1. A
prediction from the features of period q is made at the end of q. So a model for q may be fitted on rows with
p + horizon <= q, and on nothing later: the row p = q has features but no target yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.pipeline import Pipeline

from include.kreislauf.errors import TrainingError
from include.kreislauf.periods import Period
from include.kreislauf.training.families import Params, family, pipeline

MIN_TRAINING_ROWS = 100
"""A held-out period with fewer rows to learn from is left out: a model fitted on less says nothing."""
WINSOR = 0.03
"""Share of training targets at either end pulled in to the quantile before a fit, never in scoring."""

_FREQUENCY: dict[Period, str] = {"month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True)
class FeatureSet:
    """Which columns of a feature frame a model sees, and the calendar of its rows.

    A feature frame has one row per (``entity``, ``period``), the columns named here, and ``target`` (NaN if
    unknown).
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    period: Period = "quarter"
    horizon: int = 1

    @property
    def names(self) -> list[str]:
        """All model inputs, numbers first."""
        return [*self.numeric, *self.categorical]

    def ordinal(self, periods: pd.Series) -> pd.Series:
        """Periods as consecutive integers."""
        starts = pd.PeriodIndex(pd.to_datetime(periods), freq=_FREQUENCY[self.period])
        return pd.Series(starts.astype("int64"), index=periods.index)


@dataclass(frozen=True)
class Candidate:
    """One configuration of one family; ``name`` is ``family:configuration``."""

    name: str
    family: str
    params: Params

    @property
    def complexity(self) -> int:
        """Rank of simplicity; smaller is simpler."""
        return family(self.family).complexity


def candidates(families: Sequence[str], breadth: int = 2) -> tuple[Candidate, ...]:
    """The first ``breadth`` configurations of each family: 1 is the defaults only, 4 is everything declared.

    Raises
    ------
    TrainingError: a family is unknown, or the breadth is below 1.
    """
    if breadth < 1:
        raise TrainingError(f"search breadth {breadth} is below 1", allowed="1, 2, ...")
    return tuple(
        Candidate(f"{name}:{label}", name, params)
        for name in dict.fromkeys(families)
        for label, params in list(family(name).configurations.items())[:breadth]
    )


def held_out_periods(frame: pd.DataFrame, features: FeatureSet, count: int) -> tuple[date, ...]:
    """The latest ``count`` periods with known targets that leave enough rows to train on, oldest first."""
    known = frame[frame["target"].notna()]
    known_at = features.ordinal(known["period"]) + features.horizon
    periods = pd.to_datetime(known["period"]).drop_duplicates().sort_values()
    rows = [(known_at <= number).sum() for number in features.ordinal(periods)]
    fitting = [period.date() for period, n in zip(periods, rows, strict=True) if n >= MIN_TRAINING_ROWS]
    return tuple(fitting[-count:])


def rolling_origin(
    frame: pd.DataFrame, held_out: Sequence[date], candidate: Candidate, features: FeatureSet, seed: int
) -> pd.DataFrame:
    """Predictions for each held-out period, each by a model fitted only on targets known when it is made.

    Parameters
    ----------
    frame: feature frame, any row order.
    held_out: starts of the periods to predict; see :func:`held_out_periods`.
    candidate: what to fit.
    features: columns and calendar.
    seed: of the estimators; equal inputs give equal results.

    Returns
    -------
    Columns entity, period, prediction, target; rows with known target only, sorted by period and entity.

    Raises
    ------
    TrainingError: no period is held out, or one has no row to learn from before it, or none to predict.

    Source: Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16
    (2000).
    """
    if not held_out:
        raise TrainingError(
            f"no period has {MIN_TRAINING_ROWS} rows to learn from before it", where=candidate.name,
            next_step="collect more periods or more entities",
        )  # fmt: skip
    known = _ordered(frame, features)
    parts = [_predict_period(known, period, candidate, features, seed) for period in sorted(held_out)]
    return pd.concat(parts, ignore_index=True)


def rolling_origins(
    frame: pd.DataFrame,
    held_out: Sequence[date],
    tried: Sequence[Candidate],
    features: FeatureSet,
    seed: int,
    n_jobs: int = 1,
) -> dict[str, pd.DataFrame]:
    """:func:`rolling_origin` of every candidate by name, on joblib's current backend."""
    results = Parallel(n_jobs=n_jobs)(
        delayed(rolling_origin)(frame, held_out, candidate, features, seed) for candidate in tried
    )
    return {candidate.name: result for candidate, result in zip(tried, results, strict=True)}


def baselines(frame: pd.DataFrame, held_out: Sequence[date], features: FeatureSet) -> dict[str, pd.DataFrame]:
    """What costs nothing, on the rows of :func:`rolling_origin`.

    ``persistence`` predicts no change; ``momentum`` the entity's last known change, 0 if there is none;
    ``drift`` the mean of all changes known when the prediction is made.
    """
    known = _ordered(frame, features)
    keys = pd.MultiIndex.from_frame(known[["entity", "_ordinal"]])
    last = pd.Series(known["target"].to_numpy(), index=keys)
    before = pd.MultiIndex.from_arrays([known["entity"], known["_ordinal"] - features.horizon])
    known_at = known["_ordinal"] + features.horizon
    mean = {quarter: known["target"][known_at <= quarter].mean() for quarter in known["_ordinal"].unique()}
    predictions: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]] | float] = {
        "persistence": 0.0,
        "momentum": last.reindex(before).fillna(0.0).to_numpy(),
        "drift": known["_ordinal"].map(mean).fillna(0.0).to_numpy(),
    }
    chosen = known["period"].isin(pd.to_datetime(list(held_out)))
    return {
        name: known.assign(prediction=values)[chosen][_PREDICTION].reset_index(drop=True)
        for name, values in predictions.items()
    }


def fit_final(frame: pd.DataFrame, candidate: Candidate, features: FeatureSet, seed: int) -> Pipeline:
    """The candidate, fitted on every row with known target.

    Raises
    ------
    TrainingError: no row has a known target.
    """
    return _fit(_ordered(frame, features), candidate, features, seed)


_PREDICTION = ["entity", "period", "prediction", "target"]


def _ordered(frame: pd.DataFrame, features: FeatureSet) -> pd.DataFrame:
    """Rows with known target in one order, so that results do not depend on the order of the frame."""
    known = frame[frame["target"].notna()].copy()
    known["period"] = pd.to_datetime(known["period"])
    known["_ordinal"] = features.ordinal(known["period"])
    return known.sort_values(["period", "entity"], ignore_index=True)


def _predict_period(
    known: pd.DataFrame, period: date, candidate: Candidate, features: FeatureSet, seed: int
) -> pd.DataFrame:
    rows = known[known["period"] == pd.Timestamp(period)]
    if rows.empty:
        raise TrainingError(f"no row with known target in held-out period {period}")
    learn = known[known["_ordinal"] + features.horizon <= rows["_ordinal"].iloc[0]]
    model = _fit(learn, candidate, features, seed)
    return rows.assign(prediction=model.predict(rows[features.names]))[_PREDICTION]


def _fit(known: pd.DataFrame, candidate: Candidate, features: FeatureSet, seed: int) -> Pipeline:
    if known.empty:
        raise TrainingError(
            "no row with known target to learn from", where=candidate.name,
            next_step="collect more periods, or hold out fewer",
        )  # fmt: skip
    low, high = known["target"].quantile([WINSOR, 1 - WINSOR])
    model = pipeline(candidate.family, candidate.params, features.numeric, features.categorical, seed)
    return model.fit(known[features.names], known["target"].clip(low, high))
