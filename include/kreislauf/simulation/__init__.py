"""A simulated world behind the quick start: technologies, the panel that sources show of them, and teams.

Nothing here is read by the ring. The world speaks the sources' formats only: a panel file, reports of teams.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from math import isfinite

from include.kreislauf.errors import KreislaufError
from include.kreislauf.periods import between, start_of


class SimulationError(KreislaufError):
    """A simulated world cannot be made as asked, or was asked for what it does not hold."""


@dataclass(frozen=True)
class WorldParameters:
    """What a world is made from. The defaults resemble the real panel, with one wave of new technologies.

    Parameters
    ----------
    established: technologies that exist, or appear in the first third of the simulated time (count).
    emerging: technologies that appear together, late (count); 0 for a world without a wave.
    start: start of the first quarter, UTC.
    quarters: simulated time (quarters).
    emergence: start of the quarter in which the new technologies appear, UTC.
    incubation_quarters: time for which they stay as small as they appeared (quarters).
    takeover_quarters: mean time from the end of the incubation to half of their final weight (quarters).
    emerging_rate: mean growth of their weight while it is small (log points per quarter).
    emerging_share: share of all adoption that they have in the end, together.
    late_established: share of the established technologies that appear after the start.
    drift: standard deviation, over technologies, of the growth that wanders (log points per quarter).
    drift_persistence: correlation of that growth with itself one quarter later.
    source_noise: standard deviation of a source's noise beside counting (log points), doubled for stars.
    team_noise: standard deviation of a team's report (index points).
    productivity_range: the most that any recommendation can change productivity (index points).
    productivity_scale: uplift of adoption at which 76 % of that range are reached (log points per quarter).

    Raises
    ------
    SimulationError: a value is out of range, or the dates do not fit together.
    """

    established: int = 40
    emerging: int = 10
    start: datetime = datetime(2011, 1, 1, tzinfo=UTC)
    quarters: int = 44
    emergence: datetime = datetime(2017, 7, 1, tzinfo=UTC)
    incubation_quarters: int = 3
    takeover_quarters: float = 7.0
    emerging_rate: float = 0.5
    emerging_share: float = 0.5
    late_established: float = 0.15
    drift: float = 0.045
    drift_persistence: float = 0.9
    source_noise: float = 0.03
    team_noise: float = 3.0
    productivity_range: float = 8.0
    productivity_scale: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _ALLOWED:
                _check_number(field.name, getattr(self, field.name), whole=isinstance(field.default, int))
        _check_quarter("start", self.start)
        _check_quarter("emergence", self.emergence)
        if self.emerging and not 0 < self.emergence_index < self.quarters:
            raise SimulationError(
                f"emergence {self.emergence:%Y-%m-%d} lies outside the simulated time", where="emergence",
                allowed=f"1 to {self.quarters - 1} quarters after start, {self.start:%Y-%m-%d}",
                next_step="move it, simulate more quarters, or set emerging to 0",
            )  # fmt: skip

    @property
    def emergence_index(self) -> int:
        """Quarters from the start to the emergence."""
        return between(self.start, self.emergence, "quarter")


# Both ends are allowed. The most technologies are bounded by the two digits of a name, see ``technologies``.
_ALLOWED: dict[str, tuple[float, float]] = {
    "established": (1, 200), "emerging": (0, 100), "quarters": (2, 400), "incubation_quarters": (0, 40),
    "takeover_quarters": (0, 40), "emerging_rate": (0.01, 2), "emerging_share": (0.001, 0.95),
    "late_established": (0, 1), "drift": (0, 0.5), "drift_persistence": (0, 0.99), "source_noise": (0, 1),
    "team_noise": (0, 20), "productivity_range": (0, 50), "productivity_scale": (0.001, 1),
}  # fmt: skip


def _check_number(name: str, value: float, *, whole: bool) -> None:
    low, high = _ALLOWED[name]
    typed = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (typed and isfinite(value) and low <= value <= high):
        allowed = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
        raise SimulationError(f"{value!r} is not possible", where=name, allowed=allowed)


def _check_quarter(name: str, moment: datetime) -> None:
    if moment.tzinfo is None or moment != start_of(moment, "quarter"):
        raise SimulationError(
            f"{moment} is not the start of a quarter in UTC", where=name,
            allowed="such as 2017-07-01T00:00:00+00:00",
        )  # fmt: skip
