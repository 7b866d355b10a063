"""An example of the source kind ``github_events``: two hours, one in each of two formats."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from include.kreislauf.collection.sources.github_events import GithubEvents
from include.kreislauf.requirements.sources import CountColumn, GithubEventsSource
from tests.collection.github.lines import event, packed, pull_request, timeline
from tests.support.source_checks import TECHNOLOGIES, Example, local_access


def example(folder: Path) -> Example:
    """The source of two hours, eight lines; the two days between them have no files."""
    (folder / "2014-12-30-5.json.gz").write_bytes(packed([
        timeline("PullRequestEvent", language="Go", action="opened", pull_request={}),
        timeline("WatchEvent", "Python/CPython", action="started"), timeline("GistEvent"),
    ]))  # fmt: skip
    (folder / "2015-01-02-5.json.gz").write_bytes(packed([
        pull_request(language="Python", topics=["cms"]), pull_request(language="Python", action="closed"),
        pull_request(language="Go"), event("WatchEvent", "python/cpython", "x[bot]", action="started"),
        event("WatchEvent", "golang/go", action="started"),
    ]))  # fmt: skip
    config = GithubEventsSource(
        kind="github_events", name="github", since=date(2014, 12, 1), url="{data}", hours=(5,),
        columns={
            "gh_pull_requests_share": CountColumn(measure="pull_requests", by="language"),
            "gh_repo_new_stars": CountColumn(measure="stars", by="repository", show="count"),
        },
    )  # fmt: skip
    source = GithubEvents(
        config, TECHNOLOGIES, period="quarter", access=local_access(data=str(folder)), max_bad_lines=0.01
    )
    counted = {
        ("language", "Python", "pull_requests"): 1, ("language", "Go", "pull_requests"): 2,
        ("repository", "python/cpython", "stars"): 1, ("repository", "golang/go", "stars"): 1,
        ("topic", "cms", "pull_requests"): 1, ("total", "", "events"): 8, ("total", "", "stars"): 2,
    }  # fmt: skip
    return Example(source, "2014-12-30", "2015-01-03", counted)
