"""The gates: may a candidate go to deployment, and if not, why?

A gate looks at one candidate and answers *pass*, *fail* or *inconclusive*, with the numbers behind it. Each is an entry
of :data:`GATES`, in the order in which they are asked; the first that a candidate does not pass is its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pydantic import Field

from include.kreislauf.evaluation.models import Decision, GateReason, GateResult, Report, Scores
from include.kreislauf.handovers import Frozen
from include.kreislauf.requirements.business import GateMetric
from include.kreislauf.requirements.contract import Contract, PortfolioUplift
from include.kreislauf.statistics.verdicts import Verdict

TIE_DECIMALS = 3
"""Uplifts that agree to this many decimals are equal: a tenth of a percent of growth decides nothing."""
TIE_DIGITS = 3
"""Other business metrics, of whatever unit, that agree to so many digits are equal."""
ANY_GAIN = 1.0
"""No gain is above it."""


MIN_ROWS, MIN_ROWS_WITHOUT_TIME = 100, 30
"""Without time rows are drawn one by one: fewer of them say as much, and how much is in the intervals."""


class Thresholds(Frozen):
    """What a candidate must reach; the contract's numbers."""

    min_gain: float = Field(0.02, description="Share by which the baseline's error must be undercut.")
    min_business: float = Field(0.0, description="Business metric, mean over the held-out periods or rows.")
    business: str = Field("portfolio uplift", description="Name of the business metric, for people.")
    direction: Literal["higher", "lower"] = Field(
        "higher", description="What is better of the business metric."
    )
    is_uplift: bool = Field(True, description="Whether it is an uplift: growth in log points.")
    champion_tolerance: float = Field(
        0.02, ge=0, description="Share by which the champion's error may be missed."
    )
    too_good: float = Field(
        0.8, description="A gain above this is taken for a leak until a person says otherwise."
    )
    interval: float = Field(0.8, description="Share of outcomes that prediction intervals promise to hold.")
    interval_tolerance: float = Field(0.1, description="The measured share may differ by so much.")
    max_calibration_error: float = Field(
        0.1, description="By so much shares may differ from probabilities, beside what chance makes."
    )
    min_periods: int = Field(4, ge=1, description="Fewer held-out periods decide nothing.")
    min_rows: int = Field(MIN_ROWS, ge=1, description="Fewer held-out rows decide nothing.")
    accepted_by: str = Field("", description="Who has said that a gain too good to be true is genuine.")

    @classmethod
    def of(cls, contract: Contract, accepted_by: str = "") -> Thresholds:
        """The thresholds that a contract sets."""
        asked, business = contract.performance, contract.gate_metric
        return cls(
            min_gain=asked.min_gain, min_business=threshold_of(business), business=business.name,
            direction=business.direction, is_uplift=isinstance(business, PortfolioUplift),
            max_calibration_error=asked.max_calibration_error,
            min_rows=MIN_ROWS if contract.problem.time else MIN_ROWS_WITHOUT_TIME,
            champion_tolerance=asked.champion_tolerance, too_good=asked.too_good_to_be_true, interval=asked.interval,
            interval_tolerance=asked.interval_tolerance, accepted_by=accepted_by,
        )  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """One question to a candidate."""

    reason: GateReason
    ask: Callable[[Scores, Report, Thresholds], tuple[Verdict, str]]


def _enough(scores: Scores, report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """Enough held-out periods and rows."""
    periods = f"{scores.n_periods} held-out periods with " if report.held_out else ""
    text = f"{periods}{scores.n_rows} rows"
    too_few = bool(report.held_out) and scores.n_periods < limits.min_periods
    if too_few or scores.n_rows < limits.min_rows:
        needed = f"{limits.min_periods} periods and {limits.min_rows} rows are needed"
        return Verdict.INCONCLUSIVE, f"{text} decide nothing: {needed}"
    return Verdict.PASS, text


def _believable(scores: Scores, _report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """Not better than such a problem allows: that is a leak, until a person says that it is genuine."""
    gain = scores.gain.value or 0.0
    if limits.too_good >= ANY_GAIN:
        return Verdict.PASS, f"gain {gain:+.1%}: the contract asks about none"
    text = f"gain {gain:+.1%}, {limits.too_good:.0%} would be too good to be true"
    if gain <= limits.too_good:
        return Verdict.PASS, text
    if limits.accepted_by:
        return Verdict.PASS, f"{text}; {limits.accepted_by} says that it is genuine"
    return Verdict.FAIL, f"{text}: does a feature know the target?"


def _performance(scores: Scores, report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """The error is surely enough below that of the baseline."""
    text = f"{report.metric.upper()} gain {scores.gain.text()} over {report.baseline}, {limits.min_gain:.1%} needed"
    return scores.gain.against(limits.min_gain), text


def _segments(scores: Scores, report: Report, _limits: Thresholds) -> tuple[Verdict, str]:
    """No required segment in which the error is surely above the baseline's, by more than the contract allows."""
    judged = [one for one in scores.segments if one.limit is not None]
    bad = [one for one in judged if _is_bad(one.gain.value, one.gain.high, one.limit)]
    if not bad:
        return Verdict.PASS, f"{len(judged)} required segments, none of them bad"
    worst = min(bad, key=lambda one: one.gain.value or 0.0)
    text = f"{worst.by} {worst.value}: gain {worst.gain.text()} over {report.baseline}, {worst.limit:+.1%} needed"
    return Verdict.FAIL, text


def _is_bad(gain: float | None, high: float | None, limit: float | None) -> bool:
    return gain is not None and limit is not None and gain < limit and high is not None and high < 0


def _intervals(scores: Scores, _report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """Prediction intervals hold as many outcomes as they promise."""
    if scores.coverage is None:
        return Verdict.PASS, "no intervals to judge"
    text = f"intervals of {limits.interval:.0%} held {scores.coverage:.1%} of the outcomes"
    off = abs(scores.coverage - limits.interval) > limits.interval_tolerance
    return (
        Verdict.FAIL if off else Verdict.PASS
    ), f"{text}, {limits.interval_tolerance:.0%} off is tolerated"


def _calibration(scores: Scores, _report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """Shares do not surely differ from the probabilities by more than the contract allows."""
    if scores.calibration_error is None or scores.calibration_by_chance is None:
        return Verdict.PASS, "no probabilities to judge"
    error, chance = scores.calibration_error, scores.calibration_by_chance
    text = f"shares differ from the probabilities by {error:.1%}, {limits.max_calibration_error:.1%} allowed, up to {chance:.1%} by chance"
    return (Verdict.FAIL if error > limits.max_calibration_error + chance else Verdict.PASS), text


def _business(scores: Scores, _report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """The business metric surely reaches its threshold."""
    form = form_of(limits.is_uplift)
    most = " at most" if limits.direction == "lower" else ""
    text = f"{limits.business} {scores.business.text(form)},{most} {limits.min_business:{form}} needed"
    return scores.business.within(limits.min_business, limits.direction), text


def _champion(scores: Scores, report: Report, limits: Thresholds) -> tuple[Verdict, str]:
    """Not worse than the champion, where it is comparable, and not the champion under another name."""
    beside = report.comparison(scores.name)
    if beside is None:
        return Verdict.PASS, report.champion_note
    if beside.same_predictions:
        return (
            Verdict.FAIL,
            "predicts exactly what the champion predicts: it is the champion under another name",
        )
    gain, difference = beside.gain, beside.business_difference
    shown = difference.text("+.3f" if limits.is_uplift else "+.3g")
    text = f"{report.metric.upper()} gain {gain.text()} over the champion, {limits.business} {shown}"
    if limits.direction == "lower":
        difference = difference.mirrored()
    if gain.value is not None and gain.value < -limits.champion_tolerance:
        return Verdict.FAIL, f"{text}; {limits.champion_tolerance:.1%} more error is tolerated"
    if difference.high is not None and difference.high < 0:
        return (
            Verdict.FAIL,
            f"{text}: surely {'above' if limits.direction == 'lower' else 'below'} the champion's",
        )
    return Verdict.PASS, text


GATES: tuple[Gate, ...] = (
    Gate(GateReason.NOT_ENOUGH_ROWS, _enough),
    Gate(GateReason.TOO_GOOD_TO_BE_TRUE, _believable),
    Gate(GateReason.PERFORMANCE_SHORT, _performance),
    Gate(GateReason.SEGMENT_SHORT, _segments),
    Gate(GateReason.INTERVALS_OFF, _intervals),
    Gate(GateReason.CALIBRATION_OFF, _calibration),
    Gate(GateReason.BUSINESS_METRIC_SHORT, _business),
    Gate(GateReason.WORSE_THAN_CHAMPION, _champion),
)


def decide(report: Report, thresholds: Thresholds) -> Decision:
    """Ask every gate of every candidate.

    Of those that pass all, the one with the best business metric wins; ties go to the simpler model, then the smaller
    error. If none does, the decision is about the one that came farthest, and its first gate's answer is the verdict.
    """
    if not report.candidates:
        text = "; ".join(f"{name}: {why}" for name, why in report.failed.items()) or "there is no candidate"
        return Decision(
            verdict=Verdict.FAIL, reason=GateReason.ALL_FAILED, winner=None, closest=None, text=text
        )
    results = {one.name: _ask(one, report, thresholds) for one in report.candidates}
    first = {name: _first_fault(asked) for name, asked in results.items()}
    passed = [one for one in report.candidates if first[one.name] == len(GATES)]
    if suspects := [one for one in report.candidates if _is_suspect(results[one.name])]:
        passed = []  # what one model could see, the others may have seen as well
        closest = max(suspects, key=lambda one: one.gain.value or 0.0)
    else:
        closest = max(passed or report.candidates, key=lambda one: (first[one.name], *_rank(one, thresholds)))
    if passed:
        text = "; ".join(result.text for result in results[closest.name] if result.gate in _TOLD)
        return Decision(
            verdict=Verdict.PASS, reason=GateReason.OK, winner=closest.name, closest=closest.name,
            text=f"{closest.name}: {text}", results=results,
        )  # fmt: skip
    fault = results[closest.name][_first_fault(results[closest.name])]
    return Decision(
        verdict=fault.verdict, reason=fault.gate, winner=None, closest=closest.name,
        text=f"{closest.name} came closest: {fault.text}", results=results,
    )  # fmt: skip


_TOLD = (GateReason.PERFORMANCE_SHORT, GateReason.BUSINESS_METRIC_SHORT, GateReason.WORSE_THAN_CHAMPION)


def _ask(scores: Scores, report: Report, thresholds: Thresholds) -> tuple[GateResult, ...]:
    answers = [(gate.reason, *gate.ask(scores, report, thresholds)) for gate in GATES]
    return tuple(GateResult(gate=reason, verdict=verdict, text=text) for reason, verdict, text in answers)


def _first_fault(results: Sequence[GateResult]) -> int:
    """Position of the first gate that was not passed; the number of gates if all were."""
    return next((n for n, one in enumerate(results) if one.verdict is not Verdict.PASS), len(results))


def _is_suspect(results: Sequence[GateResult]) -> bool:
    return any(one.gate is GateReason.TOO_GOOD_TO_BE_TRUE and one.verdict is Verdict.FAIL for one in results)


def _rank(scores: Scores, limits: Thresholds) -> tuple[float, int, float, str]:
    """Larger is better; the name only makes the order complete."""
    value = scores.business.value
    if value is None:
        business = float("-inf")
    elif limits.is_uplift:
        business = round(value, TIE_DECIMALS)
    else:
        business = float(f"{value:.{TIE_DIGITS}g}") * (1 if limits.direction == "higher" else -1)
    return business, -scores.complexity, scores.gain.value or 0.0, scores.name


def form_of(is_uplift: bool, digits: int = 3) -> str:
    """How a business metric is written: growth with its sign, others by their digits."""
    return f"+.{digits}f" if is_uplift else f".{digits}g"


def threshold_of(metric: GateMetric) -> float:
    """What a candidate must reach of a metric that the gate goes by."""
    return float(cast("float", metric.gate_threshold))
