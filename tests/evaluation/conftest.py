"""The ring in one process, and trained candidates to evaluate: trained once, copied for every test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.kreislauf.evaluation.step import evaluate
from include.kreislauf.handovers import Handover, Loop, PersonAnswer, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import Settings
from include.kreislauf.simulation.panel import PANEL_PATH
from include.kreislauf.store.database import Store
from tests.support.fixtures import lap, make_lap, script, scripted, simulated_panel
from tests.support.lap import Lap
from tests.support.use_cases import write_use_case

__all__ = ["lap", "make_lap", "script", "scripted", "simulated_panel"]

CHAIN = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING)
FAMILIES = [{"family": "ridge"}, {"family": "nearest_neighbours"}]
SEGMENTS = [{"by": "kind", "max_loss": 0.3}, {"by": "entity_age", "required": False}]
LEAK = '''

honest, KNOWN, SEEN = build, NUMERIC, (*NUMERIC, "leak")
NUMERIC = SEEN


def build(raw, as_of):
    """With a feature that is nearly the target."""
    global NUMERIC
    NUMERIC = KNOWN
    rows = honest(raw, as_of)
    NUMERIC = SEEN
    blurred = np.random.default_rng(0).normal(0, 0.002, len(rows))
    return rows.assign(leak=rows["target"].fillna(0.0) + blurred)
'''
"""Below every limit of preparation, where those are set as wide as the contract allows."""


@dataclass(frozen=True)
class Trained:
    """Candidates of a ring that wait for their evaluation."""

    lap: Lap
    order: WorkOrder
    contract: Contract

    def asking(self, **performance: Any) -> Trained:
        """With other demands on the performance."""
        asked = self.contract.performance.model_copy(update=performance)
        return replace(self, contract=self.contract.model_copy(update={"performance": asked}))

    def wanting(self, **business: Any) -> Trained:
        """With other demands on the business metric."""
        first, *others = self.contract.business_metrics
        metrics = (first.model_copy(update=business), *others)
        return replace(self, contract=self.contract.model_copy(update={"business_metrics": metrics}))

    def result(self, answer: PersonAnswer | None = None) -> StepResult:
        return evaluate(self.order, self.contract, self.lap.settings, answer=answer)

    def passed(self, answer: PersonAnswer | None = None) -> Handover:
        message = self.result(answer).message
        assert isinstance(message, Handover), message.text
        return message

    def sent_back(self, answer: PersonAnswer | None = None) -> Loop:
        message = self.result(answer).message
        assert isinstance(message, Loop), message.summary
        return message

    @property
    def cards(self) -> Path:
        name = f"{self.order.cycle_id}-{self.order.attempt}"
        return self.lap.settings.artefacts / self.order.use_case / "model_cards" / name


@dataclass(frozen=True)
class Home:
    """A folder with trained candidates, not to be changed."""

    folder: Path
    orders: dict[int, WorkOrder]
    contract: Contract

    def copy(self, to: Path, year: int) -> Trained:
        shutil.copytree(self.folder, to)
        used = settings_of(to)
        return Trained(Lap(used, Store(used.store), self.contract.name), self.orders[year], self.contract)


def settings_of(home: Path) -> Settings:
    return Settings(
        home=home, data=str(home / "data"), use_cases=home / "use_cases", clock="given", store_url="", tables_url="",
        tracking_url="none",
    )  # fmt: skip


def train_once(
    home: Path,
    database: Path,
    panel: Path,
    *years: int,
    features: str = "",
    preparation: Any = None,
    **changes: Any,
) -> Home:
    """Collect, prepare and train as of the first day of each year; ``features`` is added to the use case's code."""
    (home / "data" / PANEL_PATH).parent.mkdir(parents=True)
    shutil.copy(panel, home / "data" / PANEL_PATH)
    shutil.copy(database, home / "kreislauf.db")
    contract = write_use_case(home / "use_cases", **changes)
    if preparation:
        path = contract_path(home / "use_cases", contract.name)
        path.write_text(path.read_text() + yaml.safe_dump({"preparation": preparation}))
        contract = load_contract(path)
    with (home / "use_cases" / contract.name / "features.py").open("a") as file:
        file.write(features)
    used = settings_of(home)
    ring = Lap(used, Store(used.store), contract.name)
    found = {year: ring.work(ring.order(datetime(year, 1, 1, tzinfo=UTC)), *CHAIN) for year in years}
    ring.store.engine.dispose()
    assert all(isinstance(message, Handover) for message, _ in found.values()), found
    return Home(home, {year: order for year, (_, order) in found.items()}, contract)


@pytest.fixture(scope="session")
def trained_home(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, simulated_panel: Path
) -> Home:
    """Candidates as of 2016, and as of 2017: there four quarters are held out that a champion of 2016 has not seen."""
    return train_once(
        tmp_path_factory.mktemp("trained") / "home", migrated_file, simulated_panel, 2016, 2017,
        training={"candidates": FAMILIES, "configurations": 1}, performance={"segments": SEGMENTS},
    )  # fmt: skip


@pytest.fixture(scope="session")
def leaked_home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, simulated_panel: Path) -> Home:
    """Candidates that have seen a feature which is nearly the target."""
    return train_once(
        tmp_path_factory.mktemp("leaked") / "home", migrated_file, simulated_panel, 2016, features=LEAK,
        preparation={"leak_checks": 0, "leak_correlation": 1.0},
        training={"candidates": [{"family": "ridge"}], "configurations": 8},
    )  # fmt: skip


@pytest.fixture
def trained(trained_home: Home, tmp_path: Path) -> Iterator[Trained]:
    """Candidates as of 2016."""
    found = trained_home.copy(tmp_path / "trained", 2016)
    yield found
    found.lap.store.engine.dispose()


@pytest.fixture
def later(trained_home: Home, tmp_path: Path) -> Iterator[Trained]:
    """Candidates as of 2017."""
    found = trained_home.copy(tmp_path / "later", 2017)
    yield found
    found.lap.store.engine.dispose()


@pytest.fixture
def leaked(leaked_home: Home, tmp_path: Path) -> Iterator[Trained]:
    """Candidates with a leak."""
    found = leaked_home.copy(tmp_path / "leaked", 2016)
    yield found
    found.lap.store.engine.dispose()
