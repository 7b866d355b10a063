"""The command ``replay``: what would have happened, under which policy."""

from __future__ import annotations

import argparse
import logging
import re
from datetime import date
from pathlib import Path
from typing import Any

from include.kreislauf.errors import KreislaufError

_POLICIES = ("never", "scheduled", "triggered", "oracle")
_NOISY = ("httpx", "alembic", "matplotlib", "mlflow", "distributed")


def add_replay(commands: Any) -> None:
    """Add ``replay`` to the command line's parser."""
    text = "run the whole loop over history or a simulated world, without Airflow, and compare policies"
    parser = commands.add_parser("replay", help=text, description=text)
    parser.add_argument("use_case", help="name of the use case")
    parser.add_argument(
        "--from",
        dest="start",
        type=_day,
        default="2016-01-01",
        help="first cycle: YYYY-MM[-DD]; default: %(default)s",
    )
    parser.add_argument(
        "--to",
        dest="end",
        type=_day,
        default="",
        help="last day, likewise; default: the end of the newest period in the data",
    )
    parser.add_argument(
        "--policy", action="append", choices=_POLICIES, default=[],
        help="who sends the work back: nobody, the calendar, monitoring and the governor, somebody who knows when the "
        "world changed (simulated worlds only); several times for several; none: all that are possible",
    )  # fmt: skip
    world = parser.add_mutually_exclusive_group()
    world.add_argument(
        "--data", default="", help="folder or URL with the real data; empty: a simulated world"
    )
    world.add_argument(
        "--seed", type=int, default=0, help="seed of the simulated world; default: %(default)s"
    )
    parser.add_argument(
        "--every",
        type=int,
        default=3,
        help="periods from one scheduled loop to the next; default: %(default)s",
    )
    parser.add_argument(
        "--approve", action="store_true", help="answer questions to a person with yes; else with no"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of replay.json and replay.png")
    parser.set_defaults(command=_replay)


def _day(text: str) -> str:
    """A day as YYYY-MM-DD, also of a month; or nothing."""
    full = f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else text
    try:
        return date.fromisoformat(full).isoformat() if full else ""
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; allowed: YYYY-MM or YYYY-MM-DD") from error


def _replay(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.session import say_now
    from include.kreislauf.replay.command import ReplayOptions, replay
    from include.kreislauf.replay.policies import Policy

    if options.end and options.end <= options.start:
        raise KreislaufError(f"--to {options.end} is not after --from {options.start}", where="replay")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    chosen = options.policy or [one for one in _POLICIES if not (options.data and one == "oracle")]
    given = {
        name: getattr(options, name) for name in ReplayOptions.__dataclass_fields__ if name != "policies"
    }
    replay(ReplayOptions(**given, policies=tuple(Policy(one) for one in dict.fromkeys(chosen))), say_now)
    return 0
