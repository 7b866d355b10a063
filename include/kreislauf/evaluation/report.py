"""The report on one training: candidates, baselines and champion, scored on exactly the same held-out rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.kreislauf.errors import EvaluationError
from include.kreislauf.evaluation.blocks import blocks_of
from include.kreislauf.evaluation.business import Observe, observations_of
from include.kreislauf.evaluation.intervals import with_intervals
from include.kreislauf.evaluation.models import Comparison, Estimate, Report, Scores, SegmentScore
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.science import Performance
from include.kreislauf.statistics.calibration import of_classes
from include.kreislauf.statistics.intervals import block_bootstrap_gain, block_bootstrap_mean
from include.kreislauf.statistics.metrics import Metric, further_scores, metric, metrics_for
from include.kreislauf.statistics.verdicts import two_sided
from include.kreislauf.training.design import purge_of
from include.kreislauf.training.families import Candidate
from include.kreislauf.training.files import probabilities_of

Floats = npt.NDArray[np.float64]
KEY = "row"
LIVE = "live_"
"""What stands before the names of the champion's columns beside a candidate's."""


@dataclass(frozen=True)
class Champion:
    """The live release's predictions.

    Parameters
    ----------
    predictions: columns row, and prediction or p0, p1, ...; NaN or no row where the champion does not know the entity,
        or has learnt from the row.
    trained_until: label of the last period whose target the champion was fitted on; empty without time.
    note: why it cannot be compared; empty: it can.
    """

    predictions: pd.DataFrame
    trained_until: str
    note: str = ""


@dataclass(frozen=True)
class Question:
    """What an evaluation goes by.

    Parameters
    ----------
    observe: makes the observations of the business metric; ``business_level``: of its mean's interval.
    horizon: periods that targets overlap over; so many are drawn together.
    segments: by row (index), one column per segment rule.
    """

    performance: Performance
    observe: Observe
    business_level: float
    horizon: int = 1
    segments: pd.DataFrame | None = None

    @classmethod
    def of(
        cls, contract: Contract, segments: pd.DataFrame | None = None, performance: Performance | None = None,
        *, folder: Path | None = None,
    ) -> Question:  # fmt: skip
        """What a contract asks.

        Parameters
        ----------
        performance: instead of the contract's own.
        folder: that of the use case, see :func:`~include.kreislauf.evaluation.business.measure_of`.

        Raises
        ------
        EvaluationError: the use case's own metric cannot be had.
        """
        rule, problem = contract.gate_metric, contract.problem
        return cls(
            performance or contract.performance, observations_of(rule, problem, folder), rule.level,
            purge_of(problem), segments,
        )  # fmt: skip

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
    champion: what is live, if anything is. It is compared only on held-out rows that it has not learnt from, and its
        error only on entities it knows; an uplift counts all, as live.

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
        held_out = predictions[predictions["part"] == "held_out"]
        self.models = {str(name): _in_order(str(name), rows) for name, rows in held_out.groupby("model")}
        baseline = question.performance.baseline
        if baseline not in self.models:
            raise EvaluationError(f"the baseline {baseline} is missing", allowed=sorted(self.models))
        for name, rows in self.models.items():
            _require_same(name, rows, self.reference)

    @property
    def reference(self) -> pd.DataFrame:
        """The baseline's rows."""
        return self.models[self.question.performance.baseline]

    @property
    def held_out(self) -> tuple[str, ...]:
        """Labels of the held-out periods; none without time."""
        return tuple(sorted(self.reference["fold"].unique())) if "period" in self.reference else ()

    @cached_property
    def base_losses(self) -> Floats:
        """Losses of the baseline, row by row."""
        return losses(self.reference, self.question.metric)

    def scores(self, candidate: Candidate) -> Scores:
        """How one model did."""
        rows, asked = self.models[candidate.name], self.question
        own, observed = losses(rows, asked.metric), asked.observe(rows)
        error, chance = self._calibration(rows)
        width, coverage = self._intervals(candidate.name)
        return Scores(
            name=candidate.name, family=candidate.family, params=dict(candidate.params),
            complexity=0 if candidate.family == "baseline" else candidate.complexity,
            error=asked.metric.total(float(own.mean())), further=self._further(rows),
            gain=self.gain(rows, own, self.base_losses), business=self._mean(observed),
            business_by_period=_by_period(observed) if self.held_out else {},
            coverage=coverage, half_width=width, calibration_error=error, calibration_by_chance=chance,
            segments=tuple(self._segments(rows, own)), n_periods=rows["fold"].nunique(), n_rows=len(rows),
        )  # fmt: skip

    def gain(self, rows: pd.DataFrame, own: Floats, other: Floats, level: float | None = None) -> Estimate:
        """By how much losses undercut others, row by row, with an interval over whole blocks."""
        level = level or self.question.level
        found = {block: (own[places].tolist(), other[places].tolist()) for block, places in blocks_of(rows)}
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
        if champion.note:
            return (), champion.note
        told = champion.predictions
        if told[KEY].duplicated().any():
            raise EvaluationError("needs at most one prediction of each row", where="champion")
        live = told[[KEY, *shown_in(told)]].rename(columns=lambda name: name if name == KEY else LIVE + name)
        beside = {name: self._beside(self.models[name], live, champion.trained_until) for name in names}
        if not any(len(rows) for rows in beside.values()):
            return (), "champion not comparable: it predicted no held-out row after its own training data"
        compared = tuple(self._compare(name, rows) for name, rows in beside.items())
        where = (
            f"on {compared[0].n_periods} periods after {champion.trained_until}"
            if champion.trained_until else f"on {compared[0].n_rows} held-out rows that it has not learnt from"
        )  # fmt: skip
        return compared, f"champion compared {where}"

    def _beside(self, rows: pd.DataFrame, live: pd.DataFrame, until: str) -> pd.DataFrame:
        """A candidate's rows with the champion's predictions; in time those of the periods after its training data."""
        both = rows.merge(live, on=KEY, how="left", validate="one_to_one")
        known = both[[LIVE + name for name in shown_in(rows)]].notna().all(axis=1)
        if not until:
            return both[known].reset_index(drop=True)
        after = both["fold"] > until
        return both[both["fold"].isin(both.loc[known & after, "fold"])].reset_index(drop=True)

    def _compare(self, name: str, rows: pd.DataFrame) -> Comparison:
        names = shown_in(rows)
        champion = rows.assign(**{one: rows[LIVE + one] for one in names})
        known = champion[names].notna().all(axis=1)
        mine, theirs = rows[known].reset_index(drop=True), champion[known].reset_index(drop=True)
        own, other = losses(mine, self.question.metric), losses(theirs, self.question.metric)
        ours, live = self.question.observe(rows), self.question.observe(champion)
        total = self.question.metric.total
        return Comparison(
            candidate=name, error=total(float(own.mean())), champion_error=total(float(other.mean())),
            gain=self.gain(mine, own, other),
            business_difference=self._mean({block: ours[block] - live[block] for block in ours}),
            same_predictions=bool(known.all() and np.array_equal(rows[names], champion[names])),
            n_periods=rows["fold"].nunique(), n_rows=int(known.sum()),
        )  # fmt: skip

    def _mean(self, observed: Mapping[str, Floats]) -> Estimate:
        """The mean of what is defined, with an interval over whole blocks."""
        level = self.question.business_level
        values = {block: found[np.isfinite(found)].tolist() for block, found in observed.items()}
        if not any(values.values()):
            return Estimate(value=None, level=level)
        return Estimate.of(block_bootstrap_mean(values, level, length=self.question.horizon), level)

    def _further(self, rows: pd.DataFrame) -> dict[str, float]:
        """Other metrics of the same kind, and the scores that people know."""
        judged_by = self.question.metric
        others = [one for one in metrics_for(judged_by.task) if one.name != judged_by.name]
        errors = {one.name: one.total(float(losses(rows, one).mean())) for one in others}
        names = probabilities_of(rows)
        if not names:
            return errors
        return errors | further_scores(rows["target"].to_numpy(np.float64), rows[names].to_numpy(np.float64))

    def _calibration(self, rows: pd.DataFrame) -> tuple[float | None, float | None]:
        """The calibration error, and what chance alone makes of it; ``None`` for numbers."""
        if not (names := probabilities_of(rows)):
            return None, None
        found = of_classes(rows["target"].to_numpy(np.float64), rows[names].to_numpy(np.float64))
        return found.error, found.by_chance

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
        marks = self.question.segments.reindex(rows[KEY])
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


def shown_in(rows: pd.DataFrame) -> list[str]:
    """The columns of a model's predictions."""
    return probabilities_of(rows) or [one for one in rows.columns if one == "prediction"]


def _by_period(observed: Mapping[str, Floats]) -> dict[str, float]:
    """The mean of each period in which the metric is defined."""
    known = {block: found[np.isfinite(found)] for block, found in observed.items()}
    return {block: float(found.mean()) for block, found in known.items() if found.size}


def _in_order(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    if KEY not in rows:
        raise EvaluationError("made by an earlier version of Kreislauf", where=name, next_step="train again")
    ordered = rows.sort_values(KEY, ignore_index=True).dropna(axis=1, how="all")
    if ordered.empty or ordered[KEY].duplicated().any():
        raise EvaluationError("needs exactly one prediction of each row", where=name)
    shown = shown_in(ordered)
    if not shown or "target" not in ordered or ordered[["target", *shown]].isna().any(axis=None):
        raise EvaluationError("a prediction or a target is missing", where=name)
    return ordered


def _require_same(name: str, rows: pd.DataFrame, reference: pd.DataFrame) -> None:
    keys = [KEY, "entity"]
    same = rows[keys].equals(reference[keys]) and np.array_equal(rows["target"], reference["target"])
    if not same:
        raise EvaluationError(
            "rows or targets differ from those of the baseline", where=name,
            next_step="predict the same held-out periods of the same feature version",
        )  # fmt: skip
