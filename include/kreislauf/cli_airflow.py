"""Where Airflow is, and how a command logs in there."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from include.kreislauf.errors import KreislaufError

USER, PASSWORD = "KREISLAUF_AIRFLOW_USER", "KREISLAUF_AIRFLOW_PASSWORD"


def add_airflow_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--airflow`` and ``--passwords`` to a command."""
    parser.add_argument(
        "--airflow", type=airflow_address, required=True, metavar="URL", help="such as http://127.0.0.1:8080"
    )
    parser.add_argument(
        "--passwords", type=Path, help="file of Airflow's SimpleAuthManager; default: the variable"
    )


def airflow_address(text: str) -> str:
    """Airflow's address, of an option."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address; allowed: http://host:port or https://host:port"
        )
    return text


def airflow_login(passwords: Path | None) -> tuple[str, str]:
    """User and password of Airflow: from the environment, or from the file of its SimpleAuthManager.

    Raises
    ------
    KreislaufError: there is no password.
    """
    user = os.environ.get(USER, "admin")
    if passwords is None:
        if password := os.environ.get(PASSWORD):
            return user, password
        raise KreislaufError(
            "no password for Airflow", where=PASSWORD, next_step="set it, or name the file with --passwords"
        )
    try:
        return user, str(json.loads(passwords.read_text())[user])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KreislaufError(
            f"no password of {user} can be read ({error!r})", where=str(passwords)
        ) from error
