"""One metric of one release, watched observation by observation: has it fallen, and does it lie below what is allowed?

Values are scaled to [0, 1], higher is better. Two tests share the false-alarm budget of the contract openly:

- *has it fallen*: the e-detector of :mod:`include.kreislauf.statistics.fall_detector`, with :data:`FALL_PART` of it;
- *does it lie below the threshold*: betting evidence against a mean of at least the threshold, with the rest.

Where the contract gives no reference, the detector bets against every stable level above the threshold at once, and
learns which of them it can be from the observations before the fall; the budget is the same.

An alarm stands until the observations after it lie surely above the threshold; then the detection begins anew, with a
budget of its own. When that is asked depends on how many observations there are and not on who looks when: states are
the same however the observations are cut into passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from include.kreislauf.requirements.monitoring import SequentialTest
from include.kreislauf.statistics.confidence_sequence import MeanState, evidence_below, interval, update
from include.kreislauf.statistics.fall_detector import FallDetector, FallState
from include.kreislauf.statistics.intervals import Interval

FALL_PART = 0.9
CALM = 0.1
"""Part of the alarm's evidence below which no fall gathers."""
FIRST_LOOK = 32
"""A test that is not done at every observation is done at multiples of this number, and more seldom later on."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Between a metric's unit and [0, 1], where higher is better."""

    least: float
    greatest: float
    direction: Literal["higher", "lower"]

    def to_unit(self, values: npt.ArrayLike) -> Floats:
        """Scaled values; those within the bounds come to lie within [0, 1]."""
        share = (np.asarray(values, dtype=np.float64) - self.least) / (self.greatest - self.least)
        return np.clip(share if self.direction == "higher" else 1 - share, 0.0, 1.0)

    def back(self, value: float) -> float:
        """A scaled value in the metric's unit."""
        share = value if self.direction == "higher" else 1 - value
        return self.least + share * (self.greatest - self.least)

    def interval(self, scaled: Interval) -> Interval:
        """A scaled interval in the metric's unit."""
        low, high = sorted((self.back(scaled.low), self.back(scaled.high)))
        return Interval(low, self.back(scaled.mean), high, scaled.level)


@dataclass(frozen=True)
class WatchState:
    """What is remembered of the observations of one release.

    Parameters
    ----------
    level: since the detection began (anew).
    fall: of the detector; it stands still after its alarm.
    sinking: since a fall is likely to have set in.
    after: since the alarm.
    began, day, alarm: in days since the release began: the detection, the latest observation, the alarm.
    set_in: likewise, since when a fall is likely to have set in.
    cause: which test gave it.
    """

    level: MeanState = field(default_factory=MeanState)
    fall: FallState = field(default_factory=FallState)
    sinking: MeanState = field(default_factory=MeanState)
    after: MeanState = field(default_factory=MeanState)
    began: float = 0.0
    day: float = 0.0
    set_in: float = 0.0
    alarm: float | None = None
    cause: Literal["fall", "level"] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        parts = {name: getattr(self, name).to_dict() for name in (*_MEANS, "fall")}
        return {**vars(self), **parts}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> WatchState:
        """From what :meth:`to_dict` gave."""
        means = {name: MeanState.from_dict(kept[name]) for name in _MEANS}
        return cls(**{**kept, **means, "fall": FallState.from_dict(kept["fall"])})


_MEANS = ("level", "sinking", "after")


@dataclass(frozen=True)
class Opinion:
    """What the observations say, scaled.

    Parameters
    ----------
    verdict: of the level and of falls alone; whether the observations can be believed is another question.
    shown: the level, and where it lies with the contract's confidence: since the fall set in, if there was one.
    evidence: of a fall or of a level below the threshold; an alarm from ``1 / false_alarms`` on.
    gathers: whether evidence of a fall gathers.
    """

    verdict: Literal["healthy", "breach", "inconclusive"]
    shown: Interval
    evidence: float
    gathers: bool


@dataclass(frozen=True)
class Watch:
    """The tests of one metric.

    Parameters
    ----------
    threshold: a level below it is bad.
    reference: below which the metric may not have fallen; ``None``: below any level at which it was stable.
    """

    threshold: float
    reference: float | None
    false_alarms: float
    per_days: float
    confidence: float

    @classmethod
    def of(cls, test: SequentialTest, threshold: float, scale: Scale) -> Watch:
        """The tests that a contract asks for."""
        reference = None if test.reference is None else float(scale.to_unit(test.reference))
        at = float(scale.to_unit(threshold))
        return cls(at, reference, test.false_alarms, test.per_days, test.confidence)

    def update(self, state: WatchState, values: npt.ArrayLike, days: npt.ArrayLike) -> WatchState:
        """The state after more observations.

        Parameters
        ----------
        values: shape (n,), within [0, 1], in an order that does not depend on them.
        days: shape (n,), when each became known, in days since the release began; one earlier than the one before
            counts as of the same time.
        """
        x = np.asarray(values, dtype=np.float64)
        at = np.maximum.accumulate(np.concatenate([[state.day], np.asarray(days, dtype=np.float64)]))[1:]
        while len(x):
            state, used = (self._watch if state.alarm is None else self._recover)(state, x, at)
            x, at = x[used:], at[used:]
        return state

    def opinion(self, state: WatchState) -> Opinion:
        """What the observations so far say."""
        shown, evidence = self._shown(state), self._evidence(state)
        sure = 1 / self.false_alarms
        if state.alarm is not None or evidence["level"] >= sure:
            return Opinion("breach", shown, max(evidence.values()), gathers=True)
        gathers = evidence["fall"] >= CALM * sure
        above = shown.low >= self.threshold and state.level.observations > 0
        verdict: Literal["healthy", "inconclusive"] = "healthy" if above and not gathers else "inconclusive"
        return Opinion(verdict, shown, max(evidence.values()), gathers)

    def _watch(self, state: WatchState, x: Floats, at: Floats) -> tuple[WatchState, int]:
        """Take observations up to the next look, or to an alarm of the detector."""
        look = _next_look(state.level.observations)
        used = min(len(x), look - state.level.observations)
        fall = self._detector.update(state.fall, x[:used], at[:used] - state.began)
        if fall.alarm_at is not None:
            used = fall.alarm_at - state.fall.observations
            fall = self._detector.update(state.fall, x[:used], at[:used] - state.began)
        calm = max(0, fall.calm_at - state.fall.observations)
        sinking = update(MeanState() if calm else state.sinking, x[calm:used])
        set_in = float(at[calm - 1]) if calm else state.set_in
        level, day = update(state.level, x[:used]), float(at[used - 1])
        state = replace(state, level=level, fall=fall, sinking=sinking, day=day, set_in=set_in)
        if fall.alarm_at is not None:
            return replace(state, alarm=day, cause="fall"), used
        return (self._looked(state) if level.observations == look else state), used

    def _looked(self, state: WatchState) -> WatchState:
        """What is not done at every observation: the level is tested, and the detector learns where it lies."""
        if self._evidence(state)["level"] >= 1 / self.false_alarms:
            return replace(state, alarm=state.day, cause="level", sinking=state.level, set_in=state.began)
        return replace(state, fall=self._detector.look(state.fall, state.level))

    def _recover(self, state: WatchState, x: Floats, at: Floats) -> tuple[WatchState, int]:
        """Take observations after an alarm; where they are surely good, the detection begins anew."""
        seen = state.after.observations
        used = min(len(x), _next_look(seen) - seen)
        after, day = update(state.after, x[:used]), float(at[used - 1])
        if after.observations == _next_look(seen) and interval(after, self.confidence).low >= self.threshold:
            fall = self._detector.look(self._detector.begin(), after)
            return WatchState(level=after, fall=fall, began=day, day=day, set_in=day), used
        level, sinking = update(state.level, x[:used]), update(state.sinking, x[:used])
        return replace(state, level=level, sinking=sinking, after=after, day=day), used

    @cached_property
    def _detector(self) -> FallDetector:
        return FallDetector(self.reference, self.threshold, self.false_alarms * FALL_PART, self.per_days)

    def _evidence(self, state: WatchState) -> dict[str, float]:
        """By test, its evidence times its part of the budget: an alarm from ``1 / false_alarms`` on."""
        level = evidence_below(state.level, self.threshold) if state.level.observations else 0.0
        return {"fall": state.fall.evidence * FALL_PART, "level": level * (1 - FALL_PART)}

    def _shown(self, state: WatchState) -> Interval:
        return interval(state.level if state.alarm is None else state.sinking, self.confidence)


def _next_look(seen: int) -> int:
    """How many observations there are at the next look: multiples of a 32nd to a 64th of the number."""
    step = max(FIRST_LOOK, 1 << max(0, seen.bit_length() - 6))
    return (seen // step + 1) * step
