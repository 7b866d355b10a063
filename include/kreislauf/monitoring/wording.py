"""A sequential verdict in one sentence, with its numbers."""

from __future__ import annotations

from include.kreislauf.monitoring.verdicts import many
from include.kreislauf.monitoring.watching import Opinion, Scale, Watch, WatchState


def sentence(
    threshold: float, direction: str, unit: str, watch: Watch, state: WatchState, opinion: Opinion, scale: Scale
) -> str:  # fmt: skip
    """What was seen, and what it says, in the metric's unit."""
    if not state.level.observations:
        return "no observations yet"
    where = {"healthy": "surely on the right side", "inconclusive": "not sure yet"}.get(opinion.verdict, "")
    level = f"{_level(state, opinion, scale)}, threshold {threshold:.4g} ({unit})"
    evidence = f"evidence {opinion.evidence:.3g}, alarm at {1 / watch.false_alarms:.4g}"
    if opinion.verdict == "breach":
        return f"{_breach(direction, watch, state, scale)}: {level}; {evidence}"
    if opinion.gathers:
        return f"{level}: a {'fall' if direction == 'higher' else 'rise'} may have set in; {evidence}"
    return f"{level}: {where}"


def _level(state: WatchState, opinion: Opinion, scale: Scale) -> str:
    shown = scale.interval(opinion.shown)
    number = (state.level if state.alarm is None else state.sinking).observations
    return f"{many(number, 'observation')}, {shown.mean:.4g} ({shown.low:.4g} to {shown.high:.4g})"


def _breach(direction: str, watch: Watch, state: WatchState, scale: Scale) -> str:
    """What happened, and since when."""
    verb, side = ("fallen", "below") if direction == "higher" else ("risen", "above")
    before = watch.reference if watch.reference is not None else _mean_before(state)
    if state.cause == "fall" and before is not None:
        return f"has {verb} from {scale.back(before):.4g}, alarm on day {state.alarm:.1f}; since it set in"
    return f"surely {side} the threshold"


def _mean_before(state: WatchState) -> float | None:
    """The level until the fall is likely to have set in; ``None``: it was never a better one."""
    number = state.level.observations - state.sinking.observations
    return (state.level.total - state.sinking.total) / number if number else None
