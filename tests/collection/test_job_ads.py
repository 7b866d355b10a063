"""Source kind ``job_ads``: months, revisions, adopted technologies, and what real advertisements give."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.jobs_correlation import TERMS, job_correlation, readings
from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.source import Count, Reading
from include.kreislauf.collection.sources.job_ads import JobAds
from include.kreislauf.errors import SourceError
from include.kreislauf.requirements.catalogue import Technology, Term
from include.kreislauf.requirements.sources import CountColumn, JobAdsSource
from include.kreislauf.settings import ROOT

SHARED = ROOT.parent / "shared"
PYTHON = Technology(name="python", kind="language", terms=(Term(text="Python"),))
DENO = Technology(name="deno", kind="emerging", terms=(Term(text="deno"),))
START, END = datetime(2015, 1, 1, tzinfo=UTC), datetime(2015, 4, 1, tzinfo=UTC)
ADS = ["Acme | Python, Deno, Zig", "Beta | Deno and Zig", "Gamma | Python3, Deno"]


def make(
    folder: Path, technologies: Sequence[Technology] = (PYTHON,), adopted: Sequence[str] = (), **fields: Any
) -> JobAds:
    config = JobAdsSource(
        kind="job_ads", name="jobs", since=date(2015, 1, 1), columns={"jobs": CountColumn(measure="ads", by="term")},
        **{"url": str(folder)} | fields,
    )  # fmt: skip
    source = JobAds(config, technologies, period="quarter", access=Access(AccessRules()), max_bad_lines=0.01)
    source.adopted = frozenset(adopted)
    return source


def record(folder: Path, lines: Sequence[str] = ()) -> None:
    items = [
        json.dumps({"id": n, "text": text, "type": "comment", "thread_month": "2015-02"})
        for n, text in enumerate(ADS)
    ]
    content = "\n".join([*items, *lines]).encode()
    (folder / "hn_who_is_hiring_2015.ndjson.gz").write_bytes(gzip.compress(content))


def february(source: JobAds) -> Reading:
    return source.read(list(source.units(START, END))[1])


def test_a_unit_is_a_whole_month(tmp_path: Path) -> None:
    source = make(tmp_path)
    units = list(source.units(datetime(2015, 1, 2, tzinfo=UTC), datetime(2015, 4, 30, tzinfo=UTC)))
    assert [one.id for one in units] == ["2015-02", "2015-03"]
    assert (units[0].start, units[0].end) == (
        datetime(2015, 2, 1, tzinfo=UTC),
        datetime(2015, 3, 1, tzinfo=UTC),
    )
    assert {one.weight for one in units} == {0.3}
    assert not source.revisable


def test_an_advertisement_counts_once_for_each_technology_and_a_rare_word_is_not_kept(tmp_path: Path) -> None:
    record(tmp_path)
    assert set(february(make(tmp_path)).counts) == {
        Count("total", "", "ads", 3), Count("technology_term", "python", "ads", 2), Count("term", "deno", "ads", 3),
    }  # fmt: skip
    assert Count("term", "zig", "ads", 2) in february(make(tmp_path, keep_terms_from=2)).counts


def test_an_adopted_technology_goes_on_being_counted_as_it_was_found(tmp_path: Path) -> None:
    record(tmp_path)
    before, after = make(tmp_path), make(tmp_path, (PYTHON, DENO), adopted=["deno"])
    assert [one.revision for one in before.units(START, END)] == [
        one.revision for one in after.units(START, END)
    ]
    assert february(before).counts == february(after).counts
    assert list(after.names(DENO, "term")) == ["deno"]
    assert list(after.names(PYTHON, "term")) == ["python"]
    assert list(after.names(PYTHON, "tag")) == []


def test_other_terms_or_thresholds_ask_for_the_threads_anew(tmp_path: Path) -> None:
    other = PYTHON.model_copy(update={"terms": (Term(text="Python", not_in=("monty python",)),)})
    moved = PYTHON.model_copy(update={"tags": ("python",)})
    revision = make(tmp_path).revision
    assert make(tmp_path, (moved,)).revision == revision
    assert make(tmp_path, (DENO, PYTHON)).revision == make(tmp_path, (PYTHON, DENO)).revision != revision
    assert make(tmp_path, (other,)).revision != revision
    assert make(tmp_path, keep_terms_from=4).revision != revision


def test_too_many_broken_lines_refuse_the_month(tmp_path: Path) -> None:
    record(tmp_path, ["{broken"])
    with pytest.raises(SourceError, match=r"jobs 2015-02: 1 of 4 lines cannot be read \(line 4: "):
        february(make(tmp_path))


@pytest.mark.parametrize(("url", "kind"), [
    ("", "Algolia"), ("https://hn.algolia.com/api/v1/", "Algolia"), ("https://hacker-news.firebaseio.com/v0", "Firebase"),
    ("{data}/raw/jobs", "Recorded"), ("s3://bucket/jobs", "Recorded"), ("/data/jobs", "Recorded"),
])  # fmt: skip
def test_the_url_says_where_the_threads_are(url: str, kind: str) -> None:
    assert type(make(Path(), url=url)._threads).__name__ == kind


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data (../shared/data) are not here")
def test_real_advertisements_correlate_with_what_others_counted() -> None:
    found = job_correlation(SHARED, every=4)
    assert found.keys() == TERMS.keys()
    assert all(found[name] >= 0.99 for name in ("react", "kubernetes", "typescript"))
    assert all(found[name] >= 0.9 for name in ("python", "java", "ruby"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data (../shared/data) are not here")
def test_every_real_advertisement_is_accounted_for_and_few_words_are_kept() -> None:
    found = readings(SHARED, every=12)
    assert [one.unit.id for one in found] == [f"{year}-01" for year in range(2011, 2019)]
    assert sum(one.read for one in found) == 96 + 154 + 206 + 232 + 287 + 395 + 649 + 709
    assert all(one.kept > 0.9 * one.read and not one.quarantined for one in found)
    words = {one.subject for one in found[-1].counts if one.by == "term"}
    assert {"aws", "graphql", "spark", "golang"} & words == {"aws", "graphql", "spark"}
    assert len(words) < 500
