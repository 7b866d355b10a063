"""Which way back is taken: declared rules over the evidence, in their order; the first that fits decides.

The rules see numbers only, and every number goes into the loop as evidence, also that for causes further down. What is
not known fits no rule. Without a breach there is no loop, unless the contract lets a warning alone raise one; where no
rule fits, the default way back is taken, and the text says that no cause is visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from include.kreislauf.handovers import Edge, Evidence, Reason, Stage
from include.kreislauf.monitoring.challenger import Challenge
from include.kreislauf.monitoring.model_error import ErrorChange
from include.kreislauf.monitoring.signals import UNITS
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.store.signals import Signal

SHARED = 0.5
"""Where surely less than this part of the fall is the model's own, beside its control, the world got worse."""


@dataclass(frozen=True)
class Before:
    """The release that a rollback would go back to, last seen healthy and better than the live one."""

    release: int
    value: float


@dataclass(frozen=True)
class Situation:
    """All that the rules look at.

    Parameters
    ----------
    text: of the verdict.
    promoted_recently: whether the breach follows a promotion so soon that the new release is suspected first.
    before: ``None``: nothing better to go back to is known.
    control: the live release's level minus that of its control, in the direction that is better; ``None``: no control.
    fall: how far the metric lies below what was expected of it, in the direction that is better; ``None``: not known.
    measures_model: whether the metric is itself an error of the model: then both cannot disagree.
    ask: why the governor wants a person to be asked now; ``None``: loops may still help.
    signals: by name.
    names: whether clients ask by name, for entities; otherwise what the model does not know are categories.
    warns_alone: whether a warning sends the work back without a breach.
    """

    verdict: Literal["healthy", "breach", "inconclusive"]
    text: str
    promoted_recently: bool = False
    before: Before | None = None
    control: Interval | None = None
    fall: float | None = None
    measures_model: bool = False
    challenge: Challenge | None = None
    error: ErrorChange | None = None
    ask: tuple[Reason, str] | None = None
    signals: Mapping[str, Signal] = field(default_factory=lambda: MappingProxyType({}))
    names: bool = True
    warns_alone: bool = False

    def warns(self, name: str) -> Signal | None:
        """The signal if it surely lies above its limit."""
        found = self.signals.get(name)
        return found if found and found.warning else None


@dataclass(frozen=True)
class Diagnosis:
    """Where the work goes, and why.

    Parameters
    ----------
    evidence: numbers for this cause and for all others.
    sure: ``False``: no cause is visible, and this is the default.
    step: the discipline to take up again, where the receiver has several.
    """

    edge: Edge
    reason: Reason
    text: str
    evidence: tuple[Evidence, ...] = ()
    sure: bool = True
    step: Stage | None = None


_Cause = tuple[Edge, Reason, str, Stage | None]


def diagnose(situation: Situation) -> Diagnosis | None:
    """The way back that the evidence asks for; ``None``: none, for there is no breach."""
    breach = situation.verdict == "breach"
    warned = any(situation.warns(name) for name in ALONE)
    if not breach and not (situation.warns_alone and warned):
        return None
    cause = next((found for rule in RULES if (found := rule(situation))), None)
    edge, reason, why, step = cause or DEFAULT
    text = f"{situation.text}; {why}" if breach else f"a warning without a breach: {why}"
    return Diagnosis(edge, reason, text, evidence_of(situation), sure=cause is not None, step=step)


def evidence_of(situation: Situation) -> tuple[Evidence, ...]:
    """The numbers of every rule, whichever decides."""
    found = [Evidence(name=one.name, value=one.value, unit=UNITS.get(one.name, ""), note=one.text)
             for one in situation.signals.values()]  # fmt: skip
    share, metric = "share of the champion's error", "unit of the metric"
    if (before := situation.before) is not None:
        found.append(
            Evidence(name="release_before", value=before.value, unit=metric, note=f"release {before.release}")
        )
    if (challenged := situation.challenge) is not None:
        value = challenged.gain.mean if challenged.gain else None
        found.append(Evidence(name="challenger_gain", value=value, unit=share, note=challenged.text))
    if (error := situation.error) is not None:
        found.append(Evidence(name="model_error", value=error.now.mean, unit=error.unit, note=error.text))
        found.append(Evidence(name="model_error_at_promotion", value=error.shown, unit=error.unit))
    if (control := situation.control) is not None:
        note = f"{control.low:.4g} to {control.high:.4g}"
        found.append(Evidence(name="live_minus_control", value=control.mean, unit=metric, note=note))
    return tuple(found)


def _bad_release(seen: Situation) -> _Cause | None:
    if not seen.promoted_recently or seen.verdict != "breach":
        return None
    edge, reason = Edge.MONITORING_TO_MLOPS, Reason.WORSE_THAN_BEFORE
    if seen.before:
        return edge, reason, f"release {seen.before.release} was healthy with {seen.before.value:.4g}", None
    if seen.control and seen.control.high < 0:
        worse = f"the control does better by {-seen.control.mean:.4g} (at least {-seen.control.high:.4g})"
        return edge, reason, worse, None
    return None


def _asks_a_person(seen: Situation) -> _Cause | None:
    return (Edge.MONITORING_TO_REQUIREMENTS, *seen.ask, None) if seen.ask else None


def _something_new(seen: Situation) -> _Cause | None:
    if (warning := seen.warns("novelty")) is None:
        return None
    reason = Reason.NEW_ENTITIES if seen.names else Reason.NEW_CATEGORIES
    return Edge.MONITORING_TO_DATA_ENGINEERING, reason, warning.text, None


def _features_shifted(seen: Situation) -> _Cause | None:
    if (warning := seen.warns("feature_shift")) is None:
        return None
    return Edge.MONITORING_TO_DATA_SCIENCE, Reason.FEATURES_SHIFTED, warning.text, Stage.PREPARATION


def _stale_model(seen: Situation) -> _Cause | None:
    if not (seen.challenge and seen.challenge.better):
        return None
    return (
        Edge.MONITORING_TO_DATA_SCIENCE, Reason.CHALLENGER_BETTER, seen.challenge.text, Stage.TRAINING,
    )  # fmt: skip


def _wrong_requirement(seen: Situation) -> _Cause | None:
    edge, reason = Edge.MONITORING_TO_REQUIREMENTS, Reason.METRIC_AND_MODEL_DISAGREE
    if seen.error and seen.error.risen is False and not seen.measures_model:
        return edge, reason, f"metric and model disagree: {seen.error.text}", None
    control, fall = seen.control, seen.fall
    if control and fall and fall > 0 and control.low > -SHARED * fall:
        worse = f"the control fell as well: at most {-min(control.low, 0.0):.4g} of {fall:.4g} is the release's own"
        return edge, reason, worse, None
    return None


Rule = Callable[[Situation], _Cause | None]
RULES: tuple[Rule, ...] = (
    _bad_release, _asks_a_person, _something_new, _features_shifted, _stale_model, _wrong_requirement,
)  # fmt: skip
"""In the order in which they are asked. What the governor says comes early: else a cause that stays would never let a
person be asked."""
ALONE = ("novelty", "feature_shift")
"""Warnings that send the work back without a breach, where the contract wants that."""
DEFAULT: _Cause = (
    Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL, "no cause is visible; the default way back", None,
)  # fmt: skip
