"""The simulated plant: what its parameters promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.simulation import SimulationError
from include.kreislauf.simulation.plant import (
    HEALTHY,
    NEW_TYPE,
    SHIFTS_A_WEEK,
    VIBRATION,
    WINDOW_SHIFTS,
    Plant,
    PlantParameters,
)

SHORT = PlantParameters(weeks=12, pilot_week=6, arrival_week=8, recalibration_week=10)
SEEDS = st.integers(0, 1000)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant(0)


def vibration(plant: Plant, weeks: range, *, lines: tuple[int, ...], new: bool = False) -> float:
    """Mean of what the sensors show."""
    machines = plant.machines
    own = np.isin(machines.lines, lines) & ((machines.types == NEW_TYPE) == new)
    shifts = slice(weeks.start * SHIFTS_A_WEEK, weeks.stop * SHIFTS_A_WEEK)
    return float(np.nanmean(plant.shifts.sensors[shifts, own, VIBRATION]))


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_equal_seeds_give_equal_plants_and_others_others(seed: int) -> None:
    one, same, other = Plant(seed, SHORT), Plant(seed, SHORT), Plant(seed + 1, SHORT)
    assert np.array_equal(one.shifts.sensors, same.shifts.sensors, equal_nan=True)
    assert not np.array_equal(one.shifts.sensors, other.shifts.sensors, equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_failures_are_rare(seed: int) -> None:
    plant = Plant(seed)
    shifts = range(0, 26 * SHIFTS_A_WEEK, WINDOW_SHIFTS)
    share = np.mean([plant.fails_within(shift)[plant.works(shift)].mean() for shift in shifts])
    assert 0.02 < share < 0.04


def test_the_window_looks_forward_and_not_at_the_shift_itself(plant: Plant) -> None:
    shift, machine = (int(one) for one in np.argwhere(np.isfinite(plant.shifts.failed[20:]))[0])
    shift += 20
    assert plant.fails_within(shift - 1)[machine]
    assert plant.fails_within(shift - WINDOW_SHIFTS)[machine]
    alone = ~np.isfinite(plant.shifts.failed[shift + 1 : shift + 1 + WINDOW_SHIFTS, machine]).any()
    assert plant.fails_within(shift)[machine] == (not alone)


def test_worn_machines_vibrate_and_fail(plant: Plant) -> None:
    machines = np.flatnonzero(plant.machines.types == 0)
    shown = plant.shifts.sensors[: 26 * SHIFTS_A_WEEK, machines, VIBRATION]
    fails = np.array([plant.fails_within(shift)[machines] for shift in range(26 * SHIFTS_A_WEEK)])
    assert np.nanmean(shown[fails]) > np.nanmean(shown[~fails]) + 0.8


def test_a_healthy_new_machine_vibrates_as_a_worn_old_one(plant: Plant) -> None:
    weeks, lines = range(plant.parameters.pilot_week, plant.parameters.pilot_week + 2), (0, 1, 2, 3)
    assert vibration(plant, weeks, lines=lines, new=True) > vibration(plant, weeks, lines=lines) + 0.3
    assert HEALTHY[NEW_TYPE, VIBRATION] > HEALTHY[:NEW_TYPE, VIBRATION].max() + 1


def test_new_machines_arrive_in_two_waves(plant: Plant) -> None:
    made_from = plant.parameters
    there = [int(plant.works(week * SHIFTS_A_WEEK).sum()) for week in (0, made_from.pilot_week, made_from.arrival_week)]  # fmt: skip
    assert there == [120, 140, 180]
    before = plant.works(made_from.arrival_week * SHIFTS_A_WEEK - 1)
    assert not before[plant.machines.first_shift > made_from.pilot_week * SHIFTS_A_WEEK].any()


def test_calibration_changes_some_lines_only(plant: Plant) -> None:
    week, others = plant.parameters.recalibration_week, (0,)
    before, after = range(week - 6, week), range(week, week + 6)
    anew = plant.parameters.recalibrated_lines
    assert (
        vibration(plant, after, lines=anew) > 1.2 * vibration(plant, before, lines=anew) + plant.parameters.offset
    )  # fmt: skip
    assert vibration(plant, after, lines=others) == pytest.approx(
        vibration(plant, before, lines=others), abs=0.2
    )


def test_some_values_are_missing_in_every_sensor(plant: Plant) -> None:
    shares = np.isnan(plant.shifts.sensors).mean(axis=(0, 1))
    assert shares == pytest.approx(plant.parameters.missing, abs=0.005)


def test_every_line_has_every_type(plant: Plant) -> None:
    machines = plant.machines
    assert len({(kind, line) for kind, line in zip(machines.types, machines.lines, strict=True)}) == 4 * 4


def test_whose_turn_it_is_says_nothing_of_type_and_line(plant: Plant) -> None:
    turns = np.arange(len(plant.machines.types)) % WINDOW_SHIFTS
    for turn in range(WINDOW_SHIFTS):
        assert len(set(plant.machines.lines[turns == turn])) == 4
        assert len(set(plant.machines.types[turns == turn])) == 4


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SimulationError, match="seed -1 is negative"):
        Plant(-1)
