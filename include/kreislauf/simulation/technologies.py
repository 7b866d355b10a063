"""The world's technologies: how widely each is adopted, quarter by quarter, before anybody measures it.

Adoption follows the life of a technology (logistic rise, plateau, decline) and a growth that wanders slowly:
what grew lately tends to go on growing, so growth can be predicted, but not for ever. Late in the simulated
time a group of new technologies appears and takes shares from all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from include.kreislauf.periods import between, shift
from include.kreislauf.simulation import SimulationError, WorldParameters

Floats = NDArray[np.float64]

# Of every 20 technologies: the mix of the real panel, rounded.
KIND_CYCLE = (
    "language", "web", "ops", "backend", "data", "language", "web", "ml", "ops", "web",
    "language", "data", "web", "backend", "language", "ops", "web", "data", "language", "ml",
)  # fmt: skip
_PREFIX = {"language": "lang"}
_NUMBERS = 99
# One random stream per purpose, so that a parameter of one part never changes the draws of another.
_STREAM_NAMES, _STREAM_ESTABLISHED, _STREAM_EMERGING = 1, 2, 3


@dataclass(frozen=True, eq=False)
class World:
    """What is really so, and what nobody in the ring may read but the simulated sources and teams.

    Parameters
    ----------
    seed: seed of every random draw.
    parameters: what the world was made from.
    quarters: starts of the quarters, UTC, oldest first.
    names: technologies, sorted.
    kinds: kind of each technology, in the order of ``names``.
    adoption: (technology x quarter) share of all adoption, 0 before a technology appears; columns sum to 1.
    emerging: names of the technologies that appear late.
    """

    seed: int
    parameters: WorldParameters
    quarters: tuple[datetime, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    adoption: Floats
    emerging: frozenset[str]

    def index_of(self, quarter: datetime) -> int:
        """Column of the quarter that a moment lies in.

        Raises
        ------
        SimulationError: the moment lies outside the simulated time.
        """
        if quarter.tzinfo is None:
            raise SimulationError(f"{quarter} has no time zone", where="quarter", allowed="aware times")
        index = between(self.quarters[0], quarter, "quarter")
        if not 0 <= index < len(self.quarters):
            raise SimulationError(
                f"{quarter:%Y-%m-%d} lies outside the simulated time", where="quarter",
                allowed=f"quarters from {self.quarters[0]:%Y-%m-%d} to {self.quarters[-1]:%Y-%m-%d}",
            )  # fmt: skip
        return index

    def visible(self, quarter: datetime) -> tuple[str, ...]:
        """Names of the technologies that exist in a quarter."""
        column = self.adoption[:, self.index_of(quarter)]
        return tuple(name for name, share in zip(self.names, column, strict=True) if share > 0)

    def growth(self, quarter: datetime) -> dict[str, float]:
        """Change of log adoption from the quarter before (log points), where a technology existed in both."""
        index = self.index_of(quarter)
        if index == 0:
            return {}
        before, now = self.adoption[:, index - 1], self.adoption[:, index]
        both = (before > 0) & (now > 0)
        changes = np.log(now[both] / before[both])
        return dict(zip(np.array(self.names)[both].tolist(), changes.tolist(), strict=True))


def simulate(seed: int = 0, parameters: WorldParameters | None = None) -> World:
    """Make a world. Equal arguments give equal worlds; the time before the emergence knows nothing of it.

    Raises
    ------
    SimulationError: the seed is negative.
    """
    parameters = parameters or WorldParameters()
    if seed < 0:
        raise SimulationError(f"seed {seed} is negative", where="simulate", allowed="0 or more")
    names, kinds = _names(seed, parameters.established + parameters.emerging)
    weights = _established(seed, parameters)
    weights /= weights.sum(axis=0)
    if parameters.emerging:
        weights = np.vstack([weights, _emerging(seed, parameters)])
    order = np.argsort(names)
    adoption = (weights / weights.sum(axis=0))[order]
    adoption.setflags(write=False)
    return World(
        seed=seed, parameters=parameters, adoption=adoption,
        quarters=tuple(shift(parameters.start, "quarter", i) for i in range(parameters.quarters)),
        names=tuple(names[i] for i in order), kinds=tuple(kinds[i] for i in order),
        emerging=frozenset(names[parameters.established :]),
    )  # fmt: skip


def _names(seed: int, count: int) -> tuple[list[str], list[str]]:
    """Names with shuffled numbers: neither order nor number tells who is new."""
    rng = np.random.default_rng([seed, _STREAM_NAMES])
    kinds = [KIND_CYCLE[i % len(KIND_CYCLE)] for i in range(count)]
    numbers = {kind: iter(rng.permutation(_NUMBERS) + 1) for kind in sorted(set(KIND_CYCLE))}
    return [f"{_PREFIX.get(kind, kind)}-{next(numbers[kind]):02d}" for kind in kinds], kinds


def _established(seed: int, parameters: WorldParameters) -> Floats:
    """Weights (technology x quarter) of the established technologies, 0 before a technology appears."""
    rng = np.random.default_rng([seed, _STREAM_ESTABLISHED])
    one_each, quarters = (parameters.established, 1), np.arange(parameters.quarters)
    size = rng.normal(0.0, 0.6, one_each)
    rate = rng.uniform(0.10, 0.25, one_each)
    # Middles of the rise lie from long before the start to 2016, so each phase of life is seen at any time.
    middle = rng.uniform(-30.0, 20.0, one_each)
    decline_from = middle + rng.uniform(10.0, 40.0, one_each)
    decline = rng.uniform(0.0, 0.04, one_each)
    late = rng.random(one_each) < parameters.late_established
    entry = np.where(late, rng.integers(1, 2 + parameters.quarters // 3, one_each), 0)
    # No quarter is without a technology.
    entry[0] = 0
    rise = -np.logaddexp(0.0, -rate * (quarters - middle))
    fall = -decline * np.logaddexp(0.0, quarters - decline_from)
    weights = np.exp(size + rise + fall + _drift(rng, parameters))
    return np.asarray(np.where(quarters >= entry, weights, 0.0), dtype=np.float64)


def _drift(rng: np.random.Generator, parameters: WorldParameters) -> Floats:
    """Cumulated growth (technology x quarter), log points, of a stationary autoregression of order one."""
    persistence = parameters.drift_persistence
    growth = rng.normal(0.0, parameters.drift, (parameters.established, parameters.quarters))
    fresh = np.sqrt(1 - persistence**2)
    for quarter in range(1, parameters.quarters):
        growth[:, quarter] = persistence * growth[:, quarter - 1] + fresh * growth[:, quarter]
    return np.asarray(np.cumsum(growth, axis=1), dtype=np.float64)


def _emerging(seed: int, parameters: WorldParameters) -> Floats:
    """Weights of the new technologies, where all established ones together weigh 1; 0 before they appear."""
    rng = np.random.default_rng([seed, _STREAM_EMERGING])
    one_each, quarters = (parameters.emerging, 1), np.arange(parameters.quarters)
    taken_up = parameters.emergence_index + parameters.incubation_quarters
    middle = taken_up + parameters.takeover_quarters * rng.uniform(0.9, 1.1, one_each)
    rate = parameters.emerging_rate * rng.uniform(0.9, 1.1, one_each)
    size = rng.lognormal(0.0, 0.3, one_each)
    # A final share s of everything is a weight of s / (1 - s) beside the 1 of the established technologies.
    size *= parameters.emerging_share / (1 - parameters.emerging_share) / size.sum()
    # Held at its first value during the incubation: a niche that the data show, but nobody feels yet.
    weights = size / (1 + np.exp(-rate * (np.maximum(quarters, taken_up) - middle)))
    return np.asarray(np.where(quarters >= parameters.emergence_index, weights, 0.0), dtype=np.float64)
