"""The loops that preparation raises, each with its evidence and a document that says why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from include.kreislauf.errors import PreparationError
from include.kreislauf.handovers import Edge, Evidence, Reason, Stage, StepResult, WorkOrder
from include.kreislauf.periods import Period, between
from include.kreislauf.preparation.exclusion import FEATURE
from include.kreislauf.preparation.features import ContractFaultError
from include.kreislauf.preparation.leaks import Leak
from include.kreislauf.requirements.problem import Problem


def fault(order: WorkOrder, error: PreparationError) -> StepResult:
    """Features cannot be built: to requirements if the contract is at fault, else to data engineering."""
    edge, reason = Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.QUALITY_TOO_LOW
    if isinstance(error, ContractFaultError):
        edge, reason = Edge.DATA_SCIENCE_TO_REQUIREMENTS, Reason.FEATURES_AT_FAULT
    evidence = (Evidence(name="fault", value=None, note=error.text),)
    return StepResult(order.loop(edge, reason, error.text, evidence=evidence), _stopped(error.text))


def too_old(collected: datetime, seen: datetime, problem: Problem) -> str:
    """How raw data lag behind what monitoring has seen, in words; empty: no whole period (without time: no day) lies between.

    Parameters
    ----------
    collected: the time that the newest raw data may know of; ``seen``: that of what monitoring has seen.
    """
    period: Period = problem.period or "day"
    if not (number := between(collected, seen, period)):
        return ""
    return (
        f"the newest raw data are of {collected:%Y-%m-%d}, {number} {period}{'s' if number > 1 else ''} before what "
        f"monitoring has seen ({seen:%Y-%m-%d}): nothing of it can be learnt from them"
    )


def more_data(order: WorkOrder, why: str) -> StepResult:
    """Before anything is prepared or trained anew, data of the time that the loop is about are collected."""
    evidence = (Evidence(name="raw_data", value=None, note=why),)
    edge, reason = Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW
    return StepResult(order.loop(edge, reason, why, evidence=evidence), _stopped(why))


def leaking(order: WorkOrder, leaks: Sequence[Leak], features: Collection[str]) -> StepResult:
    """Features leak: to preparation without them; to requirements where leaving them out does not help.

    Parameters
    ----------
    leaks: one at least.
    features: those that the version would have had.
    """
    text = f"leaks: {'; '.join(map(_told, leaks))}"
    edge = Edge.DATA_SCIENCE_TO_DATA_SCIENCE
    step: Stage | None = Stage.PREPARATION
    if why := _cannot_be_left_out({one.feature for one in leaks}, set(features)):
        text, edge, step = f"{text}; {why}", Edge.DATA_SCIENCE_TO_REQUIREMENTS, None
    evidence = tuple(
        Evidence(name=FEATURE, value=one.value, unit=one.unit, note=one.feature) for one in leaks
    )
    loop = order.loop(edge, Reason.FEATURES_AT_FAULT, text, evidence=evidence, step=step)
    return StepResult(loop, _stopped(text))


def _cannot_be_left_out(at_fault: set[str], features: set[str]) -> str:
    if others := sorted(at_fault - features):
        return f"leaving features out does not change {', '.join(others)}: correct features.py"
    return "no feature would be left" if at_fault == features else ""


def _told(leak: Leak) -> str:
    if leak.what == "future":
        return f"{leak.feature} reads the future ({leak.value:.1%} of the rows differ at {leak.cut:%Y-%m-%d})"
    return f"{leak.feature} goes with the target ({leak.unit} {leak.value:.3f})"


def _stopped(text: str) -> str:
    return f"# Preparation stopped\n\n{text}\n"
