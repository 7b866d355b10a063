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
def world(tmp_path: Path) -> Iterator[RadarWorld]:
    """Half a year of the world, and little patience."""
    with radar_world(tmp_path, deadline=3) as served:
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
    assert "units: 6 expected, 5 there, 1 absent" in result.document
    assert "absent, taken as missing and not as zero: 2015-09-15-15" in result.document
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
