"""``release``: list the releases of a use case, verify one, read its note, and change the live one at once."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.kreislauf.errors import KreislaufError
from include.kreislauf.settings import Settings, get_settings

if TYPE_CHECKING:
    from include.kreislauf.store.database import Store


def add_release_commands(commands: Any) -> None:
    """Add ``release`` and its actions to the command line's parser."""
    text = "releases: list them, verify one, read its note, take the live one back, or make one live"
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
    promote = actions.add_parser("promote", help="make a release the live one, at once; verified first")
    promote.set_defaults(command=_promote)
    note = actions.add_parser("note", help="the release note, and what was found of the release")
    note.set_defaults(command=_note)
    for action in (listed, verify, rollback, promote, note):
        action.add_argument("use_case", help="name of the use case")
    promote.add_argument("version", type=int, help="number of the release")
    promote.add_argument("--by", required=True, help="your name; stays with the promotion")
    promote.add_argument("--reason", required=True, help="why; stays with the promotion")
    note.add_argument(
        "version", type=int, nargs="?", default=0, help="number of the release; default: the live one"
    )


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
    bad = live.taken_back(changes)
    for one in releases:
        own = next((change for change in changes if change.version == one.version), None)
        at, why = _began(one, own, tried.get(one.version))
        is_live = pointer is not None and pointer.version == one.version
        state = (
            "live" if is_live else "taken back" if one.version in bad else _state(own, tried.get(one.version))
        )
        mark = "*" if is_live else " "
        print(
            f"{mark} {one.version:>4}  {state:<10}  {at:%Y-%m-%d %H:%M}  {one.cycle_id}/{one.attempt}  {why}"
        )
        for line in _since(changes, one.version):
            print(f"{'':<19}  {line}")
    return 0


def _began(release: Any, own: Any, rollout: Any) -> tuple[Any, str]:
    """When a release first went live, and why; else what became of it."""
    if own:
        return own.at, own.reason
    return (rollout.state_at, rollout.note) if rollout else (release.created_at, "")


def _state(own: Any, rollout: Any) -> str:
    return "promoted" if own else str(rollout.state) if rollout else "made"


def _since(changes: Sequence[Any], version: int) -> Iterator[str]:
    """What happened to a release after it first went live: taken back, live again by a rollback or by hand."""
    from include.kreislauf.store import live

    known = False
    for one in changes:
        back = live.is_rollback(changes, one)
        why = one.reason.removeprefix(live.ROLLED_BACK) if back else one.reason
        if back and one.previous == version:
            yield f"{one.at:%Y-%m-%d %H:%M}  taken back: {why}"
        elif known and one.version == version:
            how = f"release {one.previous} was rolled back to it" if back else "live again"
            yield f"{one.at:%Y-%m-%d %H:%M}  {how}: {why}"
        known = known or one.version == version


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
    from include.kreislauf.feedback.by_command import roll_back_now
    from include.kreislauf.store.database import get_store

    settings, store = get_settings(), get_store().require()
    loop = roll_back_now(
        store, settings, options.use_case, by=options.by, reason=options.reason, now=settings.now()
    )
    print(loop.text)
    print(f"told to data science by the next run of mlops: {loop.id}")
    return _confirmed(store, settings, options.use_case)


def _promote(options: argparse.Namespace) -> int:
    from include.kreislauf.feedback.by_command import promote_now
    from include.kreislauf.store.database import get_store

    settings, store = get_settings(), get_store().require()
    promote_now(
        store,
        settings,
        options.use_case,
        options.version,
        by=options.by,
        reason=options.reason,
        now=settings.now(),
    )
    print(f"release {options.version} is live: promoted by {options.by}: {options.reason}")
    return _confirmed(store, settings, options.use_case)


def _confirmed(store: Store, settings: Settings, use_case: str) -> int:
    """Wait for the workers and say what they answer with; 1 when one of them does not answer with what is live."""
    from include.kreislauf.deployment.confirmation import NOT_CONFIRMED, confirm
    from include.kreislauf.store import live

    with store.read() as db:
        pointer = live.live(db, use_case)
    answer = confirm(store, use_case, pointer.version, settings.now) if pointer else ""
    print(f"service: {answer}")
    return 1 if answer.startswith(NOT_CONFIRMED) else 0


def _note(options: argparse.Namespace) -> int:
    from include.kreislauf.deployment.asking import stored_note
    from include.kreislauf.store.database import get_store

    print(stored_note(get_store().require(), options.use_case, options.version or None))
    return 0
