"""The plant's database grows as time goes on, and knows nothing of what comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, func, select

from include.kreislauf.simulation.plant import SHIFT, SHIFTS_A_WEEK, Plant, PlantParameters
from include.kreislauf.simulation.plant_database import FAILURES, MACHINES, SHIFTS, grow

PLANT = Plant(0, PlantParameters(weeks=8, pilot_week=3, arrival_week=5, recalibration_week=6))
WEEKS = [PLANT.starts(week * SHIFTS_A_WEEK) for week in range(9)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'plant.db'}")
    yield made
    made.dispose()


def everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as connection:
        return {
            one.name: sorted(map(tuple, connection.execute(select(one))), key=repr)
            for one in (MACHINES, SHIFTS, FAILURES)
        }


def test_nothing_is_known_before_it_is_over(engine: Engine) -> None:
    grow(PLANT, engine, WEEKS[4] + timedelta(hours=7))
    with engine.connect() as connection:
        assert connection.scalar(select(func.max(SHIFTS.c.shift_number))) == 4 * SHIFTS_A_WEEK - 1
        failed = connection.scalar(select(func.max(FAILURES.c.failed_at)))
        assert failed is not None
        assert failed < WEEKS[4].replace(tzinfo=None)
        assert connection.scalar(select(func.count()).select_from(MACHINES)) == 140


def test_growing_step_by_step_comes_to_the_same_as_at_once(engine: Engine, tmp_path: Path) -> None:
    for now in (WEEKS[1], WEEKS[1], WEEKS[2] + SHIFT, WEEKS[6]):
        grow(PLANT, engine, now)
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    grow(PLANT, other, WEEKS[6])
    assert everything(engine) == everything(other)
    other.dispose()


def test_time_that_goes_back_takes_nothing_away(engine: Engine) -> None:
    grow(PLANT, engine, WEEKS[3])
    before = everything(engine)
    grow(PLANT, engine, WEEKS[1])
    assert everything(engine) == before


def test_the_end_of_the_plant_is_the_end(engine: Engine) -> None:
    grow(PLANT, engine, PLANT.end + timedelta(days=100))
    with engine.connect() as connection:
        assert connection.scalar(select(func.max(SHIFTS.c.shift_number))) == 8 * SHIFTS_A_WEEK - 1
