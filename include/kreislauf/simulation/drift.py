"""Streams of requests and outcomes whose world changes once, slowly, again and again, or not at all.

A request is about an entity and three numbers; its outcome is a yes or a no, whose probability follows from the numbers
by the taste of the entity: ``p = 1 / (1 + exp(-sharpness * taste . numbers))``. A model that knows the taste is right in
about 83 of 100 requests; one that has never seen the entity in little more than half of them.

The worlds, with the parameters that are published here (defaults of :class:`DriftParameters`); none was chosen by
looking at what a detector does with it:

========= ======================================================================================================
stable    24 requests a day for two years, about 20 entities whose tastes stay.
sudden    from day 240 on, 10 new entities have 40 % of the requests.
gradual   the 10 new entities appear on day 180; their share rises as a logistic curve to 40 %, half of it on day
          270, with a time constant of 20 days.
recurring two seasons of 180 days take turns; in the second one, half of the 20 entities have another taste, and the
          first comes back after it.
========= ======================================================================================================

What can be collected runs ahead of what clients ask, as with the technologies of the other simulated world: sources show
new entities, or a new season, 30 days before clients meet them, with 150 examples a day, of every entity equally many.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from include.kreislauf.simulation import SimulationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUMBERS = 3
"""How many numbers a request has."""
_STREAM_TASTES, _STREAM_REQUESTS, _STREAM_EXAMPLES = 21, 22, 23


class Drift(StrEnum):
    """How a world changes."""

    STABLE = "stable"
    SUDDEN = "sudden"
    GRADUAL = "gradual"
    RECURRING = "recurring"


@dataclass(frozen=True)
class DriftParameters:
    """What the worlds are made from.

    Parameters
    ----------
    days: simulated time.
    per_day: requests, each with an outcome.
    entities, emerging: known from the beginning; new ones.
    emerging_share: share of the requests that the new ones have in the end.
    sharpness: how strongly numbers and taste decide.
    sudden_day: when the new entities of the sudden world appear.
    gradual_day, half_day, time_constant: when those of the gradual one appear, when half of their share is reached,
        and how fast it rises (days).
    season: length of a season (days).
    lead: so many days earlier sources show what clients will ask.
    shown: examples a day that sources show.
    """

    days: int = 730
    per_day: int = 24
    entities: int = 20
    emerging: int = 10
    emerging_share: float = 0.4
    sharpness: float = 3.0
    sudden_day: int = 240
    gradual_day: int = 180
    half_day: int = 270
    time_constant: float = 20.0
    season: int = 180
    lead: int = 30
    shown: int = 150


@dataclass(frozen=True, eq=False)
class Examples:
    """Requests with their outcomes: entity numbers (n,), numbers (n, 3), outcomes 0 or 1 (n,)."""

    entities: Ints
    numbers: Floats
    outcomes: Floats


@dataclass(frozen=True)
class DriftWorld:
    """One seeded world. Equal arguments give equal requests, whoever asks, and in whatever order.

    Raises
    ------
    SimulationError: the seed is negative.
    """

    drift: Drift
    seed: int = 0
    parameters: DriftParameters = DriftParameters()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SimulationError(f"seed {self.seed} is negative", where="DriftWorld", allowed="0 or more")

    @property
    def changes(self) -> tuple[int, ...]:
        """Days on which the world that clients see begins to change."""
        made_from = self.parameters
        return {
            Drift.STABLE: (),
            Drift.SUDDEN: (made_from.sudden_day,),
            Drift.GRADUAL: (made_from.gradual_day,),
            Drift.RECURRING: tuple(range(made_from.season, made_from.days, made_from.season)),
        }[self.drift]

    def requests(self, day: int) -> Examples:
        """What clients ask on a day, and what then happens."""
        return self._examples(_STREAM_REQUESTS, day, day, self.parameters.per_day, self.new_share(day))

    def collected(self, day: int, days: int) -> Examples:
        """What sources have shown by the beginning of a day, over that many days."""
        lead, shown = self.parameters.lead, self.parameters.shown
        new = self.parameters.emerging / (self.parameters.entities + self.parameters.emerging)
        found = [
            self._examples(
                _STREAM_EXAMPLES, one, one + lead, shown, new if self.new_share(one + lead) else 0.0
            )
            for one in range(day - days, day)
        ]
        return Examples(
            np.concatenate([one.entities for one in found]),
            np.concatenate([one.numbers for one in found]),
            np.concatenate([one.outcomes for one in found]),
        )

    def new_share(self, day: int) -> float:
        """Share of the requests of a day that are about new entities."""
        made_from = self.parameters
        if self.drift is Drift.SUDDEN:
            return made_from.emerging_share if day >= made_from.sudden_day else 0.0
        if self.drift is Drift.GRADUAL and day >= made_from.gradual_day:
            return float(
                made_from.emerging_share / (1 + np.exp((made_from.half_day - day) / made_from.time_constant))
            )
        return 0.0

    def _examples(self, stream: int, day: int, as_on: int, count: int, new_share: float) -> Examples:
        """Drawn for a day, from the world as clients see it ``as_on`` another one."""
        made_from = self.parameters
        # days of collection may lie before the start
        rng = np.random.default_rng([self.seed, stream, day + 10 * made_from.days])
        new = rng.random(count) < new_share
        old, young = rng.integers(0, made_from.entities, count), rng.integers(0, made_from.emerging, count)
        entities = np.where(new, made_from.entities + young, old)
        numbers = rng.normal(0.0, 1.0, (count, NUMBERS))
        leaning = (self._tastes[self._season(as_on)][entities] * numbers).sum(axis=1)
        outcomes = rng.random(count) < 1 / (1 + np.exp(-made_from.sharpness * leaning))
        return Examples(entities, numbers, outcomes.astype(np.float64))

    def _season(self, day: int) -> int:
        return max(day, 0) // self.parameters.season % 2 if self.drift is Drift.RECURRING else 0

    @cached_property
    def _tastes(self) -> Floats:
        """(season, entity, 3), each of length 1."""
        made_from = self.parameters
        rng = np.random.default_rng([self.seed, _STREAM_TASTES])
        count = made_from.entities + made_from.emerging
        tastes = rng.normal(0.0, 1.0, (2, count, NUMBERS))
        tastes[1, made_from.entities // 2 :] = tastes[0, made_from.entities // 2 :]
        return np.asarray(tastes / np.linalg.norm(tastes, axis=2, keepdims=True), dtype=np.float64)
