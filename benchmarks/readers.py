"""One task's work by one engine, as a process of its own: ``python -m benchmarks.readers ENGINE FILE...``.

The work: of each hour's file, the pull requests opened per language, the stars per repository (from three on), the
pushes, issues opened and forks, and all events, without bots. Prints one JSON object of counts per file.

The peers are asked for less: they need not look for repeated ids, topics, bad lines and new keys.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

Counts = dict[str, int]
KEEP_FROM = 3
MEASURES = {
    "PullRequestEvent": ("pull_requests", "opened"), "PushEvent": ("pushes", None), "WatchEvent": ("stars", None),
    "IssuesEvent": ("issues", "opened"), "ForkEvent": ("forks", None),
}  # fmt: skip
SUBJECTS = {"PullRequestEvent": "language", "WatchEvent": "repository"}
BOT = r"(\[bot\]|-bot|-Bot|-BOT)$"


def own(path: Path) -> Counts:
    """This project: the source as a task runs it."""
    from include.kreislauf.collection.access import Access, AccessRules
    from include.kreislauf.collection.source import Unit
    from include.kreislauf.collection.sources.github_events import HOUR, GithubEvents
    from include.kreislauf.requirements.sources import CountColumn, GithubEventsSource

    config = GithubEventsSource(
        kind="github_events", name="github", since=date(2021, 1, 1), url=str(path.parent),
        keep_repositories_from=KEEP_FROM, columns={"share": CountColumn(measure="pull_requests", by="language")},
    )  # fmt: skip
    source = GithubEvents(config, (), period="month", access=Access(AccessRules()), max_bad_lines=0.01)
    start = datetime.strptime(path.name, "%Y-%m-%d-%H.json.gz").replace(tzinfo=UTC)
    reading = source.read(Unit(id=path.name.removesuffix(".json.gz"), start=start, end=start + HOUR))
    return {f"{one.by} {one.subject} {one.measure}": one.value for one in reading.counts if one.by != "topic"}


def polars(path: Path) -> Counts:
    """Polars, lazily, with the narrowest schema."""
    import polars as pl

    base = pl.Struct({"repo": pl.Struct({"language": pl.String})})
    schema = {
        "type": pl.String, "actor": pl.Struct({"login": pl.String}), "repo": pl.Struct({"name": pl.String}),
        "payload": pl.Struct({"action": pl.String, "pull_request": pl.Struct({"base": base})}),
    }  # fmt: skip
    language = pl.col("payload").struct.field("pull_request").struct.field("base").struct.field("repo")
    rows = (
        pl.scan_ndjson(path, schema=schema)
        .select(
            "type",
            pl.when(pl.col("type").is_in(["PullRequestEvent", "IssuesEvent"]))
            .then(pl.col("payload").struct.field("action")).alias("action"),
            pl.col("actor").struct.field("login").str.contains(BOT).alias("bot"),
            pl.when(pl.col("type") == "PullRequestEvent").then(language.struct.field("language"))
            .when(pl.col("type") == "WatchEvent").then(pl.col("repo").struct.field("name")).alias("subject"),
        )
        .group_by("type", "action", "bot", "subject").len().collect().iter_rows()
    )  # fmt: skip
    return folded(rows)


def duckdb(path: Path) -> Counts:
    """DuckDB, with the narrowest schema."""
    import duckdb as db

    connection = db.connect(config={"threads": 1})
    query = f"""
        SELECT type, CASE WHEN type IN ('PullRequestEvent', 'IssuesEvent') THEN payload.action END AS action,
            regexp_matches(actor.login, '{BOT}') AS bot,
            CASE type WHEN 'PullRequestEvent' THEN payload.pull_request.base.repo.language
                WHEN 'WatchEvent' THEN repo.name END AS subject, count(*)
        FROM read_json('{path}', format = 'newline_delimited', compression = 'gzip', columns = {{
            type: 'VARCHAR', actor: 'STRUCT(login VARCHAR)', repo: 'STRUCT(name VARCHAR)',
            payload: 'STRUCT(action VARCHAR, pull_request STRUCT(base STRUCT(repo STRUCT(language VARCHAR))))'}})
        GROUP BY ALL"""
    return folded(connection.execute(query).fetchall())


def chdb(path: Path) -> Counts:
    """The ClickHouse engine in this process, with the narrowest schema."""
    import chdb as ch

    query = f"""
        SELECT type, if(type IN ('PullRequestEvent', 'IssuesEvent'), payload.action, '') AS action,
            match(actor.login, '{BOT.replace(chr(92), chr(92) * 2)}') AS bot,
            multiIf(type = 'PullRequestEvent', payload.pull_request.base.repo.language,
                type = 'WatchEvent', repo.name, NULL) AS subject, count() AS number
        FROM file('{path}', JSONEachRow, 'type String, actor Tuple(login String), repo Tuple(name String),
            payload Tuple(action String, pull_request Tuple(base Tuple(repo Tuple(language Nullable(String)))))')
        GROUP BY ALL SETTINGS max_threads = 1, input_format_parallel_parsing = 0, max_parsing_threads = 1
        FORMAT JSONCompactEachRow"""
    answer = str(ch.query(query))
    return folded((t, a, bool(b), s, int(n)) for t, a, b, s, n in map(json.loads, answer.splitlines()))


def folded(rows: Iterable[tuple[Any, ...]]) -> Counts:
    """Groups (type, action, bot, subject, number) as counts."""
    counts: Counter[str] = Counter()
    for kind, action, bot, subject, number in rows:
        counts["total  events"] += number
        measure, needed = MEASURES.get(kind, ("", None))
        if measure and not bot and (needed is None or needed == action):
            counts[f"total  {measure}"] += number
            if subject is not None and (kind != "WatchEvent" or number >= KEEP_FROM):
                counts[f"{SUBJECTS[kind]} {subject} {measure}"] += number
    return dict(counts)


ENGINES: dict[str, Callable[[Path], Counts]] = {"own": own, "polars": polars, "duckdb": duckdb, "chdb": chdb}

if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(json.dumps(ENGINES[sys.argv[1]](Path(name)), sort_keys=True))
