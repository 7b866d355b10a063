"""What `make run` and `make start` have in common: who may use a folder, the environment, and how they talk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from include.kreislauf.collection.access import connection_variable
from include.kreislauf.embedded.ports import LOCK_PATIENCE, try_lock
from include.kreislauf.embedded.stack import EmbeddedStack, StackError

LOCK = "stack.lock"


def refuse_running(home: Path) -> None:
    """A stack that is still up must not lose its folder, nor what it reads there.

    Raises
    ------
    StackError: another stack uses this home.
    """
    if not (home / LOCK).exists():
        return
    held = try_lock(home / LOCK, LOCK_PATIENCE)
    if held is None:
        raise StackError(
            "a stack is up in this folder", where=str(home),
            next_step="stop it with Ctrl-C, or give this one another folder with --home",
        )  # fmt: skip
    held.close()


def installation(
    home: Path, use_cases: Path, *, data: str, clock: str, connections: Mapping[str, str]
) -> dict[str, str]:
    """The settings of an embedded installation, as environment variables.

    Parameters
    ----------
    home: folder of everything it writes.
    use_cases: folder of the use cases that it works on.
    data: what ``{data}`` in a contract stands for.
    clock: wall or given, see :class:`~include.kreislauf.settings.Settings`.
    connections: by the name that contracts use, the SQLAlchemy URLs of databases.
    """
    return {
        "KREISLAUF_HOME": str(home), "KREISLAUF_USE_CASES": str(use_cases), "KREISLAUF_DATA": data,
        "KREISLAUF_CLOCK": clock,
        # two tasks at once on two cores: more threads in each only wait for each other
        "OMP_NUM_THREADS": "1",
        **{connection_variable(name): url for name, url in connections.items()},
    }  # fmt: skip


def log_in_line(stack: EmbeddedStack) -> str:
    """Where Airflow is, and how one gets in."""
    return f"Airflow UI: {stack.airflow_url}  (user {stack.username}, password {stack.password})"


def say_now(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True, file=sys.stdout)


def say_named(say: Callable[[str], None], name: str, line: str) -> None:
    """Say a line of one use case among several."""
    say(f"{name:<16} {line}")
