"""``release``: list the releases of a use case, verify one, or take the live one back at once."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.settings import get_settings


def add_release_commands(commands: Any) -> None:
    """Add ``release list``, ``release verify`` and ``release rollback`` to the command line's parser."""
    text = "releases: list them, verify one, or take the live one back"
    actions = commands.add_parser("release", help=text, description=text).add_subparsers(
        required=True, metavar="action"
    )
    listed = actions.add_parser("list", help="every release: its state, when, by whom and why")
    listed.set_defaults(command=_list)
    verify = actions.add_parser(
        "verify", help="prove a release's signature and files, and run its golden rows"
    )
    verify.add_argument("--version", type=int, default=0, help="number of the release; 0: the live one")
    verify.set_defaults(command=_verify)
    rollback = actions.add_parser("rollback", help="point back to the release before, at once")
    rollback.add_argument("--by", default=getpass.getuser(), help="your name; stays with the rollback")
    rollback.add_argument("--reason", required=True, help="why; stays with the rollback")
    rollback.set_defaults(command=_rollback)
    for action in (listed, verify, rollback):
        action.add_argument("use_case")


def _list(options: argparse.Namespace) -> int:
    from include.kreislauf.store import live, rollouts
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        pointer = live.live(db, options.use_case)
        releases = live.releases_of(db, options.use_case)
        tried = {one.version: one for one in rollouts.rollouts_of(db, options.use_case)}
        changes = live.promotions_of(db, options.use_case)
    if not releases:
        raise KreislaufError("no release yet", where=options.use_case, next_step="let the ring run")
    for one in releases:
        rollout = tried.get(one.version)
        last = [change for change in changes if change.version == one.version][-1:]
        mark = "*" if pointer and pointer.version == one.version else " "
        state = "live" if mark == "*" else (rollout.state if rollout else ("promoted" if last else "made"))
        at = last[0].at if last else (rollout.state_at if rollout else one.created_at)
        why = last[0].reason if last else (rollout.note if rollout else "")
        print(
            f"{mark} {one.version:>4}  {state:<9}  {at:%Y-%m-%d %H:%M}  {one.cycle_id}/{one.attempt}  {why}"
        )
    return 0


def _verify(options: argparse.Namespace) -> int:
    from include.kreislauf.deployment.release import verify_release
    from include.kreislauf.store import live
    from include.kreislauf.store.database import get_store

    with get_store().require().read() as db:
        pointer = live.live(db, options.use_case)
        version = options.version or (pointer.version if pointer else 0)
        row = live.find_release(db, options.use_case, version)
    if row is None:
        raise KreislaufError(
            f"there is no release {version or 'that is live'}", where=options.use_case,
            next_step=f"python -m include.kreislauf release list {options.use_case}",
        )  # fmt: skip
    print(verify_release(row, get_settings()).text)
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from include.kreislauf.deployment.confirmation import confirm
    from include.kreislauf.feedback.by_command import roll_back_now
    from include.kreislauf.store import live
    from include.kreislauf.store.database import get_store

    settings, store = get_settings(), get_store().require()
    loop = roll_back_now(
        store, settings, options.use_case, by=options.by, reason=options.reason, now=settings.now()
    )
    print(loop.text)
    with store.read() as db:
        pointer = live.live(db, options.use_case)
    if pointer:
        print(f"service: {confirm(store, options.use_case, pointer.version, settings.now)}")
    print(f"told to data science by the next run of mlops: {loop.id}")
    return 0 if loop.text.startswith("rolled back") else 1
