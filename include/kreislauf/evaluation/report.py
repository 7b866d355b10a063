"""The report on one training: candidates, baselines and champion, scored on exactly the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isfinite

import numpy as np
import pandas as pd
from pydantic import JsonValue

from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Frozen
from include.kreislauf.statistics.business import portfolio_uplift
from include.kreislauf.statistics.intervals import block_bootstrap_mean
from include.kreislauf.training.candidates import Candidate

KEYS = ["period", "entity"]


class EvaluationError(KreislaufError):
    """Predictions cannot be compared: rows differ, repeat, or lack a prediction."""


class Scores(Frozen):
    """How one model did on the held-out periods."""

    name: str
    family: str
    params: dict[str, JsonValue]
    complexity: int
    mae: float
    mae_gain: float
    """Share by which the error of persistence is undercut on the same rows; negative is worse."""
    uplift: float | None
    """Portfolio uplift, mean over periods, in the unit of the target; None if nothing was recommended."""
    uplift_low: float | None
    uplift_high: float | None
    uplift_level: float
    uplift_by_period: dict[str, float]
    n_periods: int
    n_rows: int


class Comparison(Frozen):
    """A candidate beside the champion, on the held-out periods after the champion's training data."""

    candidate: str
    mae: float
    champion_mae: float
    uplift_difference: float | None
    """Candidate minus champion, mean over periods; the next field is the upper end of its interval."""
    uplift_difference_high: float | None
    same_predictions: bool
    n_periods: int
    n_rows: int


class Report(Frozen):
    """Everything the gate needs, and what a model card shows."""

    candidates: tuple[Scores, ...]
    baselines: tuple[Scores, ...]
    comparisons: tuple[Comparison, ...]
    champion_note: str
    top: int
    held_out: tuple[date, ...]


@dataclass(frozen=True)
class Champion:
    """The live release's predictions.

    Parameters
    ----------
    predictions: columns entity, period, prediction; NaN or no row where the champion does not know the
        entity.
    trained_until: start of the last period whose target the champion was fitted on.
    """

    predictions: pd.DataFrame
    trained_until: date


def build_report(
    predictions: Mapping[str, pd.DataFrame],
    tried: Sequence[Candidate],
    baselines: Mapping[str, pd.DataFrame],
    champion: Champion | None = None,
    top: int = 10,
    level: float = 0.8,
) -> Report:
    """Score all models.

    Parameters
    ----------
    predictions: by candidate name; columns entity, period, prediction, target (from ``rolling_origin``).
    tried: the candidates, one for each entry of ``predictions``.
    baselines: by name, ``persistence`` among them, in the same form.
    champion: what is live, if anything is. It is compared only on held-out periods after its training data,
        and its error only on entities it knows; its uplift counts all, as live.
    top: how many entities are recommended.
    level: confidence level of the intervals (bootstrap over periods).

    Raises
    ------
    EvaluationError: frames do not have the same rows, a row repeats, a prediction is missing, or a name is
    missing.
    """
    if "persistence" not in baselines:
        raise EvaluationError("the baseline persistence is missing", allowed=sorted(baselines))
    if missing := {c.name for c in tried} ^ set(predictions):
        raise EvaluationError(f"candidates and predictions differ: {', '.join(sorted(missing))}")
    reference = _aligned("persistence", baselines["persistence"], None)
    frames = {name: _aligned(name, frame, reference) for name, frame in {**predictions, **baselines}.items()}
    reference_mae = _mae(reference)
    base = [Candidate(name, "baseline", {}) for name in baselines]
    scores = {c.name: _scores(c, frames[c.name], reference_mae, top, level) for c in [*tried, *base]}
    comparisons, note = _compare_all({c.name: frames[c.name] for c in tried}, champion, top, level)
    return Report(
        candidates=tuple(scores[c.name] for c in tried),
        baselines=tuple(scores[name] for name in baselines),
        comparisons=comparisons,
        champion_note=note,
        top=top,
        held_out=tuple(pd.Timestamp(period).date() for period in sorted(reference["period"].unique())),
    )


def uplift_by_period(frame: pd.DataFrame, top: int) -> dict[str, float]:
    """Portfolio uplift by period (ISO date of its start) where defined; columns as ``rolling_origin``."""
    uplifts = {
        pd.Timestamp(period).date().isoformat(): portfolio_uplift(  # type: ignore[arg-type]
            rows["prediction"].to_numpy(), rows["target"].to_numpy(), top, names=rows["entity"].tolist()
        )
        for period, rows in frame.groupby("period", sort=True)
    }
    return {period: value for period, value in uplifts.items() if isfinite(value)}


def _aligned(name: str, frame: pd.DataFrame, reference: pd.DataFrame | None) -> pd.DataFrame:
    """The frame in one row order, after checking that it can be compared with the reference."""
    ordered = frame.assign(period=pd.to_datetime(frame["period"])).sort_values(KEYS, ignore_index=True)
    if ordered.empty or ordered.duplicated(KEYS).any():
        raise EvaluationError("needs exactly one row per entity and period", where=name)
    if ordered[["prediction", "target"]].isna().any(axis=None):
        raise EvaluationError("a prediction or a target is missing", where=name)
    if reference is not None and not (
        ordered[KEYS].equals(reference[KEYS]) and np.array_equal(ordered["target"], reference["target"])
    ):
        raise EvaluationError(
            "rows or targets differ from those of persistence", where=name,
            next_step="predict the same held-out periods of the same feature version",
        )  # fmt: skip
    return ordered


def _mae(frame: pd.DataFrame) -> float:
    return float((frame["target"] - frame["prediction"]).abs().mean())


def _scores(
    candidate: Candidate, frame: pd.DataFrame, reference_mae: float, top: int, level: float
) -> Scores:
    uplifts = uplift_by_period(frame, top)
    low, mean, high = _bootstrap(uplifts, level)
    mae = _mae(frame)
    return Scores(
        name=candidate.name,
        family=candidate.family,
        params=dict(candidate.params),
        complexity=0 if candidate.family == "baseline" else candidate.complexity,
        mae=mae,
        mae_gain=1 - mae / reference_mae if reference_mae > 0 else 0.0,
        uplift=mean,
        uplift_low=low,
        uplift_high=high,
        uplift_level=level,
        uplift_by_period=uplifts,
        n_periods=frame["period"].nunique(),
        n_rows=len(frame),
    )


def _bootstrap(
    by_period: Mapping[str, float], level: float
) -> tuple[float | None, float | None, float | None]:
    """Low, mean and high; None where unknown, because JSON has no infinity."""
    if not by_period:
        return None, None, None
    interval = block_bootstrap_mean({period: [value] for period, value in by_period.items()}, level)
    low, high = (value if isfinite(value) else None for value in (interval.low, interval.high))
    return low, interval.mean, high


def _compare_all(
    frames: Mapping[str, pd.DataFrame], champion: Champion | None, top: int, level: float
) -> tuple[tuple[Comparison, ...], str]:
    if champion is None:
        return (), "no champion: nothing is live"
    live = champion.predictions[[*KEYS, "prediction"]].rename(columns={"prediction": "live"})
    live = live.assign(period=pd.to_datetime(live["period"]))
    if live.duplicated(KEYS).any():
        raise EvaluationError("needs at most one row per entity and period", where="champion")
    beside = {name: _beside(frame, live, champion.trained_until) for name, frame in frames.items()}
    if not any(rows["live"].notna().any() for rows in beside.values()):
        return (), "champion not comparable: it predicted no held-out period after its own training data"
    compared = tuple(_compare(name, rows, top, level) for name, rows in beside.items())
    return compared, f"champion compared on {compared[0].n_periods} periods after {champion.trained_until}"


def _beside(frame: pd.DataFrame, live: pd.DataFrame, trained_until: date) -> pd.DataFrame:
    """A candidate's rows with the champion's predictions, in the periods after the champion's training data.

    Periods without any prediction of the champion are left out: nothing was live then that could be compared.
    """
    unseen = frame["period"].isin(live.loc[live["live"].notna(), "period"])
    unseen &= frame["period"] > pd.Timestamp(trained_until)
    return frame[unseen].merge(live, on=KEYS, how="left", validate="one_to_one")


def _compare(name: str, rows: pd.DataFrame, top: int, level: float) -> Comparison:
    live = rows.assign(prediction=rows["live"])
    known = rows["live"].notna()
    ours, theirs = uplift_by_period(rows, top), uplift_by_period(live, top)
    difference = {period: ours[period] - theirs[period] for period in ours if period in theirs}
    _, mean, high = _bootstrap(difference, level)
    return Comparison(
        candidate=name,
        mae=_mae(rows[known]),
        champion_mae=_mae(live[known]),
        uplift_difference=mean,
        uplift_difference_high=high,
        same_predictions=bool(known.all() and np.array_equal(rows["prediction"], rows["live"])),
        n_periods=rows["period"].nunique(),
        n_rows=int(known.sum()),
    )
