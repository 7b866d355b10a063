"""Source kind ``github_events``: hours, formats, languages, and what the data sheet is told."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.github.repositories import Known, Memory
from include.kreislauf.collection.source import Unit
from include.kreislauf.collection.sources.github_events import GithubEvents
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import CountColumn, GithubEventsSource
from tests.collection.github.lines import event, packed, pull_request, sums, total
from tests.collection.web import Web, reply
from tests.support.source_checks import TECHNOLOGIES, local_access

SHARE = CountColumn(measure="pull_requests", by="language")
NOON = datetime(2026, 8, 12, 12, tzinfo=UTC)


def source(
    url: str = "{data}", columns: dict[str, CountColumn] | None = None, access: Access | None = None,
    technologies: tuple[Technology, ...] = TECHNOLOGIES, repositories: Memory | None = None, **config: Any,
) -> GithubEvents:  # fmt: skip
    made = GithubEventsSource(
        kind="github_events", name="github", url=url, columns=columns or {"share": SHARE},
        **({"since": date(2015, 1, 1)} | config),
    )  # fmt: skip
    return GithubEvents(
        made, technologies, period="quarter", access=access or local_access(), max_bad_lines=0.01,
        repositories=repositories,
    )  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hour(start: datetime = NOON) -> Unit:
    return Unit(id=f"{start:%Y-%m-%d}-{start.hour}", start=start, end=start + timedelta(hours=1))


def ids(made: GithubEvents, start: str, end: str) -> list[str]:
    return [unit.id for unit in made.units(at(start), at(end))]


def test_units_are_named_as_gh_archive_names_its_files():
    assert ids(source(), "2015-02-01T08:30", "2015-02-01T12:59") == [
        f"2015-02-01-{hour}" for hour in (9, 10, 11)
    ]
    assert ids(source(), "2015-02-28T22:00", "2015-03-01T01:00") == [
        "2015-02-28-22",
        "2015-02-28-23",
        "2015-03-01-0",
    ]
    (unit,) = source().units(at("2015-02-01T05:00"), at("2015-02-01T06:00"))
    assert (unit.start, unit.end, unit.weight) == (at("2015-02-01T05:00"), at("2015-02-01T06:00"), 1.0)


def test_a_contract_selects_days_and_hours():
    made = source(days=(1, 31), hours=(5, 23))
    assert ids(made, "2015-03-30", "2015-05-02") == [
        f"2015-{day}-{hour}" for day in ("03-31", "04-01", "05-01") for hour in (5, 23)
    ]


def test_times_of_another_zone_are_the_same_hours():
    there = datetime.fromisoformat("2015-02-01T10:45+05:45")
    assert [unit.id for unit in source().units(there, there + timedelta(hours=2))] == [
        "2015-02-01-5",
        "2015-02-01-6",
    ]


def test_nothing_lies_before_the_first_day():
    assert ids(source(since=date(2015, 2, 1)), "2015-01-31T22:00", "2015-02-01T02:00") == [
        "2015-02-01-0",
        "2015-02-01-1",
    ]


def test_a_revision_is_another_where_other_things_are_counted_or_the_contract_says_so():
    def revision(made: GithubEvents) -> str:
        return next(iter(made.units(NOON, NOON + timedelta(hours=1)))).revision

    plain = revision(source())
    more = Technology(name="zig", kind="language", languages=("Zig",), repositories=("ziglang/zig",))
    named = (*TECHNOLOGIES, more)
    adopted = source(technologies=named)
    adopted.adopted = frozenset({"zig"})
    stars = {"share": SHARE, "stars": CountColumn(measure="stars", by="repository")}
    assert {
        plain,
        revision(source(columns=stars)),
        revision(source(url="/elsewhere")),
        revision(adopted),
    } == {plain}
    # gigabytes are not read anew for one more repository
    assert revision(source(technologies=named)) == plain
    pushes = {"pushes": CountColumn(measure="pushes", by="language")}
    others = [source(revision=2), source(columns=pushes), source(keep_repositories_from=9)]
    assert len({plain, *map(revision, others)}) == 4


def test_an_hour_is_read_from_a_server(web: Web):
    web.on(
        "/archive/2026-08-12-12.json.gz",
        reply(200, packed([event("PushEvent"), pull_request(language="Go")])),
    )
    access = Access(AccessRules.of([web.url], deadline=5))
    reading = source(f"{web.url}/archive/", access=access).read(hour())
    assert (reading.read, reading.kept, total(reading, "pushes")) == (2, 2, 1)
    assert sums(reading, "language", "pull_requests") == {"Go": 1}


def test_an_hour_that_was_never_made_is_missing_not_zero(web: Web, tmp_path: Path):
    access = Access(AccessRules.of([web.url], deadline=5))
    for made in (source(web.url, access=access), source(str(tmp_path))):
        reading = made.read(hour())
        assert (reading.missing, reading.counts, reading.read) == ("no such file", [], 0)


def test_a_damaged_file_gives_nothing(tmp_path: Path):
    whole = packed(event("PushEvent") for _ in range(100))
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(whole[:-9])
    with pytest.raises(SourceError, match=r"2026-08-12-12\.json\.gz: ends in the middle") as caught:
        source(str(tmp_path)).read(hour())
    assert not caught.value.transient


def test_too_many_bad_lines_reject_the_file_and_name_them(tmp_path: Path):
    lines = [event("PushEvent") if number else b"\xff" for number in range(100)]
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed(lines))
    assert source(str(tmp_path)).read(hour()).quarantined == 1
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed([*lines, "{"]))
    with pytest.raises(SourceError, match=r"2 of 101 lines cannot be read \(line 1: not UTF-8.*; line 101: "):
        source(str(tmp_path)).read(hour())


def test_a_change_of_format_that_breaks_rejects_the_file(tmp_path: Path):
    renamed = [json.dumps(event("PushEvent")).replace('"login"', '"handle"') for _ in range(50)]
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed(renamed))
    with pytest.raises(SourceError, match=r"50 of 50 lines cannot be read .*login"):
        source(str(tmp_path)).read(hour())


def test_languages_are_learned_from_old_pull_requests_for_new_ones(tmp_path: Path):
    early, late = datetime(2025, 10, 1, 12, tzinfo=UTC), NOON
    (tmp_path / "2025-10-01-12.json.gz").write_bytes(packed([
        pull_request("Acme/site", "Elixir", action="closed"), pull_request("acme/none", None),
    ]))  # fmt: skip
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed([
        pull_request("acme/Site"), pull_request("acme/site"), pull_request("acme/none"), pull_request("new/one"),
    ]))  # fmt: skip
    made = source(str(tmp_path), repositories=Memory())
    first, second = made.read(hour(early)), made.read(hour(late))
    assert first.facts == {"language.none": 1}
    assert sums(second, "language", "pull_requests") == {"Elixir": 2}
    assert second.facts == {
        "language.from_table": 2, "language.none": 1, "language.unknown": 1, "pull_requests.with_language": 2,
    }  # fmt: skip


def test_pushes_by_language_need_the_table_and_the_hours_own_pull_requests(tmp_path: Path):
    memory = Memory()
    memory.remember({"known/before": Known("C", NOON - timedelta(days=900))})
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed([
        event("PushEvent", "known/before"), event("PushEvent", "known/now"), event("PushEvent", "known/never"),
        pull_request("known/now", "Go"),
    ]))  # fmt: skip
    columns = {"pushes": CountColumn(measure="pushes", by="language")}
    reading = source(str(tmp_path), columns, repositories=memory).read(hour())
    assert sums(reading, "language", "pushes") == {"C": 1, "Go": 1}
    assert reading.facts["pushes.with_language"] == 2
    assert reading.facts["language.unknown"] == 1


def test_github_is_asked_as_often_as_the_contract_allows(web: Web, tmp_path: Path):
    for name in ("often", "twice", "once"):
        web.on(f"/repos/acme/{name}", reply(200, json.dumps({"language": name.title()})))
    lines = [
        pull_request(f"acme/{name}")
        for name, number in (("once", 1), ("often", 3), ("twice", 2))
        for _ in range(number)
    ]
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed(lines))
    access = Access(AccessRules.of([web.url], deadline=5))
    made = source(str(tmp_path), access=access, api=web.url, look_ups=2)
    reading = made.read(hour())
    assert sums(reading, "language", "pull_requests") == {"Often": 3, "Twice": 2}
    assert reading.facts["language.from_api"] == 5
    assert made.read(hour()).facts["language.from_table"] == 5
    assert web.paths == ["/repos/acme/often", "/repos/acme/twice"]
    assert reading.warnings == []


def test_a_used_up_rate_limit_is_told_once_and_stops_nothing(web: Web, tmp_path: Path):
    web.on("/repos/acme/site", reply(403, "{}", X_RateLimit_Remaining="0", X_RateLimit_Reset="1786550400"))
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(packed([pull_request()]))
    access = Access(AccessRules.of([web.url], deadline=5))
    made = source(str(tmp_path), access=access, api=web.url, look_ups=9)
    told = [made.read(hour()).warnings for _ in range(2)]
    assert told == [
        ["languages are no longer asked for: the rate limit is used up until 2026-08-12 16:00 UTC"],
        [],
    ]
    assert web.paths == ["/repos/acme/site"]


def test_an_adopted_repository_is_counted_as_before_it_was(tmp_path: Path):
    """Small hours lack it, then as now: else its past would look smaller than it was."""
    zig = Technology(name="zig", kind="language", repositories=("ziglang/zig",))
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(
        packed([event("WatchEvent", "ziglang/zig", action="started")])
    )
    adopted = source(str(tmp_path), technologies=(zig,))
    adopted.adopted = frozenset({"zig"})
    signed = source(str(tmp_path), technologies=(zig,))
    assert sums(adopted.read(hour()), "repository", "stars") == {}
    assert sums(signed.read(hour()), "repository", "stars") == {"ziglang/zig": 1}
    assert list(adopted.names(zig, "repository")) == ["ziglang/zig"]


@pytest.mark.parametrize(("measure", "by"), [
    ("stars", "topic"), ("questions", "tag"), ("forks", "term"), ("commits", "language"), ("events", "repository"),
])  # fmt: skip
def test_what_events_do_not_give_is_refused_at_once(measure: str, by: Any):
    with pytest.raises(ValidationError, match=f"column it: there are no {measure} by {by}"):
        source(columns={"it": CountColumn(measure=measure, by=by)})


def test_names_of_a_technology():
    react = Technology(name="react", kind="web", languages=("JSX",), topics=("ReactJS",), tags=("reactjs",),
                       repositories=("facebook/react", "react/react"))  # fmt: skip
    made = source()
    assert list(made.names(react, "language")) == ["JSX"]
    assert list(made.names(react, "repository")) == ["facebook/react", "react/react"]
    assert list(made.names(react, "topic")) == ["reactjs"]
    assert list(made.names(react, "tag")) == []


def test_the_data_sheet_says_how_languages_were_found():
    facts = Counter({"language.from_event": 60, "language.from_table": 20, "language.from_api": 5, "language.none": 5,
                     "language.unknown": 10, "pull_requests.with_language": 85})  # fmt: skip
    notes = source().notes(facts)
    assert "100 events" in notes[1]
    assert "said by the event itself: 60.0%; known from earlier events or answers: 20.0%" in notes[1]
    assert "not known: 10.0%" in notes[1]
    assert "github_token" in notes[2]
    assert len(source().notes(Counter())) == 1


def test_gzip_of_something_else_is_rejected_by_its_lines(tmp_path: Path):
    (tmp_path / "2026-08-12-12.json.gz").write_bytes(gzip.compress(b"<html>\n</html>\n"))
    with pytest.raises(SourceError, match="2 of 2 lines"):
        source(str(tmp_path)).read(hour())
