"""A plant whose machines wear out, are maintained, and sometimes fail; a new type of machine and another calibration.

Machines of the types A, B and C work in four lines, in shifts of eight hours. In every shift a machine's wear grows by
``wear_rate * load * G``, where G is gamma distributed with mean 1 (shape ``wear_shape``). It fails within the shift with
the probability ``spontaneous + worn_out / (1 + exp(-(wear - limit) / softness))``. A failed machine is repaired, which
takes all wear away; planned maintenance, every ``maintained_every`` shifts or so, leaves a part of it. Sensors show
the healthy level of the type, the load and the wear, with noise; some values are missing:

=========== =========================================================== =======
sensor      healthy level of A, B, C, D; for full load; for wear 1      noise
=========== =========================================================== =======
temperature 55, 60, 58, 42 degrees Celsius; + 12; + 12                  2.0
vibration   2.0, 2.6, 2.3, 4.3 mm/s; + 0.3; + 3.0                       0.2
pressure    6.0, 6.4, 6.2, 5.0 bar; - 0.2; - 1.2                        0.12
current     40, 48, 44, 62 A; + 14; + 5                                 1.5
=========== =========================================================== =======

Two things change. Machines of type D arrive, some as pilots in week ``pilot_week`` and the others in ``arrival_week``:
healthy, they vibrate as a machine of another type does that is about to fail. In week ``recalibration_week``, the
vibration sensors of ``recalibrated_lines`` are calibrated anew: from then on they show the peak instead of the effective
value, and from another zero, which is ``scale * vibration + offset``.

Published parameters are the defaults of :class:`PlantParameters`. The hazard that follows the wear is the logistic form
of a proportional-hazards model for a covariate that is not seen itself: Banjevic and Jardine, Calculation of reliability
function and remaining useful life for a Markov failure time process, IMA Journal of Management Mathematics 17 (2006).
The wear itself is a gamma process: van Noortwijk, A survey of the application of gamma processes in maintenance,
Reliability Engineering & System Safety 94 (2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from include.kreislauf.simulation import SimulationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHIFT = timedelta(hours=8)
SHIFTS_A_WEEK = 21
WINDOW_SHIFTS = 6
"""A failure counts for a shift if it comes within so many shifts after it: two days."""
TYPES = ("A", "B", "C", "D")
NEW_TYPE = TYPES.index("D")
SENSORS = ("temperature", "vibration", "pressure", "current")
VIBRATION = SENSORS.index("vibration")
HEALTHY: Floats = np.array(
    [[55.0, 2.0, 6.0, 40.0], [60.0, 2.6, 6.4, 48.0], [58.0, 2.3, 6.2, 44.0], [42.0, 4.3, 5.0, 62.0]]
)
"""Shape (types, sensors)."""
BY_LOAD: Floats = np.array([12.0, 0.3, -0.2, 14.0])
BY_WEAR: Floats = np.array([12.0, 3.0, -1.2, 5.0])
NOISE: Floats = np.array([2.0, 0.2, 0.12, 1.5])
_STREAM_MACHINES, _STREAM_SHIFTS = 31, 32


@dataclass(frozen=True)
class PlantParameters:
    """What a plant is made from.

    Parameters
    ----------
    start: first shift, a Monday; ``weeks``: simulated time.
    machines: of the types A, B and C, some as many of each; ``pilots``, ``arriving``: of type D.
    lines: parts of the plant; machines are spread over them evenly.
    wear_rate, wear_shape: see the module.
    limit: wear at which the hazard has reached half of ``worn_out``, by type; ``softness``: how gradually.
    maintained_every: shifts from one planned maintenance to the next; ``left``: part of the wear that it leaves.
    missing: share of the sensors' values that are missing.
    scale, offset: of the new calibration.
    """

    start: datetime = datetime(2015, 7, 6, tzinfo=UTC)
    weeks: int = 56
    machines: int = 120
    pilots: int = 20
    arriving: int = 40
    lines: int = 4
    wear_rate: float = 0.008
    wear_shape: float = 0.3
    limit: tuple[float, ...] = (1.0, 1.1, 0.9, 1.0)
    softness: float = 0.05
    spontaneous: float = 0.0006
    worn_out: float = 0.12
    maintained_every: int = 240
    left: float = 0.3
    missing: float = 0.03
    pilot_week: int = 30
    arrival_week: int = 34
    recalibration_week: int = 44
    recalibrated_lines: tuple[int, ...] = (1, 2, 3)
    scale: float = 1.41
    offset: float = 1.0


@dataclass(frozen=True, eq=False)
class Machines:
    """Shape (machines,): type and line as positions, the first shift, and days of age in that shift."""

    types: Ints
    lines: Ints
    first_shift: Ints
    age: Floats


@dataclass(frozen=True, eq=False)
class Shifts:
    """What happened in every shift.

    Parameters
    ----------
    load, since_maintenance: (shifts, machines); the latter in hours.
    sensors: (shifts, machines, sensors), NaN where nothing was measured.
    failed: (shifts, machines), the part of the shift after which a machine failed; NaN where it did not.
    """

    load: Floats
    since_maintenance: Floats
    sensors: Floats
    failed: Floats


@dataclass(frozen=True)
class Plant:
    """One seeded plant. Equal arguments give an equal one.

    Raises
    ------
    SimulationError: the seed is negative.
    """

    seed: int = 0
    parameters: PlantParameters = PlantParameters()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SimulationError(f"seed {self.seed} is negative", where="Plant", allowed="0 or more")

    @property
    def names(self) -> list[str]:
        """Of the machines, such as M007."""
        return [f"M{number:03d}" for number in range(len(self.machines.types))]

    @property
    def end(self) -> datetime:
        """End of the last shift."""
        return self.starts(self.parameters.weeks * SHIFTS_A_WEEK)

    @property
    def changes(self) -> tuple[datetime, datetime]:
        """When most of the new machines arrive, and when sensors are calibrated anew."""
        weeks = (self.parameters.arrival_week, self.parameters.recalibration_week)
        arrival, recalibration = (self.starts(week * SHIFTS_A_WEEK) for week in weeks)
        return arrival, recalibration

    def starts(self, shift: int) -> datetime:
        """When a shift begins; the one before ends then."""
        return self.parameters.start + shift * SHIFT

    def over_by(self, now: datetime) -> int:
        """How many shifts are over."""
        return max(0, min((now - self.parameters.start) // SHIFT, self.parameters.weeks * SHIFTS_A_WEEK))

    def works(self, shift: int) -> Bools:
        """Shape (machines,): which are there in a shift."""
        return np.asarray(self.machines.first_shift <= shift)

    def fails_within(self, shift: int) -> Bools:
        """Shape (machines,): which fail within the window after a shift."""
        window = self.shifts.failed[shift + 1 : shift + 1 + WINDOW_SHIFTS]
        return np.asarray(np.isfinite(window).any(axis=0))

    @cached_property
    def machines(self) -> Machines:
        """The machines, the new ones last."""
        made_from = self.parameters
        rng = np.random.default_rng([self.seed, _STREAM_MACHINES])
        count = made_from.machines + made_from.pilots + made_from.arriving
        new = np.arange(count) >= made_from.machines
        late = np.arange(count) >= made_from.machines + made_from.pilots
        # by chance: whose turn it is follows from a machine's number, and every shift is to show all types and lines
        types = np.where(new, NEW_TYPE, rng.permutation(count) % NEW_TYPE)
        lines = rng.permutation(count) % made_from.lines
        age = np.where(new, 0.0, rng.uniform(100, 3000, count).round())
        weeks = np.where(late, made_from.arrival_week, np.where(new, made_from.pilot_week, 0))
        return Machines(types, lines, weeks * SHIFTS_A_WEEK, age)

    @cached_property
    def shifts(self) -> Shifts:
        """Every shift of every machine, one after the other; of machines that are not there yet as if they were."""
        made_from, machines = self.parameters, self.machines
        rng = np.random.default_rng([self.seed, _STREAM_SHIFTS])
        count, shifts = len(machines.types), made_from.weeks * SHIFTS_A_WEEK
        wear, busy = rng.uniform(0, 0.8, count), rng.normal(0, 0.1, count)
        wear[machines.types == NEW_TYPE] = 0.0
        since = rng.integers(0, made_from.maintained_every, count)
        limit = np.array(made_from.limit)[machines.types]
        load, worn, hours = (np.zeros((shifts, count)) for _ in range(3))
        failed = np.full((shifts, count), np.nan)
        for shift in range(shifts):
            load[shift] = np.clip(0.7 + busy + rng.normal(0, 0.12, count), 0.2, 1.0)
            growth = rng.gamma(made_from.wear_shape, 1 / made_from.wear_shape, count)
            wear = (wear + made_from.wear_rate * load[shift] * growth) * self.works(shift)
            since += 1
            due = since >= made_from.maintained_every + rng.integers(-20, 20, count)
            wear, since = np.where(due, made_from.left * wear, wear), np.where(due, 0, since)
            worn[shift], hours[shift] = wear, 8.0 * since
            hazard = made_from.worn_out / (1 + np.exp((limit - wear) / made_from.softness))
            fails = (rng.random(count) < made_from.spontaneous + hazard) & self.works(shift)
            failed[shift] = np.where(fails, rng.random(count), np.nan)
            wear, since = np.where(fails, 0.0, wear), np.where(fails, 0, since)
        return Shifts(load, hours, self._shown(load, worn, rng), failed)

    def _shown(self, load: Floats, wear: Floats, rng: np.random.Generator) -> Floats:
        """What the sensors show, (shifts, machines, sensors)."""
        made_from, machines = self.parameters, self.machines
        shown = HEALTHY[machines.types] + load[..., None] * BY_LOAD + wear[..., None] * BY_WEAR
        shown += rng.normal(0, 1, shown.shape) * NOISE
        anew = np.isin(machines.lines, made_from.recalibrated_lines)
        later = shown[made_from.recalibration_week * SHIFTS_A_WEEK :, anew, VIBRATION]
        shown[made_from.recalibration_week * SHIFTS_A_WEEK :, anew, VIBRATION] = (
            made_from.scale * later + made_from.offset
        )
        shown[rng.random(shown.shape) < made_from.missing] = np.nan
        return np.asarray(shown.round(3))
