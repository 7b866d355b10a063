"""The whole loop of ``machine_failure``: a good model, machines of a new type, a loop, and a model that knows them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from include.kreislauf.collection.step import collect
from include.kreislauf.embedded.making import Place, WorldOptions, make_world, write_use_case
from include.kreislauf.embedded.plant_world import PlantWorld
from include.kreislauf.embedded.timeline import as_text, build_timeline
from include.kreislauf.handovers import Edge, Reason, Stage
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.observations import Verdict
from tests.support.lap import STEPS, Lap
from tests.support.living import Life

NAME, METRIC = "machine_failure", "downtime_cost_avoided"
OPTIONS = WorldOptions(NAME, end="2016-04-18")
LIGHTER = {
    r"    - family: logistic\n": "",
    r"configurations: 2": "configurations: 1",
}
"""Fewer candidates than ships: the story is the same, and takes a third of the time."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Life]:
    """The contract that ships, over the plant of seed 0, lived through once for all tests."""
    home = tmp_path_factory.mktemp("machine_loop")
    shutil.copy(migrated_file, home / "kreislauf.db")
    use_cases = home / "use_cases"
    write_use_case(OPTIONS, ROOT / "include" / "use_cases", use_cases)
    path = use_cases / NAME / "contract.yaml"
    text = path.read_text()
    for there, instead in LIGHTER.items():
        text, count = re.subn(there, instead, text)
        assert count == 1
    path.write_text(text)
    world = make_world(OPTIONS, load_contract(path), Place(use_cases, "", home / "world"))
    settings = Settings(
        home=home, use_cases=use_cases, clock="given", store_url="", tables_url="", data="", tracking_url="none",
    )  # fmt: skip
    steps = {**STEPS, Stage.COLLECTION: partial(collect, connections=world.connections().get)}
    lap = Lap(settings, Store(settings.store), NAME, steps)
    lived = Life(lap, world)
    lived.live_through()
    yield lived
    lap.store.engine.dispose()


def plant(life: Life) -> PlantWorld:
    assert isinstance(life.world, PlantWorld)
    return life.world


def verdicts(life: Life, release: int) -> list[Verdict]:
    return [one for one in life.lap.verdicts() if (one.metric, one.release) == (METRIC, release)]


def test_the_first_release_is_worth_its_cost_until_the_new_machines_arrive(life: Life) -> None:
    arrival = plant(life).changes()[0]
    early = [one for one in verdicts(life, 1) if one.as_of <= arrival]
    assert len(early) >= 7
    assert "breach" not in {one.verdict for one in early}
    assert (early[-1].value or 0) > life.lap.contract.gate_metric.gate_threshold


def test_the_fall_sends_the_work_back_to_data_engineering(life: Life) -> None:
    first = life.lap.loops()[0]
    assert first.loop.edge is Edge.MONITORING_TO_DATA_ENGINEERING
    assert first.loop.reason is Reason.NEW_CATEGORIES
    assert first.loop.as_of > plant(life).changes()[0]
    evidence = {one.name: one.value for one in first.loop.evidence}
    assert (evidence["novelty"] or 0) > 0.2  # sixty of 180 machines


def test_the_second_cycle_visits_every_discipline_and_goes_live(life: Life) -> None:
    first, second = life.lap.cycles()[:2]
    assert (first.state, second.state) == (State.LIVE, State.LIVE)
    assert second.started_by == "loop/monitoring→data_engineering"
    stages = [one.stage for one in life.lap.handovers(second.cycle_id)]
    assert stages == [Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION, Stage.DEPLOYMENT]


def test_the_second_release_knows_the_new_type(life: Life) -> None:
    shares = life.novelty()
    last = max(period for _, period in shares)
    assert max(share for (release, _), share in shares.items() if release == 1) > 0.2
    assert shares[2, last] == 0.0
    assert life.lap.served().predictor.categorical["machine_type"] == {"A", "B", "C", "D"}


def test_the_ledger_says_that_the_loop_helped(life: Life) -> None:
    first = life.lap.loops()[0]
    assert (first.state, first.helped) == ("closed", True)
    assert first.value_before is not None
    assert first.value_after is not None
    assert first.value_before < first.value_after


def test_the_release_answers_probabilities_that_lead_to_actions(life: Life) -> None:
    problem = life.lap.served().problem
    assert (problem.kind, problem.classes, problem.requests) == ("binary", ("ok", "failed"), "features")
    assert problem.decision is not None
    assert problem.decision.names == ("run", "inspect")
    told = [one.value for one in life.answers]
    assert all(value is not None and 0 <= value <= 1 for value in told)


def test_live_probabilities_are_better_than_the_base_rate(life: Life) -> None:
    until = life.world.times()[-1]
    timeline = build_timeline(life.lap.store, life.lap.contract, until, life.lap.now())
    assert (timeline.metric, timeline.unit) == (METRIC, "euro per machine-hour")
    assert timeline.mae is None
    assert timeline.error is not None
    assert timeline.error.value < timeline.error.without
    assert "Brier score" in as_text(timeline)
    assert sum(one.observations for one in timeline.periods) == timeline.error.predictions


def test_a_silent_sensor_is_answered(life: Life) -> None:
    """Null in a request is what it is in training."""
    requests = [row for one in life.world.requests(life.world.start) for row in one.rows]
    silent = [row for row in requests if row.features and row.features["vibration"] is None]
    assert silent
    assert all(0 <= value <= 1 for value in life.lap.served().predict([row.features or {} for row in silent]))
