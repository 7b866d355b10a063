"""``watch``: looks for verdicts that tip, and has Airflow check at once instead of when the next check is due."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.kreislauf.cli_airflow import PASSWORD, USER, add_airflow_options, airflow_login
from include.kreislauf.cli_options import span
from include.kreislauf.errors import KreislaufError, StoreError
from include.kreislauf.logs import set_up
from include.kreislauf.settings import get_settings

if TYPE_CHECKING:
    from include.kreislauf.store.database import Store

MOST_SECONDS = 3600
MOST_PORT = 65_535

log = logging.getLogger("kreislauf.watch")


def add_watch(commands: Any) -> None:
    """Add ``watch`` to the command line's parser."""
    text = "have Airflow check at once when a live metric falls, instead of when the next check is due"
    parser = commands.add_parser(
        "watch",
        help=text,
        description=f"{text}. Logs in as {USER} (default: admin) with {PASSWORD}, or the password of --passwords.",
    )
    add_airflow_options(parser)
    parser.add_argument(
        "--seconds", type=seconds, default=1.0, help="between two looks (default: %(default)s)"
    )
    parser.add_argument("--alive", type=Path, help="file that is touched after each look, for health checks")
    parser.add_argument(
        "--metrics", type=listening, metavar="HOST:PORT",
        help="serve the workflow's metrics to Prometheus here, such as 0.0.0.0:9105",
    )  # fmt: skip
    parser.set_defaults(command=_watch)


def listening(text: str) -> tuple[str, int]:
    """Where to listen, of an option; port 0: any that is free."""
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= MOST_PORT):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no place to listen; allowed: host:port, such as 0.0.0.0:9105"
        )
    return host.strip("[]"), int(port)


def seconds(text: str) -> float:
    """A span of time, of an option."""
    return span(text, "seconds", MOST_SECONDS)


def _watch(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.airflow_api import AirflowApi
    from include.kreislauf.feedback.watcher import Watcher, make_watch
    from include.kreislauf.store.database import Store

    settings = get_settings()
    if settings.clock != "wall":
        raise KreislaufError(
            "there is nothing to watch where time is given", where="KREISLAUF_CLOCK", allowed="wall"
        )
    set_up("%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    user, password = airflow_login(options.passwords)
    store = Store(settings.store)
    require_made(store)
    watcher = Watcher(make_watch(settings), settings.now, options.seconds)
    # its own patience would hold up the look at the others
    with (
        _metrics(options.metrics, store, settings.now),
        AirflowApi(options.airflow, user, password, patience=2.0) as airflow,
    ):
        _try(airflow)
        _touch(options.alive)  # only now: whoever waits for it may rely on the login having been tried
        while True:
            pause = watcher.step(airflow)
            _touch(options.alive)
            time.sleep(pause)


def _metrics(
    place: tuple[str, int] | None, store: Store, now: Callable[[], datetime]
) -> AbstractContextManager[object]:
    """The workflow's metrics, served while the watch lasts; nothing where they are not wanted."""
    if place is None:
        return nullcontext()
    from include.kreislauf.exporting.exporter import serving

    return serving(store, *place, now)


def require_made(store: Store) -> None:
    """A store that is not there ends the watch at its start; one that is away will come back.

    Raises
    ------
    StoreError: the schema is missing, older or newer.
    """
    try:
        store.revision()
    except StoreError as error:
        log.warning("%s; the look goes on", " ".join(error.text.split()))
    else:
        store.require()


def _touch(path: Path | None) -> None:
    try:
        if path:
            path.touch()
    except OSError as error:
        raise KreislaufError(
            f"cannot be written: {error.strerror}", where=str(path), next_step="name a file in a folder that exists"
        ) from error  # fmt: skip


def _try(airflow: Any) -> None:
    """Log in now, so that a wrong password is known before the first fall."""
    try:
        airflow.dags()
    except KreislaufError as error:
        log.warning("Airflow cannot be asked for checks now, the look goes on: %s", error.text)
    else:
        log.info("watching")
