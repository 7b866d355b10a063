"""The prediction log from a shell: roll closed days up, archive old ones, say how large it is."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.kreislauf.errors import SettingsError
from include.kreislauf.settings import get_settings


def add_log(commands: Any) -> None:
    """Add ``log rollup``, ``log archive`` and ``log stats`` to the command line's parser."""
    log = commands.add_parser("log", help="the prediction log: roll up, archive, count")
    what = log.add_subparsers(required=True, metavar="what")
    rollup = what.add_parser(
        "rollup", help="roll up the days that have ended, so that monitoring reads quickly"
    )
    rollup.set_defaults(command=_rollup)
    archive = what.add_parser(
        "archive", help="roll up, then bring days older than KREISLAUF_LOG_DAYS to Parquet"
    )
    archive.set_defaults(command=_archive)
    stats = what.add_parser("stats", help="rows, days and archives per use case")
    stats.set_defaults(command=_stats)
    for one in (rollup, archive, stats):
        one.add_argument("use_case", nargs="?", default=None, help="default: all that have predictions")
    for one in (rollup, archive):
        one.add_argument(
            "--until", default="", help="day before which it looks, YYYY-MM-DD; default: see below"
        )
        one.epilog = (
            "Without --until: today, or where the clock is 'given', the day of the newest prediction."
        )


def _rollup(options: argparse.Namespace) -> int:
    from include.kreislauf.store.database import get_store
    from include.kreislauf.store.log_stats import use_cases
    from include.kreislauf.store.rollup import roll_up

    store = get_store().require()
    for use_case in use_cases(store, options.use_case):
        days = roll_up(store, use_case, _until(options, use_case), get_settings().now())
        print(f"{use_case}: {len(days)} days rolled up" + (f", {days[0]} to {days[-1]}" if days else ""))
    return 0


def _archive(options: argparse.Namespace) -> int:
    from include.kreislauf.store.database import get_store
    from include.kreislauf.store.log_archive import archive
    from include.kreislauf.store.log_stats import use_cases

    _rollup(options)
    settings = get_settings()
    store, folder = get_store(), settings.artefacts / "log"
    for use_case in use_cases(store, options.use_case):
        before = _until(options, use_case) - timedelta(days=settings.log_days)
        found = archive(store, use_case, before, folder, settings.now())
        rows = sum(one.rows for one in found)
        print(f"{use_case}: {len(found)} days before {before:%Y-%m-%d} archived, {rows} rows, under {folder}")
    return 0


def _stats(options: argparse.Namespace) -> int:
    from include.kreislauf.store.database import get_store
    from include.kreislauf.store.log_stats import stats, use_cases

    store = get_store().require()
    for use_case in use_cases(store, options.use_case):
        found = stats(store, use_case)
        print(
            f"{use_case}: {found.rows} rows in the store from {found.first} to {found.last}, "
            f"{found.days} days rolled up to {found.newest} rows, {found.stale} days have late rows, "
            f"{found.archived} rows in {found.files} archives"
        )
    return 0


def _until(options: argparse.Namespace, use_case: str) -> datetime:
    from include.kreislauf.store.database import get_store
    from include.kreislauf.store.log_stats import newest_day

    if options.until:
        try:
            day = date.fromisoformat(options.until)
        except ValueError as error:
            raise SettingsError(
                f"{options.until!r} is not a day", where="--until", allowed="YYYY-MM-DD"
            ) from error
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    settings = get_settings()
    if settings.clock == "given":
        return newest_day(get_store(), use_case)
    return settings.now().replace(hour=0, minute=0, second=0, microsecond=0)
