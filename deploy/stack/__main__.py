"""`python3 -m deploy.stack COMMAND`; the targets of make call it.

Exit codes: 0 done; 1 failed on the way, the text says what state that leaves; 2 refused, nothing was changed; 3 the stack
runs, but the canary did not come through; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

from deploy.stack import env_file
from deploy.stack.backup import backup
from deploy.stack.errors import Failed, Refused
from deploy.stack.preflight import FLOOR_GIB, preflight
from deploy.stack.restore import restore
from deploy.stack.stack import Stack, say
from deploy.stack.up import HEALTHY_SECONDS, down, up
from deploy.stack.upgrade import upgrade
from include.kreislauf.errors import KreislaufError

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python3 -m deploy.stack", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    top.add_argument(
        "--project", default="", help="name of the stack; default: COMPOSE_PROJECT_NAME, or the folder's"
    )
    top.add_argument("--env-file", type=Path, help="file with settings and secrets; default: .env")
    top.add_argument("--file", type=Path, action="append", default=[], help="Compose file, may come again")
    top.add_argument("--min-free-gb", type=float, default=FLOOR_GIB, help="disk that must be free, in GiB")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("secrets", help="write .env with a fresh value for each secret that has none")
    commands.add_parser("check", help="look for all that would keep `up` from working; changes nothing")
    for name in ("up", "upgrade"):
        one = commands.add_parser(name, help=_HELP[name])
        one.add_argument(
            "--no-canary", dest="canary", action="store_false", help="end when every container is healthy"
        )
        one.add_argument("--timeout", type=float, default=HEALTHY_SECONDS, help="seconds to become healthy")
        one.add_argument("--workers", type=_number(1), default=0, help="number of Celery workers")
        one.add_argument("--no-build", dest="build", action="store_false", help="take the images as they are")
    one.add_argument("--to", type=Path, default=Path("backups"), help="folder of backups")
    one = commands.add_parser("down", help="stop; volumes stay")
    one.add_argument("--volumes", action="store_true", help="delete every volume")
    one.add_argument("--confirm", default="", help="the project's name, for --volumes")
    one = commands.add_parser("backup", help="save databases and files, while everything runs")
    one.add_argument("--to", type=Path, required=True, help="folder of backups; each gets a folder in it")
    one.add_argument("--keep", type=_number(0), default=0, help="remove older backups but so many; 0: none")
    one.add_argument("--encrypt", default="", help='filter, such as "age -r RECIPIENT"')
    one = commands.add_parser("restore", help="bring a backup into empty volumes")
    one.add_argument("--from", dest="source", type=Path, required=True, help="folder of one backup")
    one.add_argument("--decrypt", default="", help='filter, such as "age -d -i KEYFILE"')
    return top


def _number(least: int) -> Callable[[str], int]:
    """The type of an option: a whole number from ``least`` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return number


_HELP = {"up": "check, build, start, and try", "upgrade": "back up, build, and go on with the new code"}


def write_secrets(stack: Stack) -> None:
    """Fill in `.env`; it is made from `.env.example` where it is missing.

    Raises
    ------
    Refused: others can read the file.
    """
    path = stack.env_file
    if path.is_file() and (faults := env_file.mode_faults(path)):
        raise Refused(faults)
    source = path if path.is_file() else stack.root / ".env.example"
    text, made = env_file.fill(source.read_text("utf-8"), stack.required)
    if made or source != path:
        env_file.write(path, text)
    say(f"{path} (mode 0600): made {', '.join(made) or 'nothing, every secret has a value'}")
    say("keep a copy of it where the backups are not: they do not hold it, and need its AIRFLOW_FERNET_KEY")


def run(stack: Stack, given: argparse.Namespace) -> None:
    """Do what the command line says."""
    now, floor = datetime.now(timezone.utc), given.min_free_gb
    if given.command == "secrets":
        write_secrets(stack)
    elif given.command == "check":
        preflight(stack, floor_gib=floor).require()
        say("nothing keeps the stack from being started")
    elif given.command == "up":
        up(
            stack,
            build=given.build,
            workers=given.workers,
            canary=given.canary,
            seconds=given.timeout,
            floor_gib=floor,
        )
    elif given.command == "down":
        down(stack, volumes=given.volumes, confirm=given.confirm)
    elif given.command == "backup":
        backup(stack, given.to, now, keep=given.keep, encrypt=given.encrypt)
    elif given.command == "restore":
        restore(stack, given.source, decrypt=given.decrypt)
    else:
        upgrade(stack, given.to, now, build=given.build, workers=given.workers, canary=given.canary,
                seconds=given.timeout, floor_gib=floor)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run a command; its exit code."""
    given = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    stack = Stack.here(ROOT, os.environ, project=given.project, file=given.env_file and given.env_file.absolute(),
                       files=[one.absolute() for one in given.file])  # fmt: skip
    try:
        run(stack, given)
    except Refused as error:
        say(f"nothing was changed, because of {len(error.faults)} fault{'s'[: len(error.faults) != 1]}:")
        for one in error.faults:
            say(shown(one))
        return error.code
    except Failed as error:
        say(shown(error))
        return error.code
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def shown(one: KreislaufError) -> str:
    """A message, a line for each of its parts."""
    lines = [f"- {one.where}: {one.what}" if one.where else f"- {one.what}"]
    lines += [f"  allowed: {one.allowed}"] if one.allowed else []
    return "\n".join([*lines, f"  next: {one.next_step}"] if one.next_step else lines)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
