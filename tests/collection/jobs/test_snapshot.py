"""Snapshots of job boards, from servers that answer as the Bundesagentur für Arbeit and Adzuna do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.source import Count, Unit
from include.kreislauf.collection.sources.job_ads import JobAds
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.catalogue import Technology, Term
from include.kreislauf.requirements.sources import CountColumn, JobAdsSource
from include.kreislauf.settings import ROOT
from tests.collection.web import Request, Web, reply

SHARED = ROOT.parent / "shared" / "data"
JOBS = "/jobboerse/jobsuche-service/pc/v4/jobs"
SEARCH = "/v1/api/jobs/gb/search/1"
TECHNOLOGIES = (
    Technology(name="python", kind="language", terms=(Term(text="Python"), Term(text="CPython"))),
    Technology(name="go", kind="language", terms=(Term(text="Golang"), Term(text="Go", exact_case=True))),
    Technology(name="rails", kind="backend", terms=(Term(text="Rails", not_in=("guard rails",)),)),
    Technology(name="r", kind="language", terms=(Term(text="R", exact_case=True),)),
    Technology(name="deno", kind="emerging", terms=(Term(text="deno"),)),
)
FOUND = {"": 900, "Python": 120, "CPython": 3, "Golang": 40, "Rails": 7, "deno": 2}
IN_TIME = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def make(web: Web) -> Iterator[Callable[..., JobAds]]:
    pauses: list[float] = []
    access = Access(AccessRules.of([web.url], deadline=30), sleep=pauses.append)

    def source(
        provider: Any, path: str = "", technologies: Any = TECHNOLOGIES, period: str = "quarter"
    ) -> JobAds:
        config = JobAdsSource(
            kind="job_ads", name="jobs", since="2025-01-01", provider=provider, url=web.url + path,  # type: ignore[arg-type]
            columns={"jobs": CountColumn(measure="ads", by="term")},
        )  # fmt: skip
        made = JobAds(config, technologies, period=period, access=access, max_bad_lines=0.01)
        made.adopted = frozenset({"deno"})
        made.pauses = pauses  # type: ignore[attr-defined]
        return made

    yield source
    access.close()


def arbeitsagentur(web: Web, source: Callable[..., JobAds], **fields: Any) -> JobAds:
    return source("arbeitsagentur", JOBS.partition("/pc/")[0], **fields)


def dated(body: str, at: datetime | None) -> Callable[[Request], None]:
    """An answer by a board whose clock says so."""

    def send(request: Request) -> None:
        request.send_response_only(200)
        if at is not None:
            request.send_header("Date", format_datetime(at, usegmt=True))
        request.send_header("Content-Length", str(len(body.encode())))
        request.end_headers()
        request.wfile.write(body.encode())

    return send


def answers(word: str, field: str, at: datetime | None = IN_TIME) -> Callable[[Request], None]:
    """Looks up how many there are, as the board's search would."""

    def send(request: Request) -> None:
        number = FOUND[request.query.get(word, "")]
        dated(json.dumps({field: number, "page": 1, "results": []}), at)(request)

    return send


def last_unit(source: JobAds) -> Unit:
    return list(source.units(datetime(2025, 1, 1, tzinfo=UTC), IN_TIME))[-1]


def test_the_arbeitsagentur_is_asked_for_every_term_that_it_can_tell_apart(
    web: Web, make: Callable[..., JobAds]
) -> None:
    web.on(JOBS, answers("was", "maxErgebnisse"))
    source = arbeitsagentur(web, make)
    unit = last_unit(source)
    assert (unit.id, unit.revision, source.revisable) == ("2025-Q4", "1", True)
    reading = source.read(unit)
    assert set(reading.counts) == {
        Count("total", "", "ads", 900), Count("technology_term", "python", "ads", 120),
        Count("technology_term", "go", "ads", 40), Count("technology_term", "rails", "ads", 7), Count("term", "deno", "ads", 2),
    }  # fmt: skip
    assert (reading.read, reading.kept) == (6, 6)
    path, headers = web.requests[0]
    assert headers["x-api-key"] == "jobboerse-jobsuche"
    assert "veroeffentlichtseit=92" in path


def test_what_a_board_cannot_tell_apart_has_no_name_there(web: Web, make: Callable[..., JobAds]) -> None:
    source = arbeitsagentur(web, make)
    names = {one.name: list(source.names(one, "term")) for one in TECHNOLOGIES}
    assert names == {"python": ["python"], "go": ["go"], "rails": ["rails"], "r": [], "deno": ["deno"]}


def test_a_year_is_asked_for_as_far_back_as_possible(web: Web, make: Callable[..., JobAds]) -> None:
    web.on(JOBS, answers("was", "maxErgebnisse"))
    source = arbeitsagentur(web, make, period="year")
    source.read(last_unit(source))
    assert "veroeffentlichtseit=100" in web.paths[0]


def test_the_past_is_missing_and_the_board_is_asked_once_for_that(
    web: Web, make: Callable[..., JobAds]
) -> None:
    web.on(JOBS, answers("was", "maxErgebnisse"))
    source = arbeitsagentur(web, make)
    units = list(source.units(datetime(2024, 1, 1, tzinfo=UTC), IN_TIME))
    assert [one.id for one in units][:2] == ["2024-Q1", "2024-Q2"]
    readings = [source.read(one) for one in units]
    assert [bool(one.missing) for one in readings] == [True] * 7 + [False]
    assert "shows the advertisements of 2026-01-02 only" in readings[0].missing
    assert len(web.requests) == 1 + 1 + 5


@pytest.mark.parametrize(("body", "said"), [
    ('{"maxErgebnisse": "many"}', "another form"), ('{"stellenangebote": []}', "another form"), ("<html>", "not JSON"),
])  # fmt: skip
def test_an_answer_without_a_number_is_refused(
    web: Web, make: Callable[..., JobAds], body: str, said: str
) -> None:
    web.on(JOBS, reply(body=body))
    source = arbeitsagentur(web, make)
    with pytest.raises(SourceError, match=said):
        source.read(last_unit(source))


def test_a_number_may_be_a_text_as_the_specification_says(web: Web, make: Callable[..., JobAds]) -> None:
    web.on(JOBS, dated('{"maxErgebnisse": "12", "page": "1", "size": "1"}', None))
    source = arbeitsagentur(web, make)
    assert {one.value for one in source.read(last_unit(source)).counts} == {12}


def keys(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KREISLAUF_SECRET_ADZUNA_APP_ID", "an-id")
    patch.setenv("KREISLAUF_SECRET_ADZUNA_APP_KEY", "a-key")


def test_adzuna_is_asked_once_per_technology_and_not_too_fast(
    web: Web, make: Callable[..., JobAds], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch)
    web.on(SEARCH, answers("what_phrase", "count"))
    source = make("adzuna")
    unit = last_unit(source)
    counts = {one.subject: one.value for one in source.read(unit).counts}
    assert counts == {"": 900, "python": 120, "go": 40, "rails": 7, "deno": 2}
    assert source.pauses == [2.4] * 4  # type: ignore[attr-defined]
    assert "app_id=an-id" in web.paths[0] and "app_key=a-key" in web.paths[0]
    assert "category=it-jobs" in web.paths[0] and "max_days_old=92" in web.paths[0]
    assert unit.weight == pytest.approx(5 * 2.4 / 15)
    assert any("14-day trial" in note for note in source.notes({}))  # type: ignore[arg-type]


def test_adzuna_without_keys_says_which_variables_to_set(web: Web, make: Callable[..., JobAds]) -> None:
    source = make("adzuna")
    with pytest.raises(SourceError, match="KREISLAUF_SECRET_ADZUNA_APP_ID"):
        source.read(last_unit(source))
    assert web.requests == []


def test_more_searches_than_a_day_allows_are_refused_before_the_first(
    web: Web, make: Callable[..., JobAds], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch)
    many = [Technology(name=f"t{n}", kind="web", terms=(Term(text=f"term-{n}"),)) for n in range(250)]
    source = make("adzuna", technologies=many)
    with pytest.raises(SourceError, match=r"a snapshot needs 251 searches.*allowed: 250 in a day"):
        source.read(last_unit(source))
    assert web.requests == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data (../shared/data) are not here")
def test_a_real_answer_of_adzuna_is_read(
    web: Web, make: Callable[..., JobAds], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(monkeypatch)
    web.on(SEARCH, dated((SHARED / "raw/jobs/adzuna_search_gb_2022-06-07.json").read_text(), IN_TIME))
    source = make("adzuna")
    assert source.read(last_unit(source)).counts[0] == Count("total", "", "ads", 1160766)
