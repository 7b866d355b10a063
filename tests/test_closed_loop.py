"""The whole loop over the simulated world: a good model, a wave that it does not know, and a new one that does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.kreislauf.embedded.timeline import build_timeline
from include.kreislauf.embedded.worlds import SimulatedWorld
from include.kreislauf.handovers import Edge, Loop, Reason, Stage
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.requirements.variants import catalogue_variant
from include.kreislauf.settings import ROOT, Settings
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.server import WorldServer, mirrors
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import simulate
from include.kreislauf.store import live
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store
from include.kreislauf.store.observations import Verdict
from include.kreislauf.store.release_files import LoadedRelease, load_row
from include.kreislauf.store.tables import Tables
from tests.support.lap import Lap
from tests.support.living import Life

NAME = "technology_radar"
USE_CASES = ROOT / "include" / "use_cases"
START, END = datetime(2016, 1, 1, tzinfo=UTC), datetime(2019, 7, 1, tzinfo=UTC)
UPLIFT, PRODUCTIVITY = "portfolio_uplift", "development_productivity"


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Life]:
    """The practice example, with the contract that ships, lived through once for all tests."""
    home = tmp_path_factory.mktemp("closed_loop")
    shutil.copy(migrated_file, home / "kreislauf.db")
    world = simulate(0)
    use_cases = home / "use_cases"
    contract = load_contract(catalogue_variant(USE_CASES / NAME, use_cases, catalogue(world)))
    with WorldServer(SimulatedSources(world, START)) as server:
        settings = Settings(
            home=home, use_cases=use_cases, clock="given", store_url="", tables_url="", data="",
            mirrors=json.dumps(mirrors(server.url)),
        )  # fmt: skip
        lap = Lap(settings, Store(settings.store), NAME)
        lived = Life(lap, SimulatedWorld(contract, use_cases, "", START, END, seed=0, url=server.url))
        lived.live_through()
    yield lived
    lap.store.engine.dispose()


def verdicts(life: Life, metric: str, release: int) -> list[Verdict]:
    return [one for one in life.lap.verdicts() if (one.metric, one.release) == (metric, release)]


def loop(life: Life) -> Loop:
    """The one loop of the story."""
    (row,) = life.lap.loops()
    return row.loop


def releases(life: Life) -> list[LoadedRelease]:
    with life.lap.store.read() as db:
        return [load_row(life.lap.settings, row) for row in live.releases_of(db, NAME)]


def test_two_cycles_went_round_and_both_went_live(life: Life) -> None:
    first, second = life.lap.cycles()
    assert (first.started_by, first.reason, first.as_of) == ("manual/requirements", "the first model", START)
    assert (second.started_by, second.parent_cycle_id) == ("loop/monitoring→data_engineering", first.cycle_id)
    assert [first.state, second.state] == [State.LIVE, State.LIVE]
    assert (life.lap.refused, life.lap.questions) == ([], [])


def test_the_second_cycle_begins_with_data_collection_and_visits_every_discipline(life: Life) -> None:
    stages = [one.stage for one in life.lap.handovers(life.lap.cycles()[1].cycle_id)]
    assert stages == [Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION, Stage.DEPLOYMENT]


def test_the_first_release_serves_until_the_new_technologies_take_over(life: Life) -> None:
    emergence = life.world._world.parameters.emergence  # type: ignore[attr-defined]
    judged = verdicts(life, UPLIFT, 1)
    early = [one for one in judged if one.as_of <= emergence and one.verdict != "inconclusive"]
    assert len(early) >= 4
    assert {one.verdict for one in early} == {"healthy"}
    assert [one.verdict for one in judged][-1] == "breach"
    assert emergence < judged[-1].as_of <= datetime(2019, 1, 1, tzinfo=UTC)


def test_the_breach_sends_the_work_to_data_engineering_with_its_evidence(life: Life) -> None:
    raised, breach = loop(life), verdicts(life, UPLIFT, 1)[-1]
    assert (raised.edge, raised.reason) == (Edge.MONITORING_TO_DATA_ENGINEERING, Reason.NEW_ENTITIES)
    assert (raised.as_of, raised.by) == (breach.as_of, "kreislauf")
    evidence = {one.name: one.value for one in raised.evidence}
    assert evidence[UPLIFT] == breach.value
    assert evidence["novelty"] == pytest.approx(0.2)  # ten new technologies beside forty


def test_the_second_release_knows_the_technologies_that_emerged(life: Life) -> None:
    emerging = life.world._world.emerging  # type: ignore[attr-defined]
    first, second = (set(one.snapshot) for one in releases(life))
    assert not emerging & first
    assert emerging <= second


def test_novelty_falls_with_the_second_release(life: Life) -> None:
    by_release = life.novelty()
    before = [share for (release, _), share in sorted(by_release.items()) if release == 1]
    after = [share for (release, _), share in by_release.items() if release == 2]
    assert before[0] == 0.0
    assert before[-1] == pytest.approx(0.2)
    assert set(after) == {0.0}


def test_the_business_metric_recovers(life: Life) -> None:
    before, after = verdicts(life, UPLIFT, 1)[-1], verdicts(life, UPLIFT, 2)[-1]
    assert before.value is not None
    assert after.value is not None
    assert before.value < life.lap.contract.gate_metric.threshold < after.value
    told = verdicts(life, PRODUCTIVITY, 2)[-1]
    assert told.verdict == "healthy"
    assert (told.value or 0) > 100 > (verdicts(life, PRODUCTIVITY, 1)[-1].value or 0)


def test_the_ledger_says_that_the_loop_helped(life: Life) -> None:
    (row,) = life.lap.loops()
    assert (row.state, row.helped) == ("closed", True)
    assert row.value_before is not None
    assert row.after_low is not None
    assert row.value_before < row.after_low <= (row.value_after or 0) <= (row.after_high or 0)


def test_live_predictions_err_less_than_no_change(life: Life) -> None:
    timeline = build_timeline(life.lap.store, life.lap.contract, END, life.lap.now())
    assert timeline.mae is not None
    assert timeline.mae_persistence is not None
    assert timeline.mae < timeline.mae_persistence
    assert timeline.predictions_with_outcome > 400


def test_no_version_holds_what_was_not_known_at_its_time(life: Life) -> None:
    tables = Tables(life.lap.settings.tables, NAME)
    for release in releases(life):
        as_of = datetime.fromisoformat(release.manifest["as_of"]).replace(tzinfo=None)
        raw = tables.read(release.manifest["inputs"]["collection"])
        features = tables.read(release.manifest["inputs"]["preparation"])
        assert raw["quarter_start"].max() < as_of
        assert features["period"].max() < as_of
        assert datetime.fromisoformat(release.manifest["trained_until"]) < as_of


def test_every_handover_of_a_cycle_is_on_one_thread(life: Life) -> None:
    contract = life.lap.contract.hash
    for cycle in life.lap.cycles():
        handed = life.lap.handovers(cycle.cycle_id)
        assert {(one.key, one.attempt, one.contract_hash, one.as_of) for one in handed} == {
            (cycle.key, 1, contract, cycle.as_of)
        }
