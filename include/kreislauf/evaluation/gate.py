"""The gate: may the best candidate go to deployment, and if not, why?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from include.kreislauf.evaluation.report import Comparison, Report, Scores
from include.kreislauf.handovers import Frozen

TIE_DECIMALS = 3
"""Uplifts that agree to this many decimals are equal: a tenth of a percent of growth decides nothing."""


class GateReason(StrEnum):
    """Why the gate decided as it did; the loop's reason has the same value where it exists."""

    OK = "ok"
    NOT_ENOUGH_ROWS = "not_enough_rows"
    PERFORMANCE_SHORT = "performance_short"
    BUSINESS_METRIC_SHORT = "business_metric_short"
    WORSE_THAN_CHAMPION = "worse_than_champion"


class Thresholds(Frozen):
    """What a candidate must reach; the contract's numbers."""

    min_gain: float = Field(
        default=0.02, description="Share by which the MAE of persistence must be undercut."
    )
    min_uplift: float = Field(
        default=0.0, description="Portfolio uplift, mean over the held-out periods; higher is better."
    )
    champion_tolerance: float = Field(
        default=0.02, ge=0, description="Share by which the champion's MAE may be missed."
    )
    min_periods: int = Field(default=4, ge=1, description="Fewer held-out periods decide nothing.")
    min_rows: int = Field(default=100, ge=1, description="Fewer held-out rows decide nothing.")


class Decision(Frozen):
    """The verdict, its reason, and the candidate it is about: the winner, or the one that came closest."""

    verdict: Literal["pass", "fail", "inconclusive"]
    reason: GateReason
    winner: str | None
    closest: str | None
    text: str


def decide(report: Report, thresholds: Thresholds) -> Decision:
    """Judge all candidates in the order of the reasons; the first condition that none meets is the reason.

    1. enough held-out periods and rows, else *inconclusive*;
    2. MAE at least ``min_gain`` below persistence;
    3. uplift at least ``min_uplift``;
    4. not worse than the champion, where it is comparable: MAE within the tolerance, uplift not surely lower
       (its difference's interval lies below zero), and not the champion itself under another name.

    Of those left, the one with the highest uplift wins; ties go to the simpler model, then the smaller error.
    """
    if too_little := _too_little(report.candidates, thresholds):
        return too_little
    accurate = [scores for scores in report.candidates if scores.mae_gain >= thresholds.min_gain]
    if not accurate:
        best = max(report.candidates, key=lambda scores: scores.mae_gain)
        return _fail(
            GateReason.PERFORMANCE_SHORT, best,
            f"MAE gain {best.mae_gain:+.1%} over persistence, {thresholds.min_gain:.1%} needed",
        )  # fmt: skip
    useful = [scores for scores in accurate if _uplift(scores) >= thresholds.min_uplift]
    if not useful:
        best = max(accurate, key=_rank)
        return _fail(
            GateReason.BUSINESS_METRIC_SHORT, best,
            f"portfolio uplift {_uplift(best):+.3f}, {thresholds.min_uplift:+.3f} needed",
        )  # fmt: skip
    faults = {c.candidate: fault for c in report.comparisons if (fault := _champion_fault(c, thresholds))}
    left = [scores for scores in useful if scores.name not in faults]
    if not left:
        best = max(useful, key=_rank)
        return _fail(GateReason.WORSE_THAN_CHAMPION, best, faults[best.name])
    winner = max(left, key=_rank)
    text = (
        f"{winner.name}: MAE gain {winner.mae_gain:+.1%} over persistence, portfolio uplift "
        f"{_uplift(winner):+.3f} over {winner.n_periods} periods; {report.champion_note}"
    )
    return Decision(verdict="pass", reason=GateReason.OK, winner=winner.name, closest=winner.name, text=text)


def _too_little(candidates: Sequence[Scores], thresholds: Thresholds) -> Decision | None:
    n_periods, n_rows = min(((scores.n_periods, scores.n_rows) for scores in candidates), default=(0, 0))
    if n_periods >= thresholds.min_periods and n_rows >= thresholds.min_rows:
        return None
    needed = f"{thresholds.min_periods} periods and {thresholds.min_rows} rows are needed"
    return Decision(
        verdict="inconclusive",
        reason=GateReason.NOT_ENOUGH_ROWS,
        winner=None,
        closest=None,
        text=f"{n_periods} held-out periods with {n_rows} rows decide nothing: {needed}",
    )


def _uplift(scores: Scores) -> float:
    return float("-inf") if scores.uplift is None else scores.uplift


def _rank(scores: Scores) -> tuple[float, int, float, str]:
    """Larger is better; the name only makes the order complete."""
    return round(_uplift(scores), TIE_DECIMALS), -scores.complexity, scores.mae_gain, scores.name


def _champion_fault(comparison: Comparison, thresholds: Thresholds) -> str:
    """Why the candidate does not beat the champion; empty if it may replace it."""
    if comparison.same_predictions:
        return "predicts exactly what the champion predicts: it is the champion under another name"
    if comparison.mae > comparison.champion_mae * (1 + thresholds.champion_tolerance):
        share = comparison.mae / comparison.champion_mae - 1 if comparison.champion_mae else float("inf")
        return f"MAE {share:+.1%} against the champion, {thresholds.champion_tolerance:.1%} tolerated"
    high = comparison.uplift_difference_high
    if high is not None and high < 0:
        return f"portfolio uplift {comparison.uplift_difference:+.3f} against the champion, surely below zero"
    return ""


def _fail(reason: GateReason, closest: Scores, text: str) -> Decision:
    return Decision(
        verdict="fail",
        reason=reason,
        winner=None,
        closest=closest.name,
        text=f"{closest.name} came closest: {text}",
    )
