"""An example of the source kind ``job_ads``: two recorded threads."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

from include.kreislauf.collection.sources.job_ads import JobAds
from include.kreislauf.requirements.sources import CountColumn, JobAdsSource
from tests.support.source_checks import TECHNOLOGIES, Example, local_access

TEXTS = {
    "2015-01": ["Acme | Python, Go and Deno", "Zeta | <i>Python<&#x2F;i>", "let&#x27;s go", None],
    "2015-02": ["Acme | Go, Deno", "Beta | C++"],
}


def example(folder: Path) -> Example:
    """The source of two months, six comments, one of them deleted."""
    lines = [
        json.dumps({"id": 10 * place + number, "text": text, "type": "comment", "thread_month": month})
        for place, (month, texts) in enumerate(TEXTS.items()) for number, text in enumerate(texts)
    ]  # fmt: skip
    (folder / "hn_who_is_hiring_2015.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    config = JobAdsSource(
        kind="job_ads", name="jobs", since=date(2015, 1, 1), url="{data}", keep_terms_from=1,
        columns={"jobs_share": CountColumn(measure="ads", by="term")},
    )  # fmt: skip
    source = JobAds(
        config, TECHNOLOGIES, period="quarter", access=local_access(data=str(folder)), max_bad_lines=0.01
    )
    counted = {
        ("technology_term", "python", "ads"): 2, ("technology_term", "go", "ads"): 2,
        ("term", "deno", "ads"): 2, ("term", "c++", "ads"): 1, ("total", "", "ads"): 5,
    }  # fmt: skip
    return Example(source, "2015-01-01", "2015-03-01", counted)
