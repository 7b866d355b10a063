"""Hour files of the simulated GH Archive: about 5,000 events each, made when they are asked for.

Every hour of a month shows the month's counts, so it does not matter which of them somebody samples.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from include.kreislauf.periods import shift
from include.kreislauf.simulation import noise
from include.kreislauf.simulation.event_formats import (
    Actor,
    Format,
    Subject,
    actor_json,
    format_of,
    line_template,
    time_template,
)
from include.kreislauf.simulation.observations import LANGUAGE, MONTHS, Observations, month_of_quarter

SAMPLED_DAY, SAMPLED_HOUR = 15, 15
"""Day of the month and hour (UTC) that the practice example reads."""

_STREAM = 7
_OUTAGES = (
    (datetime(2013, 8, 15, 12, tzinfo=UTC), datetime(2013, 8, 15, 18, tzinfo=UTC)),
    # As in the real archive.
    (datetime(2020, 8, 21, 9, tzinfo=UTC), datetime(2020, 8, 23, 16, tzinfo=UTC)),
    (datetime(2021, 10, 25, tzinfo=UTC), datetime(2021, 10, 27, tzinfo=UTC)),
    (datetime(2025, 10, 9, tzinfo=UTC), datetime(2025, 10, 15, tzinfo=UTC)),
)
"""Start and end (excluded) of the times without files."""
_NEARLY_EMPTY = datetime(2014, 11, 15, 15, tzinfo=UTC)
"""An hour whose file has a single event, because the recorder hung."""

_ACTORS = tuple(Actor(100_000 + number, f"dev-{number:04d}") for number in range(900))
_BOTS = (
    Actor(49_699_333, "dependabot[bot]"),
    Actor(27_856_297, "merge-bot"),
    Actor(23_040_076, "greenkeeper[bot]"),
)
_CLOSED, _PUSHES, _ISSUES, _FORKS, _CREATED = 250, 500, 120, 80, 120
_BOT_PULL_REQUESTS, _BOT_PUSHES, _BOT_STARS = 60, 60, 10
_REPEATED = 3
"""Events that an hour file holds twice, as real ones do; only since events have ids."""


def is_missing(hour: datetime) -> bool:
    """Whether an hour's file was never made."""
    return any(start <= hour < end for start, end in _OUTAGES)


def sampled_months(quarter: datetime) -> list[bool]:
    """For each month of a quarter (its start is given) whether the sampled hour's file can be counted."""
    months = [shift(quarter, "month", number) for number in range(MONTHS)]
    hours = [month.replace(day=SAMPLED_DAY, hour=SAMPLED_HOUR) for month in months]
    return [not is_missing(hour) and hour != _NEARLY_EMPTY for hour in hours]


def hour_file(seen: Observations, hour: datetime) -> bytes | None:
    """An hour's file, gzip-compressed; None where there is none. The same bytes every time.

    Raises
    ------
    SimulationError: the hour lies outside the simulated time.
    """
    quarter = seen.world.index_of(hour)
    if is_missing(hour):
        return None
    number = (hour - datetime(2011, 1, 1, tzinfo=UTC)) // timedelta(hours=1)
    rng = np.random.default_rng([seen.world.seed, _STREAM, number])
    if hour == _NEARLY_EMPTY:
        events = [(_some_repository("CreateEvent", 0), _ACTORS[0])]
    else:
        drawn = list(_events(seen, quarter, (hour.month - 1) % MONTHS, rng))
        events = [drawn[place] for place in rng.permutation(len(drawn)).tolist()]
    return gzip.compress(b"".join(_lines(events, hour, number * 20_000)), compresslevel=1, mtime=0)


def repositories(seen: Observations) -> dict[str, str | None]:
    """Every repository of the world with its language, as GitHub's own API tells it."""
    world = seen.world
    known = {_code_in(language): language for language, _ in noise.LANGUAGES}
    for name, kind in zip(world.names, world.kinds, strict=True):
        known |= {_code_in(name): name} if kind == LANGUAGE else {f"{name}/{name}": _written_in(name)}
    return known | {name: _written_in(name) for name, _ in noise.REPOSITORIES}


def _lines(events: list[tuple[Subject, Actor]], hour: datetime, first_id: int) -> Iterator[bytes]:
    """Lines in the format of the hour, evenly spread over it."""
    style: Format = format_of(hour)
    time, step = time_template(style, hour), 3600 / len(events)
    for place, (subject, actor) in enumerate(events):
        line = line_template(style, subject) % {
            b"id": first_id + place, b"number": place + 1, b"actor": actor_json(actor), b"login": actor.login.encode(),
            b"time": time % divmod(int(place * step), 60),
        }  # fmt: skip
        yield line
        if style != "timeline" and place < _REPEATED and len(events) > _REPEATED:
            yield line


def _events(
    seen: Observations, quarter: int, month: int, rng: np.random.Generator
) -> Iterator[tuple[Subject, Actor]]:
    people = iter(rng.integers(len(_ACTORS), size=20_000).tolist())
    for subject, count in _counted(seen, quarter, month):
        for _ in range(count):
            yield subject, _ACTORS[next(people)]
    for number in range(noise.SINGLE_STARS):
        owner = _ACTORS[next(people)]
        yield Subject("WatchEvent", "", f"{owner.login}/site-{number}", "HTML"), _ACTORS[next(people)]
    for kind, count in (
        ("PushEvent", _PUSHES), ("IssuesEvent", _ISSUES), ("ForkEvent", _FORKS), ("CreateEvent", _CREATED),
    ):  # fmt: skip
        for number in range(count):
            yield _some_repository(kind, number), _ACTORS[next(people)]
    languages = [language for language, _ in noise.LANGUAGES]
    for number in range(_CLOSED):
        language = languages[number % len(languages)]
        yield Subject("PullRequestEvent", "closed", _code_in(language), language), _ACTORS[next(people)]
    yield from _bots(seen)


def _counted(seen: Observations, quarter: int, month: int) -> Iterator[tuple[Subject, int]]:
    """Subjects that carry the world's counts, with how many events each has in the hour."""
    world = seen.world
    pull_requests, others, stars = (
        month_of_quarter(table[:, quarter], month).tolist()
        for table in (seen.pull_requests, seen.other_pull_requests, seen.stars)
    )
    for name, opened, starred in zip(world.names, pull_requests, stars, strict=True):
        yield Subject("PullRequestEvent", "opened", _code_in(name), name), opened
        yield Subject("WatchEvent", "", f"{name}/{name}", _written_in(name)), starred
    for (language, _), opened in zip(noise.LANGUAGES, others, strict=True):
        yield Subject("PullRequestEvent", "opened", _code_in(language), language), opened
    for repository, starred in noise.REPOSITORIES:
        yield Subject("WatchEvent", "", repository, _written_in(repository)), starred


def _bots(seen: Observations) -> Iterator[tuple[Subject, Actor]]:
    """Events of programs, about what people care for too: who counts them is wrong."""
    world = seen.world
    languages = [name for name, kind in zip(world.names, world.kinds, strict=True) if kind == LANGUAGE] or [
        "HTML"
    ]
    for number in range(_BOT_PULL_REQUESTS):
        language = languages[number % len(languages)]
        yield Subject("PullRequestEvent", "opened", _code_in(language), language), _BOTS[number % len(_BOTS)]
    for number in range(_BOT_PUSHES):
        yield _some_repository("PushEvent", number), _BOTS[number % len(_BOTS)]
    for number in range(_BOT_STARS):
        yield _some_repository("WatchEvent", number), _BOTS[number % len(_BOTS)]


def _some_repository(kind: str, number: int) -> Subject:
    repository = noise.REPOSITORIES[number % len(noise.REPOSITORIES)][0]
    action = "opened" if kind == "IssuesEvent" else ""
    return Subject(kind, action, repository, _written_in(repository))


def _code_in(language: str | None) -> str:
    """The repository that stands for all code in a language."""
    return f"users-of-{(language or 'nothing').lower()}/app"


def _written_in(repository: str) -> str | None:
    """A language for a repository that is not counted by language."""
    return noise.LANGUAGES[len(repository) % len(noise.LANGUAGES)][0]
