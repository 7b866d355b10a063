"""The contract that ships, over a real database: the same rows from SQLite and from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import create_engine

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.sources.sql import read_sql
from include.kreislauf.evaluation.business import costs_of
from include.kreislauf.requirements.business import DecisionValue
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.sources import SqlSource
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.simulation.plant import SHIFT, SHIFTS_A_WEEK, WINDOW_SHIFTS, Plant, PlantParameters
from include.kreislauf.simulation.plant_database import grow
from tests.support.postgres import PostgresServer

PLANT = Plant(0, PlantParameters(weeks=6, pilot_week=2, arrival_week=3, recalibration_week=4))
NOW = PLANT.starts(4 * SHIFTS_A_WEEK)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract(contract_path(ROOT / "include" / "use_cases", "machine_failure"))


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'plant.db'}"
    write(url, PLANT.end)
    return url


@pytest.fixture
def on_postgres(postgres: PostgresServer) -> Iterator[str]:
    with postgres.database(migrated=False) as url:
        write(url, PLANT.end)
        yield url


def write(url: str, now: datetime) -> None:
    engine = create_engine(url)
    grow(PLANT, engine, now)
    engine.dispose()


def rows(contract: Contract, url: str, as_of: datetime) -> pd.DataFrame:
    (source,) = contract.sources
    assert isinstance(source, SqlSource)
    access = Access.from_settings(Settings(), {"plant": url}.get)
    return read_sql(source, contract.problem, access, as_of)


def test_only_what_was_known_is_read(contract: Contract, database: str) -> None:
    found = rows(contract, database, NOW)
    now = pd.Timestamp(NOW).tz_localize(None)
    ends = found["shift_start"] + SHIFT
    assert ends.max() == now
    unknown = found["within_two_days"].isna()
    assert (unknown == (ends + WINDOW_SHIFTS * SHIFT > now)).all()
    assert unknown.any()


def test_the_target_is_what_happened_within_two_days(contract: Contract, database: str) -> None:
    found = rows(contract, database, NOW).dropna(subset="within_two_days")
    shifts = (found["shift_start"] - pd.Timestamp(PLANT.parameters.start).tz_localize(None)) // SHIFT
    machines = found["machine"].str[1:].astype(int)
    expected = [
        "failed" if PLANT.fails_within(shift)[machine] else "ok"
        for shift, machine in zip(shifts, machines, strict=True)
    ]
    assert found["within_two_days"].tolist() == expected
    assert 0 < expected.count("failed") < len(expected) / 10


def test_no_failure_counts_twice_for_a_machine(contract: Contract, database: str) -> None:
    found = rows(contract, database, NOW).sort_values(["machine", "shift_start"])
    apart = found.groupby("machine")["shift_start"].diff().dropna()
    assert set(apart) == {WINDOW_SHIFTS * SHIFT}


@pytest.mark.postgres
def test_postgresql_gives_the_same_rows(contract: Contract, database: str, on_postgres: str) -> None:
    assert_frame_equal(rows(contract, database, NOW), rows(contract, on_postgres, NOW))


def test_a_machine_is_inspected_from_a_probability_on(contract: Contract) -> None:
    metric = contract.gate_metric
    assert isinstance(metric, DecisionValue)
    costs = costs_of(metric, contract.problem)
    actions = [costs.names[place] for place in costs.chosen([0.0, 0.09, 0.1, 0.5, 1.0])]
    assert actions == ["run", "run", "inspect", "inspect", "inspect"]
    assert costs.values([0.5, 0.5, 0.0, 0.0], [1, 0, 1, 0]).tolist() == [350.0, -37.5, 0.0, 0.0]


def test_doing_nothing_is_worth_nothing(contract: Contract) -> None:
    """What the thresholds refer to: a model that inspects nobody reaches 0, and must not pass the gate."""
    metric = contract.gate_metric
    assert isinstance(metric, DecisionValue)
    assert metric.threshold == 0.0 < metric.gate_threshold
