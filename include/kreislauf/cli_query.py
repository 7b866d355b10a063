"""``query``: what a contract's query gives now, before the contract is signed; without a store and a release."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.kreislauf.cli_options import span
from include.kreislauf.errors import KreislaufError, QueryError
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.monitoring import Queried, SqlQuery
from include.kreislauf.settings import get_settings

if TYPE_CHECKING:
    from include.kreislauf.monitoring.queries import Observe

MOST_DAYS = 3650


def add_query(commands: Any) -> None:
    """Add ``query`` to the command line's parser."""
    text = "try the queries of a contract's file, before it is signed: how many observations, when, how large"
    parser = commands.add_parser("query", help=text, description=text)
    parser.add_argument("use_case", help="name of the use case")
    parser.add_argument("metric", nargs="?", help="name of a metric of kind query (default: all)")
    parser.add_argument(
        "--days", type=_days, default=7.0, help="so long back from now (default: %(default)g)"
    )
    parser.set_defaults(command=_query)


def _days(text: str) -> float:
    return span(text, "days", MOST_DAYS)


def _query(options: argparse.Namespace) -> int:
    from include.kreislauf.monitoring.queries import observer

    settings = get_settings()
    contract = load_contract(contract_path(settings.use_cases, options.use_case))
    observe, until, failed = observer(settings), settings.now(), False
    for metric in _queried(contract, options.metric):
        try:
            for line in _found(metric, observe, until - timedelta(days=options.days), until):
                print(line)
        except QueryError as error:
            failed = True
            print(error.text, file=sys.stderr)
    return 1 if failed else 0


def check_queries(contract: Contract) -> None:
    """What can be told of a contract's SQL without a database.

    Raises
    ------
    KreislaufError: see :func:`~include.kreislauf.monitoring.sql.check_query`.
    """
    from include.kreislauf.monitoring.sql import check_query

    for metric in contract.business_metrics:
        if isinstance(metric, Queried) and isinstance(metric.source, SqlQuery):
            check_query(metric.source, metric.name)


def _queried(contract: Contract, name: str | None) -> list[Queried]:
    """The metric of this name, or all whose observations are asked for."""
    found = [one for one in contract.business_metrics if isinstance(one, Queried)]
    chosen = [one for one in found if name in (None, one.name)]
    if not chosen:
        raise KreislaufError(
            f"no metric of kind query is named {name!r}" if name else "has no metric of kind query",
            where=contract.name, allowed=[one.name for one in found] or "(the contract has none)",
            next_step="see docs/how-to/metrics-from-elsewhere.md",
        )  # fmt: skip
    return chosen


def _found(metric: Queried, observe: Observe, since: datetime, until: datetime) -> Iterator[str]:
    """What the query gives, in a line, and a second one where something is amiss."""
    rows = observe(metric, since, until)
    if not rows:
        yield f"{metric.name}: no observation from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
        yield "  next: more --days; is observed_at when the number became known, and a time where the query compares it?"
        return
    values = [value for _, value in rows]
    yield (
        f"{metric.name}: {len(rows)} observations, first {rows[0][0]:%Y-%m-%d %H:%M:%S}, "
        f"last {rows[-1][0]:%Y-%m-%d %H:%M:%S} UTC, least {min(values):g}, greatest {max(values):g}"
    )
    least, greatest = metric.test.bounds
    if outside := sum(not least <= value <= greatest for value in values):
        yield f"  {outside} outside of the test's bounds, {least:g} to {greatest:g}: these are not plausible"
