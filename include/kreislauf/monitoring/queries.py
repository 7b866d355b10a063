"""Live metrics that other systems know: from a database, or from a Prometheus server.

What is asked for is the half-open time ``(since, until]`` in which an observation became known: asked piece by piece or
at once, the same observations come, each once. A gap is no observation: neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from include.kreislauf.collection.access import Access
from include.kreislauf.errors import QueryError, SourceError
from include.kreislauf.monitoring.promql import steps_of
from include.kreislauf.monitoring.sql import rows_of
from include.kreislauf.requirements.monitoring import Queried, SqlQuery
from include.kreislauf.settings import Settings

SECONDS = 30.0
"""One metric's queries may take so long."""

Connections = Callable[[str], str | None]
Observe = Callable[[Queried, datetime, datetime], list[tuple[datetime, float]]]
"""Of a metric, the observations that became known after one time and not after another."""


def observer(settings: Settings, connections: Connections | None = None, seconds: float = SECONDS) -> Observe:
    """How this process asks other systems.

    Parameters
    ----------
    connections: address of a named connection, or ``None``: Airflow's, in a DAG. ``KREISLAUF_CONNECTION_<NAME>`` comes
        after it.
    seconds: deadline of one metric's queries.
    """
    access = Access.from_settings(settings, connections)
    return lambda metric, since, until: observations(metric, since, until, access, seconds)


def observations(
    metric: Queried, since: datetime, until: datetime, access: Access, seconds: float = SECONDS
) -> list[tuple[datetime, float]]:
    """When each observation in ``(since, until]`` became known, and its value; oldest first.

    Raises
    ------
    QueryError: the metric cannot be had; says what, where, and what next. Never shows a password.
    """
    source, where = metric.source, f"{metric.name} (connection {metric.source.connection})"
    try:
        if isinstance(source, SqlQuery):
            found = rows_of(source, where, since, until, access, seconds)
        else:
            found = steps_of(source, where, since, until, access, seconds)
    except SourceError as error:
        raise QueryError(
            error.what, where=error.where, allowed=error.allowed, next_step=error.next_step
        ) from error
    return sorted((at, value) for at, value in found if since < at <= until)
