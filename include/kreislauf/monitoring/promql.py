"""Observations of a live metric from a Prometheus server: one per step, on a grid that never moves."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import httpx

from include.kreislauf.collection.access import Access
from include.kreislauf.errors import QueryError
from include.kreislauf.requirements.monitoring import PromQuery

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SETTLE = timedelta(minutes=1)
"""A step is asked for so long after its time: what was scraped by then is there, and the answer stays the same."""
STEPS_AT_ONCE = 10_000
"""Prometheus refuses more than 11,000 points in one answer."""
MAX_STEPS = 200_000
MAX_BYTES = 32 << 20


def steps_of(
    source: PromQuery, where: str, since: datetime, until: datetime, access: Access, seconds: float
) -> list[tuple[datetime, float]]:
    """The query's value at every multiple of ``every_hours`` since 1970; each known :data:`SETTLE` later.

    A step without a series, or with NaN or an infinity, is no observation.

    Parameters
    ----------
    where: what an error is about.
    since, until: steps that became known after the one and not after the other.
    seconds: deadline of all requests together.

    Raises
    ------
    SourceError: no such connection.
    QueryError: unreachable, not in time, refused, or more than one series.
    """
    # Prometheus counts in whole milliseconds, and cuts a step in seconds down to them
    milliseconds = max(1, round(source.every_hours * 3_600_000))
    every = timedelta(milliseconds=milliseconds)
    first, last = _step_after(since, every), _step_after(until, every) - 1
    if last < first:
        return []
    if last - first >= MAX_STEPS:
        raise QueryError(
            f"{last - first + 1} steps since {since:%Y-%m-%d}", where=where, allowed=f"{MAX_STEPS}",
            next_step="raise every_hours in the contract",
        )  # fmt: skip
    end = time.monotonic() + seconds
    found: list[tuple[datetime, float]] = []
    with _client(access.connection(source.connection), where, seconds) as client:
        for start in range(first, last + 1, STEPS_AT_ONCE):
            stop = min(start + STEPS_AT_ONCE - 1, last)
            span = {
                "start": _seconds(start * every),
                "end": _seconds(stop * every),
                "step": f"{milliseconds}ms",
            }
            body = {"query": source.query, **span}
            answer = _asked(client, body, where, end, access)
            found += [(_known(at), value) for at, value in _points(answer, where)]
    return found


def _step_after(moment: datetime, every: timedelta) -> int:
    """Number of the first step that is known only after a time."""
    return (moment - SETTLE - EPOCH) // every + 1


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.3f}"


def _known(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC) + SETTLE


def _client(address: str, where: str, seconds: float) -> httpx.Client:
    """A client for the server's address, which may carry ``user:password@``, or ``:token@`` for a bearer."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise QueryError(
            "the connection is not a Prometheus server's address", where=where,
            allowed="http(s)://[user:password@]host[:port][/path]", next_step="correct the connection",
        )  # fmt: skip
    base = url.copy_with(username=None, password=None)
    user, password = url.username, url.password
    login = b64encode(f"{user}:{password}".encode()).decode()
    headers = {"authorization": f"Basic {login}" if user else f"Bearer {password}"} if password else {}
    # neither proxies nor redirects: the credentials are for this server alone
    return httpx.Client(base_url=base, timeout=seconds, trust_env=False, headers=headers)


def _asked(client: httpx.Client, body: dict[str, Any], where: str, end: float, access: Access) -> Any:
    """The data of one answer, read within the deadline."""
    next_step = "is the server running, and the connection right? The next check asks again"
    try:
        with client.stream("POST", "api/v1/query_range", data=body) as response:
            content = b"".join(_parts(response, where, end))
            answer = json.loads(content)
            if answer["status"] == "success":
                return answer["data"]
            said = f"{answer.get('errorType')}: {answer.get('error')}"
    except httpx.HTTPError as error:
        said = f"no answer ({type(error).__name__})"
    except (ValueError, KeyError, TypeError):
        said = f"HTTP {response.status_code}, and no answer in Prometheus' form"
    raise QueryError(f"Prometheus: {access.hide(said)[:300]}", where=where, next_step=next_step) from None


def _parts(response: httpx.Response, where: str, end: float) -> Iterator[bytes]:
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MAX_BYTES or time.monotonic() > end:
            what = "answers too much" if size > MAX_BYTES else "does not answer in time"
            raise QueryError(f"Prometheus {what}", where=where, next_step="make the query cheaper")
        yield part


def _points(data: Any, where: str) -> Iterator[tuple[float, float]]:
    """The points of the only series."""
    series = data["result"]
    if len(series) > 1:
        labels = "; ".join(json.dumps(one["metric"], sort_keys=True) for one in series[:3])
        raise QueryError(
            f"the query gives {len(series)} series: {labels}", where=where, allowed="one series, or none",
            next_step="aggregate in the contract's query, such as sum(…)",
        )  # fmt: skip
    for one in series:
        yield from ((float(at), float(value)) for at, value in one["values"] if isfinite(float(value)))
