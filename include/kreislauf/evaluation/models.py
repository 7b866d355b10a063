"""What an evaluation found, as frozen models: the gates judge them, model cards show them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue

from include.kreislauf.handovers import Frozen
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.statistics.verdicts import Verdict, at_least


class Estimate(Frozen):
    """A number with its two-sided interval; ``None`` where the rows say nothing of it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.8

    @classmethod
    def of(cls, interval: Interval | None, level: float) -> Estimate:
        """An interval without infinities: JSON has none."""
        if interval is None:
            return cls(value=None, level=level)
        low, high = (one if abs(one) != float("inf") else None for one in (interval.low, interval.high))
        return cls(value=interval.mean, low=low, high=high, level=level)

    def against(self, threshold: float) -> Verdict:
        """Whether it reaches a threshold; *inconclusive* where nothing is known."""
        if self.value is None:
            return Verdict.INCONCLUSIVE
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        return at_least(Interval(low, self.value, high, self.level), threshold)

    def within(self, threshold: float, direction: Literal["higher", "lower"]) -> Verdict:
        """Whether it reaches a threshold from its better side."""
        if direction == "higher":
            return self.against(threshold)
        return self.mirrored().against(-threshold)

    def mirrored(self) -> Estimate:
        """The number with the other sign: less becomes more."""
        value, low, high = (None if one is None else -one for one in (self.value, self.high, self.low))
        return Estimate(value=value, low=low, high=high, level=self.level)

    def text(self, form: str = "+.1%") -> str:
        """Value and interval: ``+8.4% (+5.1% to +11.0%)``."""
        if self.value is None:
            return "unknown"
        if self.low is None or self.high is None:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


class SegmentScore(Frozen):
    """How one model did in one part of the held-out rows."""

    by: str
    value: str
    n_rows: int
    gain: Estimate
    """Share by which the baseline's error is undercut in the segment."""
    limit: float | None = Field(None, description="Least gain in a required segment that is large enough.")


class Scores(Frozen):
    """How one model did on the held-out rows."""

    name: str
    family: str
    params: dict[str, JsonValue]
    complexity: int
    error: float
    """The contract's performance metric."""
    further: dict[str, float]
    """Other metrics of the same kind, and scores that people know, by name."""
    gain: Estimate
    """Share by which the baseline's error is undercut on the same rows; negative is worse."""
    business: Estimate
    """The business metric, mean over periods or rows."""
    business_by_period: dict[str, float]
    coverage: float | None = Field(None, description="Share of outcomes inside their prediction intervals.")
    half_width: float | None = Field(None, description="Of the interval around the next prediction.")
    calibration_error: float | None = Field(
        None, description="Of classes: by how much shares and probabilities differ, in the mean."
    )
    calibration_by_chance: float | None = Field(
        None, description="An error that chance alone makes in one case of twenty."
    )
    segments: tuple[SegmentScore, ...] = ()
    n_periods: int
    n_rows: int


class Comparison(Frozen):
    """A candidate beside the champion, on the held-out rows that the champion has not learnt from."""

    candidate: str
    error: float
    champion_error: float
    gain: Estimate
    """Share by which the champion's error is undercut."""
    business_difference: Estimate
    """Candidate minus champion, mean over periods or rows."""
    same_predictions: bool
    n_periods: int
    n_rows: int


class Importance(Frozen):
    """By how much a feature's permutation raises the error, in the metric's unit: mean and standard deviation."""

    feature: str
    mean: float
    deviation: float


class Report(Frozen):
    """Everything the gates need, and what a model card shows."""

    metric: str
    baseline: str
    candidates: tuple[Scores, ...]
    baselines: tuple[Scores, ...]
    comparisons: tuple[Comparison, ...]
    champion_note: str
    held_out: tuple[str, ...]
    """Labels of the held-out periods; none where rows have no time."""
    failed: dict[str, str] = Field(
        default_factory=dict, description="Candidates that came to nothing, and why."
    )
    unknown_entities: float = Field(
        0.0, description="Share of held-out outcomes whose entity has no features."
    )

    def scores(self, name: str) -> Scores:
        """The scores of a candidate or baseline."""
        return next(one for one in (*self.candidates, *self.baselines) if one.name == name)

    def comparison(self, name: str) -> Comparison | None:
        """A candidate's comparison with the champion, where there is one."""
        return next((one for one in self.comparisons if one.candidate == name), None)


class GateReason(StrEnum):
    """Why the gates decided as they did."""

    OK = "ok"
    NOT_ENOUGH_ROWS = "not_enough_rows"
    ALL_FAILED = "all_failed"
    TOO_GOOD_TO_BE_TRUE = "too_good_to_be_true"
    PERFORMANCE_SHORT = "performance_short"
    SEGMENT_SHORT = "segment_short"
    INTERVALS_OFF = "intervals_off"
    CALIBRATION_OFF = "calibration_off"
    BUSINESS_METRIC_SHORT = "business_metric_short"
    WORSE_THAN_CHAMPION = "worse_than_champion"


class GateResult(Frozen):
    """What one gate said of one candidate."""

    gate: GateReason
    verdict: Verdict
    text: str


class Decision(Frozen):
    """The verdict, its reason, and the candidate it is about: the winner, or the one that came closest."""

    verdict: Verdict
    reason: GateReason
    winner: str | None
    closest: str | None
    text: str
    results: dict[str, tuple[GateResult, ...]] = Field(
        default_factory=dict, description="By candidate, in the order of the gates."
    )
