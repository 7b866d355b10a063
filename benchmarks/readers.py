"""One task's work by one engine, as a process of its own: ``python -m benchmarks.readers ENGINE FILE...``.

The work: of each hour's file, the pull requests opened per language and per topic, the stars per repository (from three
on), the pushes, issues opened and forks, and all events; repeated events once, bots not. Prints one JSON object of
counts per file. The peers are not asked for bad lines, texts that are not UTF-8, and new keys.
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
    return {f"{one.by} {one.subject} {one.measure}": one.value for one in reading.counts}


def polars(path: Path) -> Counts:
    """Polars, lazily, with the narrowest schema."""
    import polars as pl

    base = pl.Struct({"repo": pl.Struct({"language": pl.String, "topics": pl.List(pl.String)})})
    schema = {
        "id": pl.String, "type": pl.String, "actor": pl.Struct({"login": pl.String}),
        "repo": pl.Struct({"name": pl.String}),
        "payload": pl.Struct({"action": pl.String, "pull_request": pl.Struct({"base": base})}),
    }  # fmt: skip
    kind, action = pl.col("type"), pl.col("payload").struct.field("action")
    pulled = pl.col("payload").struct.field("pull_request").struct.field("base").struct.field("repo")
    opened = (kind == "PullRequestEvent") & (action == "opened")
    rows = (
        pl.scan_ndjson(path, schema=schema)
        .select(
            "id", "type",
            pl.when(kind.is_in(["PullRequestEvent", "IssuesEvent"])).then(action).alias("action"),
            pl.col("actor").struct.field("login").str.contains(BOT).alias("bot"),
            pl.when(kind == "PullRequestEvent").then(pulled.struct.field("language"))
            .when(kind == "WatchEvent").then(pl.col("repo").struct.field("name")).alias("subject"),
            pl.when(opened).then(pulled.struct.field("topics").list.join(",")).alias("topics"),
        )
        .unique(["type", "id"]).group_by("type", "action", "bot", "subject", "topics").len().collect().iter_rows()
    )  # fmt: skip
    return folded(rows)


def duckdb(path: Path) -> Counts:
    """DuckDB, with the narrowest schema."""
    import duckdb as db

    connection = db.connect(config={"threads": 1})
    query = f"""
        SELECT type, action, bot, subject, topics, count(*) FROM (
            SELECT DISTINCT id, type,
                CASE WHEN type IN ('PullRequestEvent', 'IssuesEvent') THEN payload.action END AS action,
                regexp_matches(actor.login, '{BOT}') AS bot,
                CASE type WHEN 'PullRequestEvent' THEN payload.pull_request.base.repo.language
                    WHEN 'WatchEvent' THEN repo.name END AS subject,
                CASE WHEN type = 'PullRequestEvent' AND payload.action = 'opened'
                    THEN array_to_string(payload.pull_request.base.repo.topics, ',') END AS topics
            FROM read_json('{path}', format = 'newline_delimited', compression = 'gzip', columns = {{
                id: 'VARCHAR', type: 'VARCHAR', actor: 'STRUCT(login VARCHAR)', repo: 'STRUCT(name VARCHAR)',
                payload: 'STRUCT(action VARCHAR, pull_request STRUCT(base STRUCT(repo STRUCT(
                    language VARCHAR, topics VARCHAR[]))))'}}))
        GROUP BY ALL"""
    return folded(connection.execute(query).fetchall())


def chdb(path: Path) -> Counts:
    """The ClickHouse engine in this process, with the narrowest schema."""
    import chdb as ch

    query = f"""
        SELECT type, action, bot, subject, topics, count() FROM (
            SELECT id, type, if(type IN ('PullRequestEvent', 'IssuesEvent'), payload.action, '') AS action,
                match(actor.login, '{BOT.replace(chr(92), chr(92) * 2)}') AS bot,
                multiIf(type = 'PullRequestEvent', payload.pull_request.base.repo.language,
                    type = 'WatchEvent', repo.name, NULL) AS subject,
                if(type = 'PullRequestEvent' AND payload.action = 'opened',
                    arrayStringConcat(payload.pull_request.base.repo.topics, ','), '') AS topics
            FROM file('{path}', JSONEachRow, 'id String, type String, actor Tuple(login String),
                repo Tuple(name String), payload Tuple(action String, pull_request Tuple(base Tuple(repo Tuple(
                    language Nullable(String), topics Array(String)))))')
            LIMIT 1 BY type, id)
        GROUP BY ALL SETTINGS max_threads = 1, input_format_parallel_parsing = 0, max_parsing_threads = 1
        FORMAT JSONCompactEachRow"""
    rows = map(json.loads, str(ch.query(query)).splitlines())
    return folded((kind, action, bool(bot), *rest, int(number)) for kind, action, bot, *rest, number in rows)


def folded(rows: Iterable[tuple[Any, ...]]) -> Counts:
    """Groups (type, action, bot, subject, topics with commas between, number) as counts."""
    counts: Counter[str] = Counter()
    for kind, action, bot, subject, topics, number in rows:
        counts["total  events"] += number
        measure, needed = MEASURES.get(kind, ("", None))
        if measure and not bot and (needed is None or needed == action):
            counts[f"total  {measure}"] += number
            if subject is not None:
                counts[f"{SUBJECTS[kind]} {subject} {measure}"] += number
            for topic in filter(None, (topics or "").split(",")):
                counts[f"topic {topic} {measure}"] += number
    few = {name for name, number in counts.items() if name.startswith("repository ") and number < KEEP_FROM}
    return {name: number for name, number in counts.items() if name not in few}


ENGINES: dict[str, Callable[[Path], Counts]] = {"own": own, "polars": polars, "duckdb": duckdb, "chdb": chdb}

if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(json.dumps(ENGINES[sys.argv[1]](Path(name)), sort_keys=True))
