"""The report on one training: candidates, baselines and champion, scored on exactly the same held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import EvaluationError
from include.kreislauf.evaluation.intervals import with_intervals
from include.kreislauf.evaluation.models import Comparison, Estimate, Report, Scores, SegmentScore
from include.kreislauf.requirements.science import Performance
from include.kreislauf.statistics.intervals import block_bootstrap_gain, block_bootstrap_mean
from include.kreislauf.statistics.metrics import Metric, metric, metrics_for
from include.kreislauf.statistics.verdicts import two_sided
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.files import probabilities_of

Floats = npt.NDArray[np.float64]
Business = Callable[[pd.DataFrame], float]
"""The business metric of one period's rows (columns entity, prediction, target); NaN where it is not defined."""


@dataclass(frozen=True)
class Champion:
    """The live release's predictions.

    Parameters
    ----------
    predictions: columns entity, period, prediction; NaN or no row where the champion does not know the entity.
    trained_until: start of the last period whose target the champion was fitted on.
    """

    predictions: pd.DataFrame
    trained_until: date


@dataclass(frozen=True)
class Question:
    """What an evaluation goes by.

    Parameters
    ----------
    business: see :data:`Business`; ``business_level``: of its interval.
    horizon: periods that targets overlap over; so many are drawn together.
    segments: by row key, see :meth:`Evaluation.segments_of`: columns entity, period, and one per segment rule.
    """

    performance: Performance
    business: Business
    business_level: float
    horizon: int = 1
    segments: pd.DataFrame | None = None

    @property
    def metric(self) -> Metric:
        """The contract's performance metric."""
        return metric(self.performance.metric)

    @property
    def level(self) -> float:
        """Level of the gain's two-sided interval."""
        return two_sided(self.performance.confidence)


def build_report(
    predictions: pd.DataFrame, tried: Sequence[Candidate], question: Question, champion: Champion | None = None,
    *, failed: Mapping[str, str] | None = None, unknown_entities: float = 0.0,
) -> Report:  # fmt: skip
    """Score all models.

    Parameters
    ----------
    predictions: see :meth:`~include.kreislauf.training.files.CandidateSet.predictions`; of the candidates, and of
        the contract's baseline at least.
    champion: what is live, if anything is. It is compared only on held-out periods after its training data, and its
        error only on entities it knows; its business metric counts all, as live.

    Raises
    ------
    EvaluationError: models do not have the same rows, a row repeats, a prediction is missing, or the baseline is.
    """
    found = Evaluation(predictions, question)
    names = [candidate.name for candidate in tried]
    others = [name for name in found.models if name not in names]
    comparisons, note = found.compare_all(names, champion)
    return Report(
        metric=question.metric.name, baseline=question.performance.baseline,
        candidates=tuple(found.scores(candidate) for candidate in tried),
        baselines=tuple(found.scores(Candidate(name, "baseline", {})) for name in others),
        comparisons=comparisons, champion_note=note, failed=dict(failed or {}), unknown_entities=unknown_entities,
        held_out=found.held_out,
    )  # fmt: skip


class Evaluation:
    """Held-out rows of all models, side by side."""

    def __init__(self, predictions: pd.DataFrame, question: Question) -> None:
        self.question = question
        self.all = predictions
        self.keys = ["period", "entity"] if "period" in predictions else ["entity"]
        held_out = predictions[predictions["part"] == "held_out"]
        self.models = {
            str(name): _in_order(str(name), rows, self.keys) for name, rows in held_out.groupby("model")
        }
        baseline = question.performance.baseline
        if baseline not in self.models:
            raise EvaluationError(f"the baseline {baseline} is missing", allowed=sorted(self.models))
        for name, rows in self.models.items():
            _require_same(name, rows, self.reference, self.keys)

    @property
    def reference(self) -> pd.DataFrame:
        """The baseline's rows."""
        return self.models[self.question.performance.baseline]

    @property
    def held_out(self) -> tuple[date, ...]:
        """Starts of the held-out periods; none without time."""
        if "period" not in self.reference:
            return ()
        return tuple(pd.Timestamp(one).date() for one in sorted(self.reference["period"].unique()))

    @cached_property
    def base_losses(self) -> Floats:
        """Losses of the baseline, row by row."""
        return losses(self.reference, self.question.metric)

    def scores(self, candidate: Candidate) -> Scores:
        """How one model did."""
        rows, asked = self.models[candidate.name], self.question
        own = losses(rows, asked.metric)
        by_period = business_by_fold(rows, asked.business)
        width, coverage = self._intervals(candidate.name)
        return Scores(
            name=candidate.name, family=candidate.family, params=dict(candidate.params),
            complexity=0 if candidate.family == "baseline" else candidate.complexity,
            error=asked.metric.total(float(own.mean())),
            further={
                one.name: one.total(float(losses(rows, one).mean()))
                for one in metrics_for(asked.metric.task) if one.name != asked.metric.name
            },
            gain=self.gain(rows, own, self.base_losses), business=self._mean(by_period), business_by_period=by_period,
            coverage=coverage, half_width=width, segments=tuple(self._segments(rows, own)),
            n_periods=rows["fold"].nunique(), n_rows=len(rows),
        )  # fmt: skip

    def gain(self, rows: pd.DataFrame, own: Floats, other: Floats, level: float | None = None) -> Estimate:
        """By how much losses undercut others, row by row, with an interval over whole blocks."""
        level = level or self.question.level
        found: dict[str, tuple[Sequence[float], Sequence[float]]] = {
            str(block): (own[places].tolist(), other[places].tolist()) for block, places in _blocks(rows)
        }
        if not found:
            return Estimate(value=None, level=level)
        interval = block_bootstrap_gain(found, self.question.metric.gain, level, length=self.question.horizon)
        return Estimate.of(interval, level)

    def compare_all(
        self, names: Iterable[str], champion: Champion | None
    ) -> tuple[tuple[Comparison, ...], str]:
        """Each candidate beside the champion, and a sentence about it."""
        if champion is None:
            return (), "no champion: nothing is live"
        if self.question.metric.task != "regression":
            return (), "champion not comparable: a release gives no probabilities"
        live = champion.predictions[[*self.keys, "prediction"]].rename(columns={"prediction": "live"})
        live = live.assign(period=pd.to_datetime(live["period"]))
        if live.duplicated(self.keys).any():
            raise EvaluationError("needs at most one row per entity and period", where="champion")
        unseen = live["live"].notna() & (live["period"] > pd.Timestamp(champion.trained_until))
        beside = {name: self._beside(name, live, live.loc[unseen, "period"]) for name in names}
        if not any(rows["live"].notna().any() for rows in beside.values()):
            return (), "champion not comparable: it predicted no held-out period after its own training data"
        compared = tuple(self._compare(name, rows) for name, rows in beside.items())
        return (
            compared,
            f"champion compared on {compared[0].n_periods} periods after {champion.trained_until}",
        )

    def _beside(self, name: str, live: pd.DataFrame, periods: pd.Series) -> pd.DataFrame:
        """A candidate's rows with the champion's predictions, in periods that the champion has not learnt from."""
        rows = self.models[name]
        return rows[rows["period"].isin(periods)].merge(live, on=self.keys, how="left", validate="one_to_one")

    def _compare(self, name: str, rows: pd.DataFrame) -> Comparison:
        champion = rows.assign(prediction=rows["live"])
        known = rows["live"].notna()
        mine, theirs = rows[known].reset_index(drop=True), champion[known].reset_index(drop=True)
        own, other = losses(mine, self.question.metric), losses(theirs, self.question.metric)
        ours, live = (business_by_fold(one, self.question.business) for one in (rows, champion))
        total = self.question.metric.total
        return Comparison(
            candidate=name, error=total(float(own.mean())), champion_error=total(float(other.mean())),
            gain=self.gain(mine, own, other),
            business_difference=self._mean({fold: ours[fold] - live[fold] for fold in ours if fold in live}),
            same_predictions=bool(known.all() and np.array_equal(rows["prediction"], rows["live"])),
            n_periods=rows["fold"].nunique(), n_rows=int(known.sum()),
        )  # fmt: skip

    def _mean(self, by_period: Mapping[str, float]) -> Estimate:
        level = self.question.business_level
        if not by_period:
            return Estimate(value=None, level=level)
        values = {period: [value] for period, value in by_period.items()}
        return Estimate.of(block_bootstrap_mean(values, level, length=self.question.horizon), level)

    def _intervals(self, name: str) -> tuple[float | None, float | None]:
        """Half width around the next prediction, and measured coverage; ``None`` for what has no numbers."""
        if self.question.metric.task != "regression":
            return None, None
        rows = with_intervals(self.all[self.all["model"] == name], self.question.performance.interval,
                              self.question.horizon)  # fmt: skip
        judged = rows[(rows["part"] == "held_out") & np.isfinite(rows["low"])]
        inside = judged["target"].between(judged["low"], judged["high"])
        width = float(rows["next_half_width"].iloc[0]) if len(rows) else float("inf")
        return (width if np.isfinite(width) else None), (float(inside.mean()) if len(judged) else None)

    def _segments(self, rows: pd.DataFrame, own: Floats) -> Iterable[SegmentScore]:
        if self.question.segments is None:
            return
        segments = self.question.segments.drop_duplicates()  # without time an entity may have several rows
        marks = rows[self.keys].merge(segments, on=self.keys, how="left", validate="many_to_one")
        found = [
            (rule, value, (marks[rule.by].astype(str) == value).to_numpy())
            for rule in self.question.performance.segments
            for value in sorted(marks[rule.by].dropna().astype(str).unique())
        ]
        judged = [rule.required and int(inside.sum()) >= rule.min_rows for rule, _, inside in found]
        # of many segments one looks bad by chance: each is judged at a share of the error (Bonferroni)
        level = 1 - (1 - self.question.level) / max(1, sum(judged))
        for (rule, value, inside), counts in zip(found, judged, strict=True):
            yield SegmentScore(
                by=rule.by, value=value, n_rows=int(inside.sum()), limit=-rule.max_loss if counts else None,
                gain=self.gain(rows[inside].reset_index(drop=True), own[inside], self.base_losses[inside], level),
            )  # fmt: skip


def losses(rows: pd.DataFrame, judged_by: Metric) -> Floats:
    """Losses of predictions, row by row; shape (n,)."""
    names = probabilities_of(rows)
    shown = rows[names].to_numpy(np.float64) if names else rows["prediction"].to_numpy(np.float64)
    return judged_by.losses(rows["target"].to_numpy(np.float64), shown)


def business_by_fold(rows: pd.DataFrame, business: Business) -> dict[str, float]:
    """The business metric of each fold (period) where it is defined."""
    found = {str(fold): business(part) for fold, part in rows.groupby("fold", sort=True)}
    return {fold: value for fold, value in found.items() if np.isfinite(value)}


def _blocks(rows: pd.DataFrame) -> Iterable[tuple[object, npt.NDArray[np.intp]]]:
    """Positions of the rows of each block, in the order of time."""
    found = rows.groupby("block", sort=True).indices
    return [(block, np.asarray(places, dtype=np.intp)) for block, places in sorted(found.items())]


def _in_order(name: str, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    ordered = rows.sort_values(keys, ignore_index=True).dropna(axis=1, how="all")
    if ordered.empty or (ordered.duplicated(keys).any() and "period" in keys):
        raise EvaluationError("needs exactly one row per entity and period", where=name)
    shown = [*(one for one in ordered.columns if one == "prediction"), *probabilities_of(ordered)]
    if not shown or "target" not in ordered or ordered[["target", *shown]].isna().any(axis=None):
        raise EvaluationError("a prediction or a target is missing", where=name)
    return ordered


def _require_same(name: str, rows: pd.DataFrame, reference: pd.DataFrame, keys: list[str]) -> None:
    same = rows[keys].equals(reference[keys]) and np.array_equal(rows["target"], reference["target"])
    if not same:
        raise EvaluationError(
            "rows or targets differ from those of the baseline", where=name,
            next_step="predict the same held-out periods of the same feature version",
        )  # fmt: skip
