"""A verdict from an interval: sure enough, surely not, or not known."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from include.kreislauf.statistics.intervals import Interval


class Verdict(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


def at_least(interval: Interval, threshold: float) -> Verdict:
    """Whether a value reaches a threshold: *pass* if the whole interval does, *fail* if none of it does.

    With a two-sided interval of level ``2 c - 1`` each of the two answers is right with confidence ``c``.
    """
    if interval.low >= threshold:
        return Verdict.PASS
    return Verdict.FAIL if interval.high < threshold else Verdict.INCONCLUSIVE


def two_sided(confidence: float) -> float:
    """Level of the two-sided interval whose ends each hold with a one-sided confidence."""
    return 2 * confidence - 1


def at_most(interval: Interval, threshold: float) -> Verdict:
    """Whether a value stays within a limit: *pass* if the whole interval does, *fail* if none of it does."""
    if interval.high <= threshold:
        return Verdict.PASS
    return Verdict.FAIL if interval.low > threshold else Verdict.INCONCLUSIVE


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict of several questions, all of which must pass: one *fail* decides."""
    found = set(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in found else Verdict.PASS
