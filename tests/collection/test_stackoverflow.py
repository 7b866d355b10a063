"""Source kind ``stackoverflow``: units, counts, and what becomes of real pages and dumps."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.source import Count, Unit
from include.kreislauf.collection.sources.stackoverflow import StackOverflow
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import CountColumn, StackOverflowSource
from include.kreislauf.settings import ROOT
from tests.collection.web import Request, Web, packed

SHARED = ROOT.parent / "shared" / "data" / "raw" / "stackexchange"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data (../shared/data) are not here")
TECHNOLOGIES = (
    Technology(name="python", kind="language", tags=("python", "python-3.x")),
    Technology(name="c#", kind="language", tags=("c#",)),
    Technology(name="untagged", kind="web"),
)


@pytest.fixture
def make(web: Web) -> Iterator[Callable[..., StackOverflow]]:
    access = Access(AccessRules.of([web.url], deadline=5), sleep=lambda _: None)

    def source(**fields: Any) -> StackOverflow:
        config = StackOverflowSource(
            kind="stackoverflow", name="so", since="2015-01-01",  # type: ignore[arg-type]
            columns={"so_questions": CountColumn(measure="questions", by="tag")},
            **({"url": f"{web.url}/2.3"} | fields),
        )  # fmt: skip
        return StackOverflow(config, TECHNOLOGIES, period="quarter", access=access, max_bad_lines=0.01)

    yield source
    access.close()


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def unit(source: StackOverflow, name: str) -> Unit:
    return next(one for one in source.units(day("2010-01-01"), day("2022-01-01")) if one.id == name)


def test_there_is_a_unit_for_each_tag_and_window_that_ended(make: Callable[..., StackOverflow]):
    found = list(make().units(day("2015-11-15"), day("2016-09-30T22:00")))
    assert [one.id for one in found] == [
        f"2016-Q{quarter}/{tag}" for quarter in (1, 2) for tag in ("*", "c#", "python", "python-3.x")
    ] + ["tags/2016-09-30"]  # fmt: skip
    assert (found[0].start, found[0].end) == (day("2016-01-01"), day("2016-04-01"))
    assert (found[-1].start, found[-1].end) == (day("2016-09-29"), day("2016-09-30"))


def test_windows_may_be_months(make: Callable[..., StackOverflow]):
    found = [one.id for one in make(window="month").units(day("2015-12-01"), day("2016-02-01"))]
    assert found[0] == "2015-12/*"
    assert found[-2:] == ["2016-01/python-3.x", "tags/2016-02-01"]


@pytest.mark.parametrize("read", ["questions", "dump"])
def test_who_counts_every_tag_reads_months(read: str, make: Callable[..., StackOverflow]):
    found = list(make(read=read).units(day("2015-12-01"), day("2016-03-01")))
    assert [one.id for one in found] == ["2015-12", "2016-01", "2016-02"]


def test_nothing_ended_yet(make: Callable[..., StackOverflow]):
    for read in ("totals", "dump"):
        assert not list(make(read=read).units(day("2016-01-01"), day("2016-01-01T12:00")))


def test_a_total_is_counted_for_its_tag_or_for_all(make: Callable[..., StackOverflow], web: Web):
    web.on(
        "/2.3/questions", lambda request: packed({"total": 5 if "tagged" in request.query else 50})(request)
    )
    source = make()
    tagged = source.read(unit(source, "2016-Q1/c#"))
    assert tagged.counts == [Count("tag", "c#", "questions", 5)]
    assert (tagged.read, tagged.kept, tagged.facts["requests"]) == (1, 1, 1)
    assert source.read(unit(source, "2016-Q1/*")).counts == [Count("total", "", "questions", 50)]
    assert "tagged=c%23&" in f"{web.paths[0]}&"


def pages(items: list[Any], shift: int = 0) -> Callable[[Request], None]:
    """Pages of items; each page after the first begins ``shift`` items too early."""

    def answer(request: Request) -> None:
        size = int(request.query["pagesize"])
        first = (int(request.query["page"]) - 1) * (size - shift)
        packed({
            "items": items[first : first + size], "has_more": first + size < len(items), "quota_max": 300, "quota_remaining": 9,
        })(request)  # fmt: skip

    return answer


def question(number: int, time: datetime, *tags: str) -> dict[str, Any]:
    return {"question_id": number, "creation_date": int(time.timestamp()), "tags": list(tags), "score": 3}


def test_a_question_that_comes_twice_counts_once(make: Callable[..., StackOverflow], web: Web):
    items = [question(number, day("2016-01-31"), "c#", f"t{number % 2}") for number in range(250)]
    web.on("/2.3/questions", pages(items, shift=3))
    source = make(read="questions")
    reading = source.read(unit(source, "2016-01"))
    assert set(reading.counts) == {
        Count("tag", "c#", "questions", 250), Count("tag", "t0", "questions", 125), Count("tag", "t1", "questions", 125),
        Count("total", "", "questions", 250),
    }  # fmt: skip
    assert (reading.kept, dict(reading.ignored), reading.facts["requests"]) == (250, {"duplicate": 6}, 3)


def test_a_question_that_cannot_be_read_is_set_aside(make: Callable[..., StackOverflow], web: Web):
    items = [question(number, day("2016-01-31"), "c#") for number in range(200)]
    items[150] = {"question_id": 150, "tags": ["c#"]}
    items[160] = question(160, day("2016-02-01"), "c#")
    web.on("/2.3/questions", pages(items))
    source = make(read="questions")
    reading = source.read(unit(source, "2016-01"))
    assert (reading.read, reading.kept, reading.quarantined) == (200, 198, 1)
    assert reading.ignored == {"outside of the window": 1}
    assert reading.faults[0].line == 151
    assert "creation_date" in reading.faults[0].why
    web.on("/2.3/questions", pages([{}] * 3 + items[:150]))
    with pytest.raises(SourceError, match="3 of 153 lines cannot be read"):
        source.read(unit(source, "2016-01"))


def test_the_list_of_tags_is_cumulative(make: Callable[..., StackOverflow], web: Web):
    items = [{"name": f"tag-{number}", "count": 1000 - number, "is_required": False} for number in range(150)]
    web.on("/2.3/tags", pages(items, shift=1))
    source = make()
    reading = source.read(list(source.units(day("2016-01-01"), day("2016-02-01")))[-1])
    assert len(reading.counts) == reading.kept == 150
    assert reading.counts[0] == Count("tag_ever", "tag-0", "questions_ever", 1000)
    assert (reading.ignored, len(web.requests)) == ({"duplicate": 1}, 2)


def test_at_most_thirty_pages_of_tags_are_read(make: Callable[..., StackOverflow], web: Web):
    web.on("/2.3/tags", pages([{"name": f"tag-{number}", "count": 1} for number in range(4000)]))
    source = make()
    assert len(source.read(list(source.units(day("2016-01-01"), day("2016-02-01")))[-1]).counts) == 3000


def test_names_are_tags(make: Callable[..., StackOverflow]):
    source = make()
    assert source.names(TECHNOLOGIES[0], "tag") == ("python", "python-3.x")
    assert not source.names(TECHNOLOGIES[0], "language")
    assert not source.names(TECHNOLOGIES[2], "tag")


def test_notes_tell_of_vintage_and_requests(make: Callable[..., StackOverflow]):
    notes = " ".join(make().notes(Counter({"requests": 12})))
    assert "vintage: first" in notes
    assert "12 requests" in notes
    assert "data dump" in " ".join(make(read="dump").notes(Counter()))


def test_a_dump_is_parsed_once_for_all_of_its_months(make: Callable[..., StackOverflow], tmp_path: Path):
    rows = (
        '<row Id="1" PostTypeId="1" CreationDate="2016-01-02T00:00:00" Tags="&lt;c#&gt;"/>'
        '<row Id="2" PostTypeId="1" CreationDate="2016-02-02T00:00:00" Tags="|c#|"/>'
        '<row Id="3" PostTypeId="2" CreationDate="2016-03-02T00:00:00"/>'
    )
    path = tmp_path / "Posts.xml.gz"
    path.write_bytes(gzip.compress(f"<posts>{rows}</posts>".encode()))
    (tmp_path / "Tags.xml").write_text('<tags><row Id="1" TagName="c#" Count="3"/></tags>')
    source = make(read="dump", url=f"{tmp_path}/")
    first = source.read(unit(source, "2016-01"))
    path.unlink()
    second = source.read(unit(source, "2016-02"))
    expected = [Count("tag", "c#", "questions", 1), Count("total", "", "questions", 1)]
    assert first.counts == second.counts == expected
    assert first.warnings == ["breaking: the posts have 2 tags, Tags.xml tells of 3"]
    assert source.read(unit(source, "2016-03")).missing


def test_a_dump_that_is_not_there_says_where_it_was_looked_for(
    make: Callable[..., StackOverflow], tmp_path: Path
):
    source = make(read="dump", url=str(tmp_path))
    with pytest.raises(SourceError, match="there is no dump") as found:
        source.read(unit(source, "2016-01"))
    assert found.value.allowed == f"{tmp_path}/Posts.xml, {tmp_path}/Posts.xml.gz"
    (tmp_path / "Posts.xml").write_text("<posts><row></posts>")
    with pytest.raises(SourceError, match="well-formed"):
        source.read(unit(source, "2016-01"))


@real
@pytest.mark.parametrize(("name", "expected"), [("api_questions_2016-10", 30), ("api_questions_2018-07", 10)])
def test_real_pages_are_read(name: str, expected: int, make: Callable[..., StackOverflow], web: Web):
    page = json.loads((SHARED / f"{name}.json").read_text())
    web.on("/2.3/questions", packed(page | {"has_more": False}))
    source = make(read="questions")
    whole = Unit(id="all", start=day("2000-01-01"), end=day("2030-01-01"))
    reading = source.read(whole)
    assert (reading.read, reading.kept, reading.quarantined) == (expected, expected, 0)
    tags = Counter(tag for item in page["items"] for tag in item["tags"])
    assert {count.subject: count.value for count in reading.counts if count.by == "tag"} == tags


@real
@pytest.mark.parametrize(("name", "rows", "questions"), [
    ("ai.stackexchange_2016-09", 786, 264), ("french.meta_2021", 781, 274),
])  # fmt: skip
def test_real_dumps_are_read_with_every_row_accounted_for(
    name: str, rows: int, questions: int, make: Callable[..., StackOverflow], tmp_path: Path
):
    content = (SHARED / f"{name}_Posts.xml.gz").read_bytes()
    (tmp_path / "Posts.xml.gz").write_bytes(content)
    if (tags := SHARED / f"{name}_Tags.xml.gz").is_file():
        (tmp_path / "Tags.xml.gz").write_bytes(tags.read_bytes())
    source = make(read="dump", url=str(tmp_path))
    text = gzip.decompress(content).decode()
    assert (text.count("<row "), text.count(' PostTypeId="1"')) == (rows, questions)
    months = source._posts.months.values()
    assert sum(month.read for month in months) == rows
    assert sum(month.questions for month in months) == questions
    readings = [source.read(one) for one in source.units(day("2010-01-01"), day("2021-08-01"))]
    there = [one for one in readings if not one.missing]
    assert there
    assert all(one.read == one.kept + one.ignored.total() + one.quarantined for one in there)
    assert not any(one.warnings or one.quarantined for one in there)
