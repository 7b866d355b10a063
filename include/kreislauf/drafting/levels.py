"""The numbers of a contract that decide: proposed from what a quick run has reached."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from include.kreislauf.drafting.targets import Target
from include.kreislauf.drafting.wishes import MeasureName, ProblemKind, Wishes

HARDLY = 0.01
"""Least gain that is asked for where the quick run has surely reached none."""
TOO_GOOD = 0.8
GENUINE_AT_MOST = 0.99
"""A gain above this is not explained away: a person is asked."""
BEYOND = 1.5
"""An error larger than so many times the span of the target is not plausible."""


@dataclass(frozen=True)
class Reached:
    """What the best model of a quick run has reached on rows that it had not learnt from.

    Parameters
    ----------
    gain: share by which it undercuts the baseline, with the two ends of its interval; infinite where nothing is known.
    business: the business metric, likewise; of the baseline only the value.
    worth_of_baseline: the business metric of what costs nothing.
    """

    model: str
    baseline: str
    gain: tuple[float, float, float]
    business: tuple[float, float, float]
    worth_of_baseline: float
    n_rows: int


@dataclass(frozen=True)
class Level:
    """A number and why it is proposed."""

    value: float
    why: str


@dataclass(frozen=True)
class Levels:
    """What a candidate, and later the live release, must show."""

    baseline: str
    min_gain: Level
    too_good: Level
    gate: Level
    live: Level


def measure_for(target: Target, wishes: Wishes) -> MeasureName:
    """What each prediction is worth: what is wished, the costs where they are given, else the plainest."""
    if wishes.measure:
        return wishes.measure
    if wishes.costs:
        return "decision_value"
    return "absolute_error" if target.kind == "regression" else "hit"


def bounds_for(
    measure: MeasureName, kind: ProblemKind, span: float, values: tuple[float, float] | None
) -> list[float]:
    """Least and greatest value that one observation can have.

    Parameters
    ----------
    span: greatest minus least target in the sample.
    values: the least and greatest value of a decision, where there are costs.
    """
    if measure == "decision_value" and values:
        return list(values)
    if measure == "hit" or kind != "regression":
        return [0, 1]
    widest = BEYOND * span
    return [0, rounded_up(widest if measure == "absolute_error" else widest**2)]


def before_any_run(measure: MeasureName, bounds: list[float]) -> Levels:
    """Levels that every candidate passes: with them the quick run is judged."""
    edge = bounds[0] + (bounds[1] - bounds[0]) * (0.001 if better(measure) == "higher" else 0.999)
    return Levels("prior", Level(0.0, ""), Level(1.0, ""), Level(edge, ""), Level(edge, ""))


def levels_for(reached: Reached, measure: MeasureName, bounds: list[float]) -> Levels:
    """Levels that the run has surely reached, half-way up from what costs nothing."""
    gate = _half_way(reached, measure, bounds)
    live = Level(gate.value, "live: the same level; a mean on its wrong side, surely, sends the work back")
    return Levels(reached.baseline, _min_gain(reached), _too_good(reached), gate, live)


def better(measure: MeasureName) -> str:
    """Whether more or less of it is better."""
    return "lower" if measure.endswith("_error") else "higher"


def rounded_up(value: float) -> float:
    """To two figures."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** (floor(log10(value)) - 1)
    rounded = float(f"{ceil(value / unit) * unit:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


def _min_gain(reached: Reached) -> Level:
    gain, low, high = reached.gain
    told = f"the quick run's {reached.model} undercut {reached.baseline} by {_interval(gain, low, high)} on {reached.n_rows} rows"
    if not isfinite(low) or low <= HARDLY:
        return Level(
            HARDLY, f"{told}: not surely better than what costs nothing, so the gate may well say no"
        )
    return Level(max(HARDLY, floor(low * 50) / 100), f"{told}; asked for is half of what was surely reached")


def _too_good(reached: Reached) -> Level:
    gain, low, high = reached.gain
    most = max(value for value in (gain, low, high) if isfinite(value))
    if most <= TOO_GOOD / 2 + 0.1:
        return Level(
            TOO_GOOD, "far above what the quick run reached: more would be a leak, and a person is asked"
        )
    if gain > GENUINE_AT_MOST:
        return Level(
            TOO_GOOD,
            f"the quick run reached {gain:.1%}: such a gain is nearly always a leak, a person is asked",
        )
    limit = min(0.999, ceil((most + (1 - most) / 2) * 1000) / 1000)
    return Level(
        max(TOO_GOOD, limit),
        f"above the {most:.1%} that the quick run may have reached: more would be a leak",
    )


def _half_way(reached: Reached, measure: MeasureName, bounds: list[float]) -> Level:
    value, low, high = reached.business
    base, sign = reached.worth_of_baseline, 1 if better(measure) == "higher" else -1
    surely = low if sign > 0 else high
    told = f"the quick run reached {_number(value)} ({_number(low)} to {_number(high)}), what costs nothing {_number(base)}"
    if not isfinite(surely - base) or sign * (surely - base) <= 0:
        return Level(
            _inside(base if isfinite(base) else value, bounds),
            f"{told}: not surely better, so the gate may well say no",
        )
    return Level(
        _inside(base + (surely - base) / 2, bounds),
        f"{told}; asked for is half-way to what was surely reached",
    )


def _inside(value: float, bounds: list[float]) -> float:
    """To three figures, and within the bounds, so that both sides can be reached."""
    least, greatest = bounds
    edge = (greatest - least) / 1000
    return float(f"{min(max(value, least + edge), greatest - edge):.3g}")


def _number(value: float) -> str:
    return f"{value:.4g}" if isfinite(value) else "unknown"


def _interval(value: float, low: float, high: float) -> str:
    if not (isfinite(low) and isfinite(high)):
        return f"{value:.1%}"
    return f"{value:.1%} ({low:.1%} to {high:.1%})"
