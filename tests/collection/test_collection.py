"""A whole collection with the real connectors, from sources that speak the real formats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.collection.step import Collection, collect_alone
from include.kreislauf.handovers import Handover, Loop, Reason, Stage, StepResult
from include.kreislauf.requirements.contract import Emerging
from include.kreislauf.simulation.panel import observed_panel
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from tests.support.radar_world import AS_OF, RadarWorld, radar_world

LATER = datetime(2018, 10, 1, tzinfo=UTC)
LOOP = "loop/monitoring→data_engineering"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadarWorld]:
    """Served from 2014 on."""
    with radar_world(tmp_path_factory.mktemp("world"), since="2014-01-01") as served:
        yield served


@pytest.fixture(scope="module")
def first(world: RadarWorld) -> tuple[Collection, StepResult]:
    """The first collection, recorded as the ring does."""
    collection = world.collection()
    result = collection.finish()
    assert isinstance(result.message, Handover), result.document
    with Store(world.settings.store).write() as db:
        messages.save_handover(db, result.message, result.document, AS_OF)
    return collection, result


@pytest.fixture(scope="module")
def widened(world: RadarWorld, first: object) -> tuple[Collection, StepResult]:
    """What a loop from monitoring brings back, after new technologies have taken over.

    Collections in between have counted all questions of the quarters in which the new ones appeared.
    """
    for quarter in (datetime(2017, 10, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)):
        world.collection(quarter).finish()
    collection = world.collection(LATER, started_by=LOOP)
    result = collection.finish()
    assert isinstance(result.message, Handover), result.document
    return collection, result


def panel_of(made: tuple[Collection, StepResult]) -> pd.DataFrame:
    collection, result = made
    assert isinstance(result.message, Handover)
    return collection.tables.read(result.message.output)


def test_the_panel_is_the_one_that_the_sources_show(
    world: RadarWorld, first: tuple[Collection, StepResult]
) -> None:
    collected = panel_of(first)
    shown = observed_panel(world.world, AS_OF)
    shown = shown[(shown["quarter_start"] >= "2014-01-01") & (shown["quarter_start"] < "2016-01-01")]
    shown = shown[shown["tech"].isin({one.name for one in world.contract.technologies})]
    keys = ["tech", "quarter_start"]
    pd.testing.assert_frame_equal(
        collected.sort_values(keys, ignore_index=True),
        shown[list(collected.columns)].sort_values(keys, ignore_index=True), check_dtype=False,
    )  # fmt: skip


def test_the_version_names_the_versions_of_all_tables(first: tuple[Collection, StepResult]) -> None:
    collection, result = first
    assert isinstance(result.message, Handover)
    assert set(result.message.inputs) == {"github", "stackoverflow", "jobs"}
    history = collection.tables.snapshot("raw").table.history()  # type: ignore[union-attr]
    assert f'"github": "{result.message.inputs["github"]}"' in history[0]["kreislauf.inputs"]
    assert collection.tables.read(result.message.inputs["jobs"])["unit"].nunique() == 24


def test_the_data_sheet_accounts_for_every_line(first: tuple[Collection, StepResult]) -> None:
    _, result = first
    for part in ("- units: 24 expected, 23 there, 1 outage", "outage, taken as missing and not as zero: 2014-11-15-15",
                 "(ignored: action", "bot", "deleted", "reply", "vintage `first`", "![Volume and coverage by quarter](data_sheet.png)"):  # fmt: skip
        assert part in result.document


def test_the_data_sheet_and_its_picture_lie_beside_the_artefacts(
    world: RadarWorld, first: tuple[Collection, StepResult]
) -> None:
    _, result = first
    folder = world.settings.artefacts / "technology_radar" / "data_sheets" / "c-2016-01-01-1"
    assert (folder / "data_sheet.md").read_text() == result.document
    assert (folder / "data_sheet.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_asked_twice(world: RadarWorld, first: tuple[Collection, StepResult]) -> None:
    again = world.collection()
    assert {name: again.gathering.left(name) for name in ("github", "stackoverflow", "jobs")} == {
        "github": [], "stackoverflow": [], "jobs": []
    }  # fmt: skip


def test_a_loop_takes_in_what_has_emerged(world: RadarWorld, widened: tuple[Collection, StepResult]) -> None:
    _, result = widened
    assert isinstance(result.message, Handover)
    adopted = {one["name"] for one in result.message.summary["adopted"]}  # type: ignore[index,union-attr]
    assert adopted == world.world.emerging
    assert set(panel_of(widened)["tech"]) >= world.world.emerging
    assert "Taken in by this collection:" in result.document


def test_shares_divide_counts_of_the_same_age(
    world: RadarWorld, widened: tuple[Collection, StepResult]
) -> None:
    # The totals of 2017 were first counted in 2016..2018; the tags of what emerged only now, when they had settled.
    shown = observed_panel(world.world).set_index(["tech", "quarter_start"])["so_share_first"]
    collected = panel_of(widened).set_index(["tech", "quarter_start"])["so_share_first"]
    both = pd.concat([collected, shown], axis=1, keys=["collected", "shown"]).dropna()
    both = both[both.index.get_level_values("tech").isin(world.world.emerging) & (both["shown"] > 0)]
    assert len(both) > 30
    assert np.log(both["collected"] / both["shown"]).abs().max() < 0.08


def test_without_a_loop_it_is_only_proposed(world: RadarWorld, first: object) -> None:
    order = world.order(LATER, cycle_id="c-by-hand")
    result = Collection(order, world.contract, world.settings).finish()
    assert isinstance(result.message, Handover)
    assert set(result.message.summary["proposals"]) >= world.world.emerging  # type: ignore[arg-type]
    assert result.message.summary["adopted"] == []
    assert "Proposals, not taken in:" in result.document


def test_a_contract_may_forbid_to_take_anything_in(world: RadarWorld, first: object) -> None:
    contract = world.contract.model_copy(update={"emerging": Emerging(min_count=8, adopt=0)})
    order = world.order(LATER, cycle_id="c-forbidden", started_by=LOOP)
    result = Collection(order, contract, world.settings).finish()
    assert isinstance(result.message, Handover)
    assert result.message.summary["adopted"] == []


def test_a_source_that_is_away_goes_to_requirements_with_its_reason(world: RadarWorld, first: object) -> None:
    order = world.order(datetime(2016, 7, 1, tzinfo=UTC), cycle_id="c-away")
    settings = world.settings.model_copy(update={"mirrors": "", "allowed_hosts": "nowhere.invalid"})
    result = Collection(order, world.contract, settings).finish()
    assert isinstance(result.message, Loop)
    assert result.message.reason is Reason.SOURCE_FAILED
    assert "is not a permitted server" in result.message.text
    assert result.message.evidence[0].note == result.message.text


def test_alone_at_a_shell_it_makes_a_version_but_no_handover(world: RadarWorld, first: object) -> None:
    world.server.sources.now = AS_OF
    result = collect_alone(world.contract, world.settings, as_of=AS_OF, now=AS_OF)
    assert isinstance(result.message, Handover)
    with Store(world.settings.store).read() as db:
        last = messages.latest_handover(db, "technology_radar", Stage.COLLECTION)
    assert last is not None
    assert last.cycle_id == "c-2016-01-01"
