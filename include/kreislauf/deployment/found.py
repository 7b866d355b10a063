"""What a check of a release came to: kept with its rollout, shown to people, sent back as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from include.kreislauf.handovers import Evidence
from include.kreislauf.statistics.intervals import Interval
from include.kreislauf.statistics.verdicts import Verdict

NO_NUMBERS: tuple[Evidence, ...] = ()
SO_FAR = "_so_far"
"""How the name of a check ends that goes on."""


@dataclass(frozen=True)
class Found:
    """The answer of one check.

    Parameters
    ----------
    final: whether it stands; otherwise the check goes on and only keeps what it has found so far.
    look: number of the look at the counts that it comes from.
    """

    verdict: Verdict
    text: str
    numbers: tuple[Evidence, ...] = NO_NUMBERS
    final: bool = True
    look: int = -1

    def after(self, seconds: float) -> Found:
        """The same, final because time is over."""
        return replace(self, final=True, text=f"{self.text}; not decided after {seconds / 3600:.3g} h")

    def record(self, then: str = "") -> dict[str, Any]:
        """Its JSON form; ``then``: what the contract says of an inconclusive one."""
        numbers = [one.model_dump(mode="json") for one in self.numbers]
        return {
            "verdict": str(self.verdict), "text": self.text, "numbers": numbers, "look": self.look, "then": then,
        }  # fmt: skip


def number(name: str, value: float | Interval, unit: str = "", note: str = "") -> Evidence:
    """A number as evidence; of an interval its mean, the ends in the note."""
    if isinstance(value, Interval):
        note = "; ".join(
            filter(None, [f"{_short(value.low)} to {_short(value.high)} at {_level(value.level)}", note])
        )
        value = value.mean
    return Evidence(name=name, value=value if isfinite(value) else None, unit=unit, note=note)


def numbers_of(evidence: Mapping[str, Any]) -> tuple[Evidence, ...]:
    """Every number that the checks of a rollout have found, in the order of the checks."""
    return tuple(
        Evidence.model_validate(one)
        for check in evidence.values()
        if isinstance(check, dict)
        for one in check.get("numbers", ())
    )


def as_markdown(evidence: Mapping[str, Any]) -> str:
    """The checks of a rollout for people: a section of the release note."""
    lines = []
    concluded = {name for name in evidence if not name.endswith(SO_FAR)}
    for name, check in evidence.items():
        over = name.endswith(SO_FAR) and name.removesuffix(SO_FAR) in concluded
        if over or not isinstance(check, dict) or "verdict" not in check:
            continue
        then = f" ({check['then']}, as the contract says)" if check["then"] else ""
        lines.append(f"- **{name}: {check['verdict']}**{then}: {check['text']}")
        lines += [f"  - {_line(Evidence.model_validate(one))}" for one in check["numbers"]]
    return "\n".join(["## Tried on live traffic", "", *lines]) if lines else ""


def _line(one: Evidence) -> str:
    shown = "not known" if one.value is None else _short(one.value)
    return (
        f"{one.name.replace('_', ' ')}: {f'{shown} {one.unit}'.strip()}{f' ({one.note})' if one.note else ''}"
    )


def _level(level: float) -> str:
    """A level of confidence with as many digits as tell it from certainty."""
    digits = next((digits for digits in range(1, 12) if float(f"{level * 100:.{digits}f}") < 100), 12)
    return f"{level * 100:.{digits}f}%"


def _short(value: float) -> str:
    return f"{value:.4g}"
