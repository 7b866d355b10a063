"""The tables of a model card: numbers beside what they must reach, all candidates, gates, segments, search."""

from __future__ import annotations

from include.kreislauf.evaluation.card_blocks import Code, Strong, Table, Text
from include.kreislauf.evaluation.card_facts import Card, metric_label, period_label, words
from include.kreislauf.evaluation.gates import ANY_GAIN, GATES, Thresholds, form_of, threshold_of
from include.kreislauf.evaluation.models import Comparison, Estimate, GateReason, Scores, SegmentScore
from include.kreislauf.requirements.contract import PortfolioUplift
from include.kreislauf.statistics.metrics import metric
from include.kreislauf.statistics.verdicts import Verdict

NONE = "–"
QUESTIONS = {
    GateReason.NOT_ENOUGH_ROWS: "enough held-out rows",
    GateReason.ALL_FAILED: "trained and predicted",
    GateReason.TOO_GOOD_TO_BE_TRUE: "not too good to be true",
    GateReason.PERFORMANCE_SHORT: "better than the baseline",
    GateReason.SEGMENT_SHORT: "no segment does badly",
    GateReason.INTERVALS_OFF: "intervals hold what they promise",
    GateReason.CALIBRATION_OFF: "probabilities come true",
    GateReason.BUSINESS_METRIC_SHORT: "business metric reached",
    GateReason.WORSE_THAN_CHAMPION: "not worse than the champion",
}
"""What a gate asks; its name says what is wrong when the answer is no."""


def numbers(card: Card, subject: Scores) -> Table:
    """The subject's numbers with their intervals, beside what they must reach and what they are compared with."""
    report, rule, comparison = card.report, card.contract.performance, card.report.comparison(subject.name)
    label, threshold = (
        metric_label(report.metric),
        f"≥ {rule.min_gain:.1%} at {rule.confidence:.0%} confidence",
    )
    errors = [
        (f"{label} of {one.name}", f"{one.error:.4g}", NONE, NONE, _rows(one)) for one in report.baselines
    ]
    rows: list[tuple[Text, ...]] = [
        (f"{label} ({metric(report.metric).unit})", f"{subject.error:.4g}", NONE, NONE, _rows(subject)),
        *errors,
        _estimate(f"gain over {report.baseline}", subject.gain, "+.1%", threshold, _rows(subject)),
        *(_error_beside_champion(card, comparison) if comparison else ()),
        *_business(card, subject, comparison),
        *_intervals(card, subject),
        *_calibration(card, subject),
    ]
    caption = f"Numbers of {subject.name} with their intervals and thresholds"
    if not report.held_out:
        rows = [(*row[:4], str(row[4]).partition(" in ")[0]) for row in rows]
    return Table(caption, ("measure", "value", "interval", "must be", "held-out rows"), "lrrll", tuple(rows))


def _rows(scores: Scores | Comparison) -> str:
    return f"{scores.n_rows:,} in {scores.n_periods} periods"


def _estimate(
    what: str, estimate: Estimate, form: str, threshold: str, rows: str
) -> tuple[str, str, str, str, str]:
    value = "unknown" if estimate.value is None else f"{estimate.value:{form}}"
    return what, value, interval(estimate, form), threshold, rows


def interval(estimate: Estimate, form: str = "+.1%") -> str:
    """An interval with its level; an end that is not known is open."""
    if estimate.value is None or (estimate.low is None and estimate.high is None):
        return NONE
    low = "−∞" if estimate.low is None else f"{estimate.low:{form}}"
    high = "∞" if estimate.high is None else f"{estimate.high:{form}}"
    return f"{low} to {high} ({estimate.level:.0%})"


def _error_beside_champion(card: Card, comparison: Comparison) -> list[tuple[Text, ...]]:
    label, rows = metric_label(card.report.metric), _rows(comparison)
    tolerance = f"≥ {-card.contract.performance.champion_tolerance:.1%}"
    return [
        (f"{label} on rows after the champion's training", f"{comparison.error:.4g}", NONE, NONE, rows),
        (f"{label} of the champion, same rows", f"{comparison.champion_error:.4g}", NONE, NONE, rows),
        _estimate("gain over the champion", comparison.gain, "+.1%", tolerance, rows),
    ]


def _business(card: Card, subject: Scores, comparison: Comparison | None) -> list[tuple[Text, ...]]:
    rule = card.contract.gate_metric
    is_uplift = isinstance(rule, PortfolioUplift)
    counted = f"{subject.n_periods} periods" if is_uplift else _rows(subject)
    found: list[tuple[Text, ...]] = [
        _estimate(
            f"{words(rule.name)} ({rule.unit})", subject.business, form_of(is_uplift, 4), _business_threshold(card), counted
        )
    ]  # fmt: skip
    if comparison:
        what, difference = f"{words(rule.name)} less the champion's", comparison.business_difference
        limit = f"not surely {'below' if rule.direction == 'higher' else 'above'} 0"
        form = "+.4f" if is_uplift else "+.4g"
        found.append(_estimate(what, difference, form, limit, _rows(comparison)))
    return found


def _business_threshold(card: Card) -> str:
    rule = card.contract.gate_metric
    sign = "≥" if rule.direction == "higher" else "≤"
    return f"{sign} {threshold_of(rule):{'+.4g' if isinstance(rule, PortfolioUplift) else '.4g'}}"


def _calibration(card: Card, subject: Scores) -> list[tuple[Text, ...]]:
    if subject.calibration_error is None:
        return []
    limit = f"≤ {card.contract.performance.max_calibration_error:.1%} beside chance"
    chance = f"up to {subject.calibration_by_chance:.1%} by chance"
    what = "shares against probabilities, in the mean"
    return [(what, f"{subject.calibration_error:.1%}", chance, limit, _rows(subject))]


def _intervals(card: Card, subject: Scores) -> list[tuple[Text, ...]]:
    if subject.coverage is None:
        return []
    rule = card.contract.performance
    promised = f"{rule.interval:.0%} ± {rule.interval_tolerance * 100:.0f} points"
    found: list[tuple[Text, ...]] = [
        (
            "outcomes inside their prediction intervals",
            f"{subject.coverage:.1%}",
            NONE,
            promised,
            _rows(subject),
        )
    ]
    if subject.half_width is not None:
        width = f"± {subject.half_width:.4g}"
        found.append(
            (f"next {rule.interval:.0%} prediction interval", width, NONE, NONE, "all known residuals")
        )
    return found


def candidates(card: Card) -> Table:
    """Every candidate and baseline on the same rows, then those that came to nothing."""
    report, closest = card.report, card.subject
    business = words(card.contract.gate_metric.name)
    form = form_of(isinstance(card.contract.gate_metric, PortfolioUplift), 4)
    covered = any(one.coverage is not None for one in report.candidates)
    heads = ("model", "family", metric_label(report.metric), f"gain over {report.baseline}", business,
             *(("coverage",) if covered else ()), "outcome")  # fmt: skip
    rows: list[tuple[Text, ...]] = []
    for one in (*report.candidates, *report.baselines):
        name: Text = Strong(one.name) if closest and one.name == closest.name else one.name
        inside = NONE if one.coverage is None else f"{one.coverage:.1%}"
        own = (name, words(one.family), f"{one.error:.4g}", one.gain.text(), one.business.text(form))
        rows.append((*own, *((inside,) if covered else ()), _outcome(card, one)))
    for failed, why in report.failed.items():
        blank = (NONE,) * (4 + covered)
        rows.append((failed, *blank, (Verdict.FAIL, f": {why}")))
    return Table("All candidates and baselines", heads, "llrrr" + "r" * covered + "l", tuple(rows))


def _outcome(card: Card, scores: Scores) -> Text:
    """The first gate that a candidate did not pass."""
    if any(scores.name == one.name for one in card.report.baselines):
        return "baseline of the gate" if scores.name == card.report.baseline else "baseline"
    if card.decision.winner == scores.name:
        return (Verdict.PASS, ": winner")
    results = card.decision.results.get(scores.name, ())
    short = next((one for one in results if one.verdict is not Verdict.PASS), None)
    if short:
        return (short.verdict, f" at “{QUESTIONS.get(short.gate, words(short.gate))}”: {short.text}")
    return Verdict.PASS if results else "not judged"


def gates(card: Card, name: str) -> Table:
    """What each gate said of a candidate, in the order of the gates."""
    rows = tuple(
        (QUESTIONS.get(one.gate, words(one.gate)), one.verdict, _threshold(card, one.gate), one.text)
        for one in card.decision.results.get(name, ())
    )
    return Table(f"Gates of {name}", ("gate", "verdict", "threshold", "what it found"), "llll", rows)


def _threshold(card: Card, gate: GateReason) -> str:
    """The contract's number behind a gate."""
    rule, business, limits = (
        card.contract.performance,
        card.contract.gate_metric,
        Thresholds.of(card.contract),
    )
    least = f"{limits.min_periods} periods and " if card.contract.problem.time else ""
    asked = rule.too_good_to_be_true
    losses = ", ".join(f"{one.by} ≥ {-one.max_loss:+.0%}" for one in rule.segments if one.required)
    return {
        GateReason.NOT_ENOUGH_ROWS: f"≥ {least}{limits.min_rows} rows",
        GateReason.TOO_GOOD_TO_BE_TRUE: f"gain ≤ {asked:.0%}" if asked < ANY_GAIN else NONE,
        GateReason.PERFORMANCE_SHORT: f"gain ≥ {rule.min_gain:.1%} at {rule.confidence:.0%} confidence",
        GateReason.SEGMENT_SHORT: f"gain by {losses}" if losses else NONE,
        GateReason.INTERVALS_OFF: f"{rule.interval:.0%} ± {rule.interval_tolerance * 100:.0f} points",
        GateReason.CALIBRATION_OFF: f"≤ {rule.max_calibration_error:.1%} beside chance",
        GateReason.BUSINESS_METRIC_SHORT: f"{_business_threshold(card)} {business.unit}",
        GateReason.WORSE_THAN_CHAMPION: f"error at most {rule.champion_tolerance:.1%} higher",
    }.get(gate, NONE)


def segments(card: Card, subject: Scores) -> Table:
    """The subject's gain in each part of the rows."""
    rows = tuple(
        (one.by, one.value, f"{one.n_rows:,}", one.gain.text(),
         NONE if one.limit is None else f"{one.limit:+.1%}", _judged(card, subject, one))
        for one in subject.segments
    )  # fmt: skip
    heads = ("by", "segment", "rows", f"gain over {card.report.baseline}", "at least", "verdict")
    return Table(f"Segments of {subject.name}", heads, "llrrrl", rows)


def _judged(card: Card, subject: Scores, segment: SegmentScore) -> Text:
    """What the gate for segments says of one alone."""
    if segment.limit is None:
        return "too small to judge" if card.too_small(segment) else "shown only"
    gate = next(one for one in GATES if one.reason is GateReason.SEGMENT_SHORT)
    alone = subject.model_copy(update={"segments": (segment,)})
    return gate.ask(alone, card.report, Thresholds.of(card.contract))[0]


def search(card: Card) -> Table | None:
    """What was tried for each family; ``None`` where the training does not say."""
    tried = card.training.get("search") or []
    if not tried:
        return None
    told = ("configurations", "folds", "fits", "seconds")
    names = tuple(name for name in told if any(name in one for one in tried))
    rows = tuple(
        (words(str(one.get("family", NONE))), *(_number(one.get(name)) for name in names)) for one in tried
    )
    return Table("Search by family", ("family", *names), "l" + "r" * len(names), rows)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else NONE


def lineage(card: Card) -> Table:
    """Every version behind the numbers."""
    order, training = card.order, card.training
    versions = {f"input: {words(name)}": version for name, version in order.inputs.items()}
    made = {name: str(training[name]) for name in ("features", "candidates") if training.get(name)}
    versions |= {name: version for name, version in made.items() if version not in versions.values()}
    versions |= {
        "contract": order.contract_hash, "code": card.code_version, "cycle": order.cycle_id,
        "attempt": f"{order.attempt}", "as of": f"{order.as_of:%Y-%m-%d %H:%M} UTC",
    }  # fmt: skip
    rows = tuple((name, Code(version)) for name, version in versions.items())
    return Table("Versions behind the numbers", ("what", "version"), "ll", rows)


def held_out(card: Card) -> str:
    """Which periods were held out; empty where there is no time."""
    dates, period = card.report.held_out, card.contract.problem.period
    if not dates:
        return ""
    ends = period_label(min(dates), period), period_label(max(dates), period)
    return f"{len(dates)} {period}s, {ends[0]} to {ends[1]}"
