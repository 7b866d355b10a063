"""Whether observations can be believed: what speaks against it is said in words, and the verdict is then inconclusive.

A value out of the bounds, or that is no number, never enters a test; it is counted. The rest looks at the newest
:data:`WINDOW` observations, whoever looks when, so that the doubts do not depend on how the passes were cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from include.kreislauf.monitoring.observing import Observation
from include.kreislauf.requirements.monitoring import Monitoring

WINDOW = 200
FEWEST = 20
"""So few observations do not show who sends most of them."""
EQUAL = 30
"""So many equal values in a row are suspicious where values can be anything."""
Variety = Literal["always", "between the bounds", "few values"]
"""Where values can be anything; of few values none is suspicious."""


class Came(NamedTuple):
    """One of the newest observations."""

    id: str
    client: str | None
    plausible: bool


@dataclass(frozen=True)
class Intake:
    """What came of a metric, plausible or not.

    Parameters
    ----------
    newest: the window, oldest first.
    several: whether ever more than one client was seen.
    first_client: the first one that was seen.
    equal, value: how many equal plausible values came last, and which.
    implausible: how many were left out since the beginning.
    """

    newest: tuple[Came, ...] = ()
    several: bool = False
    first_client: str | None = None
    equal: int = 0
    value: float | None = None
    implausible: int = 0

    def after(self, new: Sequence[Observation], plausible: Sequence[bool]) -> Intake:
        """With more observations, in their order."""
        if not new:
            return self
        came = [
            Came(one.id, one.client, good)
            for one, good in zip(new[-WINDOW:], plausible[-WINDOW:], strict=True)
        ]
        first = self.first_client if self.newest else new[0].client
        values = [one.value for one, good in zip(new, plausible, strict=True) if good]
        return replace(
            self._with_values(values),
            newest=(*self.newest, *came)[-WINDOW:],
            several=self.several or any(one.client != first for one in new),
            first_client=first,
            implausible=self.implausible + len(new) - len(values),
        )

    def _with_values(self, values: Sequence[float]) -> Intake:
        if not values:
            return self
        last = values[-1]
        equal = next((number for number, one in enumerate(reversed(values)) if one != last), None)
        if equal is None:
            equal = len(values) + (self.equal if self.value == last else 0)
        return replace(self, equal=equal, value=last)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "newest": [list(one) for one in self.newest]}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Intake:
        """From what :meth:`to_dict` gave."""
        return cls(**{**kept, "newest": tuple(Came(*one) for one in kept["newest"])})


def doubts(
    intake: Intake, limits: Monitoring, bounds: tuple[float, float], *, contradicted: int, vary: Variety
) -> list[str]:
    """What speaks against the newest observations, in words and numbers; empty: nothing.

    Parameters
    ----------
    bounds: of one value. Many equal values at an end of them are what shares and counts look like.
    contradicted: how many in the window have an outcome that another one contradicts.
    vary: where equal values in a row are suspicious.
    """
    found = (
        _out_of_bounds(intake, limits, bounds),
        _one_client(intake, limits),
        _contradictions(intake, limits, contradicted),
        _all_equal(intake, bounds, vary),
    )
    return [one for one in found if one]


def _out_of_bounds(intake: Intake, limits: Monitoring, bounds: tuple[float, float]) -> str:
    bad, all_ = sum(not one.plausible for one in intake.newest), len(intake.newest)
    if not bad or bad <= limits.max_implausible * all_:
        return ""
    allowed = f"{limits.max_implausible:.0%} allowed"
    return f"{bad} of the newest {all_} observations lie outside of {bounds[0]:g} to {bounds[1]:g}: {allowed}"


def _one_client(intake: Intake, limits: Monitoring) -> str:
    all_ = len(intake.newest)
    if not intake.several or all_ < FEWEST:
        return ""
    client, most = Counter(one.client for one in intake.newest).most_common(1)[0]
    if most <= limits.max_client_share * all_:
        return ""
    who = f"client {client}" if client else "who has no key"
    return f"{who} sent {most / all_:.0%} of the newest {all_} observations: {limits.max_client_share:.0%} allowed"


def _contradictions(intake: Intake, limits: Monitoring, contradicted: int) -> str:
    all_ = len(intake.newest)
    if not contradicted or contradicted <= limits.max_implausible * all_:
        return ""
    allowed = f"{limits.max_implausible:.0%} allowed"
    return f"{contradicted} of the newest {all_} outcomes are contradicted by another one: {allowed}"


def _all_equal(intake: Intake, bounds: tuple[float, float], vary: Variety) -> str:
    if intake.equal < EQUAL or vary == "few values" or (vary != "always" and intake.value in bounds):
        return ""
    return f"the newest {intake.equal} observations are all {intake.value:g}"
