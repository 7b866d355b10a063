"""Sources that fail as real ones do, in the middle of a collection: no part of a version is ever made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.kreislauf.collection.counts import CountTable
from include.kreislauf.collection.step import Collection
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import Handover, Loop, Reason, StepResult
from include.kreislauf.requirements.contract import Quality
from tests.support.radar_world import RadarWorld, radar_world
from tests.support.source_server import Fault

HOURS, QUESTIONS, THREADS = (
    r"/gharchive/2015-09",
    r"/stackexchange/.*2015|tagged",
    r"/hackernews/api/v1/items",
)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RadarWorld]:
    """Half a year of the world; little patience only where a server hangs: other answers may be slow on a busy machine."""
    with radar_world(tmp_path, deadline=3 if "hanging" in request.node.name else 20) as served:
        yield served


def finish(world: RadarWorld, *faults: Fault, **fields: object) -> StepResult:
    """One collection while things go wrong."""
    world.server.faults[:] = faults
    return Collection(world.order(), world.contract, world.settings, **fields).finish()  # type: ignore[arg-type]


def versions(world: RadarWorld) -> int:
    snapshot = world.collection().tables.snapshot("raw")
    return 0 if snapshot is None else snapshot.number + 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(HOURS, "status", status=429, retry_after="1"),
        Fault(HOURS, "status", times=2, status=503),
        Fault(HOURS, "drop", times=2),
        Fault(HOURS, "truncate"),
        Fault(QUESTIONS, "status", times=2, status=500),
        Fault(THREADS, "truncate"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.pattern}",
)
def test_a_server_that_recovers_in_time_costs_nothing_but_time(world: RadarWorld, fault: Fault) -> None:
    result = finish(world, fault)
    assert isinstance(result.message, Handover), result.document
    assert fault.times == 0, "the fault did not happen"
    assert "units: 6 expected, 6 there" in result.document


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(HOURS, "status", times=99, status=500), "500"),
        (Fault(HOURS, "status", times=99, status=429, retry_after="60"), "429"),
        (Fault(QUESTIONS, "hang", times=99), "time"),
        (Fault(THREADS, "drop", times=99), ""),
    ],
    ids=["broken", "busy", "hanging", "dropping"],
)
def test_a_server_that_does_not_recover_makes_no_version(world: RadarWorld, fault: Fault, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        finish(world, fault, last_try=False)
    assert caught.value.transient
    assert said in caught.value.text
    assert versions(world) == 0
    fault.times = 99
    result = finish(world, fault)  # Airflow does not try again
    assert isinstance(result.message, Loop)
    assert result.message.reason is Reason.SOURCE_FAILED
    assert result.message.text == caught.value.text or said in result.message.text
    assert versions(world) == 0
    fault.times = 0
    assert isinstance(finish(world).message, Handover)
    assert versions(world) == 1


def test_a_damaged_archive_is_missing_and_says_why(world: RadarWorld) -> None:
    result = finish(world, Fault(HOURS, "corrupt", times=99))
    assert isinstance(result.message, Handover)
    assert "units: 6 expected, 5 there, 1 rejected" in result.document
    assert (
        "- rejected, damaged, and looked for again: 2015-09-15-15: https://data.gharchive.org/2015-09-15-15.json.gz: is damaged"
        in result.document
    )
    table = CountTable(world.collection().tables, "github")
    rows = table.rows(table.version() or "", world.order().as_of, ["account"])
    (why,) = rows.loc[rows["measure"] == "missing", "subject"]
    assert why.startswith("rejected: ")
    assert "2015-09-15-15.json.gz" in why
    assert "2015-09" not in set(rows.loc[rows["measure"] == "kept", "period"])


def test_all_archives_damaged_goes_to_requirements_with_the_reason(world: RadarWorld) -> None:
    result = finish(world, Fault("/gharchive/", "corrupt", times=99))
    assert isinstance(result.message, Loop)
    assert "json.gz" in result.message.text
    assert versions(world) == 0


@pytest.mark.parametrize("on_failure", ["loop", "retry"])
def test_a_broken_rule_goes_back_at_once_or_after_the_retries_as_the_contract_says(
    world: RadarWorld, on_failure: str
) -> None:
    quality = Quality(min_rows=99_999, on_failure=on_failure)  # type: ignore[arg-type]
    contract = world.contract.model_copy(update={"quality": quality})
    early = Collection(world.order(), contract, world.settings, last_try=False)
    if on_failure == "retry":
        with pytest.raises(SourceError, match="at least 99999 rows"):
            early.finish()
    else:
        assert isinstance(early.finish().message, Loop)
    last = Collection(world.order(), contract, world.settings).finish().message
    assert isinstance(last, Loop)
    assert last.reason is Reason.COVERAGE_TOO_LOW
    assert versions(world) == 0


def test_a_mended_archive_is_read_by_the_same_collection_run_again(world: RadarWorld) -> None:
    finish(world, Fault(HOURS, "corrupt", times=99))
    world.server.faults.clear()
    order = world.order(attempt=2)  # as after a person's approval
    result = Collection(order, world.contract, world.settings).finish()
    assert isinstance(result.message, Handover)
    assert "units: 6 expected, 6 there" in result.document


def test_a_wrong_folder_says_that_nothing_was_found_there(world: RadarWorld) -> None:
    github = next(one for one in world.contract.sources if one.kind == "github_events")
    elsewhere = github.model_copy(update={"url": str(world.settings.home / "nowhere")})
    sources = tuple(elsewhere if one is github else one for one in world.contract.sources)
    contract = world.contract.model_copy(update={"sources": sources})
    result = Collection(world.order(), contract, world.settings).finish()
    assert isinstance(result.message, Loop)
    assert "github: 2 of the last 2 quarters are missing" in result.message.text
    assert "no such file" in result.message.text
    assert "correct the source's url" in result.message.text


def test_a_column_in_which_nothing_stands_is_no_column(world: RadarWorld) -> None:
    nameless = tuple(one.model_copy(update={"tags": ()}) for one in world.contract.technologies)
    contract = world.contract.model_copy(update={"technologies": nameless})
    result = Collection(world.order(), contract, world.settings).finish()
    assert isinstance(result.message, Loop)
    assert "column so_share_first is empty in every row" in result.message.text
    assert "give technologies names for it in technologies.yaml (tag)" in result.message.text


def test_what_nobody_observed_at_the_time_cannot_be_known(world: RadarWorld) -> None:
    late = world.order().as_of.replace(year=2026)
    result = Collection(world.order(), world.contract, world.settings, now=late).finish()
    assert isinstance(result.message, Loop)
    assert "stackoverflow: 2 of the last 2 quarters are missing" in result.message.text
    assert (
        "were observed only on 2026-01-01 or later, after 2016-01-01: nobody can know" in result.message.text
    )


@pytest.mark.parametrize("collected_before", [False, True])
def test_a_time_before_the_sources_begin_is_told(world: RadarWorld, collected_before: bool) -> None:
    if collected_before:
        finish(world)
    early = world.order(world.order().as_of.replace(year=2010))
    result = Collection(early, world.contract, world.settings).finish()
    assert isinstance(result.message, Loop)
    assert "there is nothing to read before 2010-01-01" in result.message.text
