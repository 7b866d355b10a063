"""Where the work goes when no candidate passes: the loop with its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from include.kreislauf.evaluation.gates import form_of
from include.kreislauf.evaluation.models import Decision, GateReason, Importance, Report, Scores
from include.kreislauf.handovers import Edge, Evidence, Loop, PersonAnswer, Reason, Stage, WorkOrder
from include.kreislauf.preparation.exclusion import FEATURE
from include.kreislauf.requirements.business import GateMetric, PortfolioUplift
from include.kreislauf.statistics.metrics import metric
from include.kreislauf.statistics.verdicts import Verdict

MANY_UNKNOWN = 0.2
"""Share of held-out outcomes without features from which it is the data that fall short, not the model."""
SUSPECTS = 1
"""So many of the most important features are taken for the leak that a person sees in a result."""

Way = tuple[Edge, Reason, Stage | None]
TRAIN_AGAIN: Way = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.PERFORMANCE_SHORT, Stage.TRAINING)
PREPARE_AGAIN: Way = (Edge.DATA_SCIENCE_TO_DATA_SCIENCE, Reason.FEATURES_AT_FAULT, Stage.PREPARATION)
MORE_DATA: Way = (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, None)
MORE_FOR_BUSINESS: Way = (Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_SHORT, None)
DISAGREE: Way = (Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE, None)


def way_back(decision: Decision, report: Report, *, exhausted: bool, harmful: Sequence[str]) -> Way:
    """The receiver, the reason, and the step to take up again.

    Parameters
    ----------
    exhausted: whether the search has tried all that the contract allows.
    harmful: features whose permutation makes the error clearly smaller.
    """
    if decision.reason is GateReason.NOT_ENOUGH_ROWS:
        return MORE_DATA
    if decision.reason is GateReason.BUSINESS_METRIC_SHORT:
        data = decision.verdict is Verdict.INCONCLUSIVE or report.unknown_entities > MANY_UNKNOWN
        return MORE_FOR_BUSINESS if data else DISAGREE
    if not exhausted:
        worse = decision.reason is GateReason.WORSE_THAN_CHAMPION
        edge, reason, step = TRAIN_AGAIN
        return edge, (Reason.WORSE_THAN_CHAMPION if worse else reason), step
    return PREPARE_AGAIN if harmful else MORE_DATA


def loop_back(
    order: WorkOrder, decision: Decision, report: Report, importance: Sequence[Importance], *, exhausted: bool,
    business: GateMetric,
) -> Loop:  # fmt: skip
    """The loop, with the numbers that speak against all candidates."""
    harmful = [one.feature for one in importance if one.mean < -one.deviation]
    edge, reason, step = way_back(decision, report, exhausted=exhausted, harmful=harmful)
    named = harmful if step is Stage.PREPARATION else []
    evidence = [
        *_numbers(decision, report, business),
        *(
            Evidence(name=FEATURE, value=one.mean, unit=f"importance, {report.metric}", note=one.feature)
            for one in importance if one.feature in named
        ),
        *(Evidence(name="failed", value=None, note=f"{name}: {why}") for name, why in report.failed.items()),
    ]  # fmt: skip
    return order.loop(edge, reason, decision.text, evidence=tuple(evidence), step=step)


def turned_down(
    order: WorkOrder, decision: Decision, importance: Sequence[Importance], answer: PersonAnswer
) -> Loop:
    """The loop to preparation after a person has taken a result for a leak: without the features suspected of it."""
    suspects = tuple(
        Evidence(name=FEATURE, value=one.mean, unit="importance", note=one.feature)
        for one in importance[:SUSPECTS]
    )
    edge, reason, step = PREPARE_AGAIN
    text = f"{decision.text} {answer.by} takes it for a leak."
    return order.loop(edge, reason, text, evidence=suspects, step=step, by=answer.by)


def _numbers(decision: Decision, report: Report, business: GateMetric) -> list[Evidence]:
    found = []
    if report.held_out:
        found.append(Evidence(name="held_out_periods", value=float(len(report.held_out)), unit="periods"))
    elif decision.closest:
        rows = report.scores(decision.closest).n_rows
        found.append(Evidence(name="held_out_rows", value=float(rows), unit="rows"))
    if report.unknown_entities:
        found.append(
            Evidence(name="unknown_entities", value=report.unknown_entities, unit="share of outcomes")
        )
    if decision.closest:
        found += _scores(report.scores(decision.closest), report, business)
    return found


def _scores(scores: Scores, report: Report, business: GateMetric) -> list[Evidence]:
    numbers = [
        Evidence(name=report.metric, value=scores.error, unit=metric(report.metric).unit, note=scores.name),
        Evidence(
            name=f"{report.metric}_gain",
            value=scores.gain.value,
            unit=f"share of {report.baseline}",
            note=scores.gain.text(),
        ),
        Evidence(
            name=business.name,
            value=scores.business.value,
            unit=business.unit,
            note=scores.business.text(form_of(isinstance(business, PortfolioUplift), 4)),
        ),
    ]
    if scores.calibration_error is not None:
        numbers.append(Evidence(name="calibration_error", value=scores.calibration_error, unit="probability"))
    if scores.coverage is not None:
        numbers.append(Evidence(name="interval_coverage", value=scores.coverage, unit="share of outcomes"))
    return numbers
