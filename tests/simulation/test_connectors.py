"""The real connectors, sent to the simulated sources, arrive at the world's panel."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.source import TOTAL, CountedSource
from include.kreislauf.collection.sources.github_events import GithubEvents
from include.kreislauf.collection.sources.job_ads import JobAds
from include.kreislauf.collection.sources.stackoverflow import StackOverflow
from include.kreislauf.periods import start_of
from include.kreislauf.requirements.catalogue import Catalogue
from include.kreislauf.requirements.sources import GithubEventsSource, JobAdsSource, StackOverflowSource
from include.kreislauf.settings import Settings
from include.kreislauf.simulation.catalogue import catalogue
from include.kreislauf.simulation.panel import observed_panel
from include.kreislauf.simulation.server import WorldServer, mirrors
from include.kreislauf.simulation.sources import SimulatedSources
from include.kreislauf.simulation.technologies import World

SINCE, NOW = datetime(2014, 7, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC)
Counts = Counter[tuple[str, str, str, datetime]]


@pytest.fixture
def access(sources: SimulatedSources) -> Iterator[Access]:
    sources.now = NOW
    with WorldServer(sources) as server:
        yield Access.from_settings(Settings(mirrors=json.dumps(mirrors(server.url))))


def make(kind: type[CountedSource[Any]], config: Any, world: World, access: Access) -> CountedSource[Any]:
    technologies = Catalogue.model_validate(catalogue(world)).technologies
    return kind(config, technologies, period="quarter", access=access, max_bad_lines=0)


def collect(source: CountedSource[Any]) -> Counts:
    """Counts per quarter, where every line is accounted for and none is bad."""
    counts: Counts = Counter()
    for unit in source.units(SINCE, NOW):
        reading = source.read(unit)
        reading.check(unit.id, 0)
        outage = sum(one.value for one in reading.counts if (one.by, one.measure) == (TOTAL, "events")) == 1
        if not outage:
            for one in reading.counts:
                counts[one.by, one.subject, one.measure, start_of(unit.start, "quarter")] += one.value
    return counts


def rows(world: World) -> Iterator[tuple[str, datetime, Any]]:
    panel = observed_panel(world, first_collection=NOW)
    asked = panel[panel["quarter_start"].between(pd.Timestamp("2014-07-01"), pd.Timestamp("2015-10-01"))]
    for row in asked.itertuples():
        yield str(row.tech), row.quarter_start.to_pydatetime().replace(tzinfo=UTC), row


def test_github(world: World, access: Access) -> None:
    columns = {
        "languages": {"measure": "pull_requests", "by": "language"},
        "stars": {"measure": "stars", "by": "repository", "show": "count"},
    }
    config = GithubEventsSource.model_validate(
        {"kind": "github_events", "name": "github", "since": "2011-01-01", "days": [15], "hours": [15],
         "columns": columns}
    )  # fmt: skip
    counts = collect(make(GithubEvents, config, world, access))
    for tech, quarter, row in rows(world):
        if row.kind == "language":
            share = (
                counts["language", tech, "pull_requests", quarter]
                / counts[TOTAL, "", "pull_requests", quarter]
            )
            assert share == pytest.approx(row.gh_pull_requests_share, rel=1e-12)
        else:
            assert counts["repository", f"{tech}/{tech}", "stars", quarter] == row.gh_repo_new_stars


def test_stackoverflow(world: World, access: Access) -> None:
    config = StackOverflowSource.model_validate(
        {"kind": "stackoverflow", "name": "so", "since": "2011-01-01",
         "columns": {"questions": {"measure": "questions", "by": "tag"}}}
    )  # fmt: skip
    counts = collect(make(StackOverflow, config, world, access))
    for tech, quarter, row in rows(world):
        number = counts["tag", tech, "questions", quarter]
        assert number == row.so_questions_first
        assert number / counts[TOTAL, "", "questions", quarter] == pytest.approx(
            row.so_share_first, rel=1e-12
        )


def test_job_ads(world: World, access: Access) -> None:
    config = JobAdsSource.model_validate(
        {"kind": "job_ads", "name": "jobs", "since": "2011-01-01",
         "columns": {"ads": {"measure": "ads", "by": "term"}}}
    )  # fmt: skip
    counts = collect(make(JobAds, config, world, access))
    for tech, quarter, row in rows(world):
        assert counts["technology_term", tech, "ads", quarter] == row.jobs_with_tech
        assert counts[TOTAL, "", "ads", quarter] == row.jobs_ads
