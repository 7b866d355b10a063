"""``start``: the embedded stack over use cases of one's own, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.settings import Settings, get_settings

MOST = 65_535


def add_start(commands: Any) -> None:
    """Add ``start`` to the command line's parser."""
    text = (
        "run your own use cases on this computer until Ctrl-C: Airflow, the prediction service, the watcher"
    )
    parser = commands.add_parser("start", help=text, description=text)
    parser.add_argument(
        "--use-case", action="append", dest="asked", metavar="NAME", default=[],
        help="only this one; several times for several, or all; default: all but those that ship with the bundle",
    )  # fmt: skip
    parser.add_argument(
        "--begin", action="append", metavar="NAME", default=[],
        help="begin the first cycle of this one at once; several times for several",
    )  # fmt: skip
    parser.add_argument(
        "--home", default="", help="folder of everything that is kept; default: KREISLAUF_HOME, or var"
    )
    parser.add_argument(
        "--use-cases", default="",
        help="folder of the use cases; default: KREISLAUF_USE_CASES, or where new-use-case writes",
    )  # fmt: skip
    parser.add_argument(
        "--data", default="", help="what {data} in a contract stands for; default: KREISLAUF_DATA"
    )
    parser.add_argument(
        "--connection", action="append", type=connection, dest="connections", metavar="NAME=URL", default=[],
        help="a database of a sql source, as SQLAlchemy URL; with a password in it rather KREISLAUF_CONNECTION_<NAME>, "
        "which other users of the computer do not see",
    )  # fmt: skip
    parser.add_argument("--port", type=port, default=8080, help="of Airflow, if it is free")
    parser.set_defaults(command=_start)


def connection(text: str) -> tuple[str, str]:
    """Name and URL of a database, of an option."""
    name, _, url = text.partition("=")
    if not name or "://" not in url:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no connection; allowed: NAME=URL, with a SQLAlchemy URL"
        )
    return name, url


def port(text: str) -> int:
    """A port, of an option."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed: 1 to {MOST}")
    return int(text)


def _start(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.session import say_now
    from include.kreislauf.embedded.start import StartOptions, start

    asked, begin = tuple(dict.fromkeys(options.asked)), tuple(dict.fromkeys(options.begin))
    start(
        StartOptions(asked, begin, dict(options.connections), options.port),
        started_settings(options),
        say_now,
    )
    return 0


def started_settings(options: argparse.Namespace) -> Settings:
    """The installation's settings, with what the options say instead, and absolute paths.

    Raises
    ------
    KreislaufError: there is no such folder of use cases.
    """
    settings = get_settings()
    use_cases = Path(options.use_cases or settings.use_cases).expanduser().absolute()
    if not use_cases.is_dir():
        raise KreislaufError(
            "no such folder", where=str(use_cases), next_step="name the folder of the use cases with --use-cases"
        )  # fmt: skip
    data = options.data or settings.data
    return settings.model_copy(
        update={
            "home": Path(options.home or settings.home).expanduser().resolve(),
            "use_cases": use_cases,
            "data": data if not data or "://" in data else str(Path(data).expanduser().absolute()),
        }
    )
