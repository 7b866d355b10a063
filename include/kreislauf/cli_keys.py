"""API keys from a shell: make, list and revoke them."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from include.kreislauf.errors import SettingsError
from include.kreislauf.settings import get_settings


def add_keys(commands: Any) -> None:
    """Add ``keys create``, ``keys list`` and ``keys revoke`` to the command line's parser."""
    keys = commands.add_parser("keys", help="API keys of the prediction service")
    what = keys.add_subparsers(required=True, metavar="what")
    create = what.add_parser("create", help="make a key; its text goes to standard output, this once")
    create.add_argument("name", help="who or what will use it, such as dashboard")
    create.add_argument(
        "--scopes", required=True, help="of predict, outcome, metrics, admin; several with commas"
    )
    create.add_argument("--use-case", default=None, help="the only one it is good for; default: all")
    create.add_argument(
        "--days", type=int, default=365, help="until it expires; 0: never (default: %(default)s)"
    )
    create.add_argument("--by", default="command line", help="who makes it")
    create.add_argument(
        "--secret-file", type=Path, default=None, metavar="FILE",
        help="take the text in this file, krl_<12 hex digits>_<43 characters>, instead of a new one; may be repeated",
    )  # fmt: skip
    create.set_defaults(command=_create)
    what.add_parser("list", help="every key that was ever made").set_defaults(command=_list)
    revoke = what.add_parser("revoke", help="take a key out of use for good")
    revoke.add_argument("id", help="the 12 hex digits after krl_")
    revoke.set_defaults(command=_revoke)


def _create(options: argparse.Namespace) -> int:
    from include.kreislauf.store.api_keys import create_key
    from include.kreislauf.store.database import get_store

    now = get_settings().now()
    text = _read(options.secret_file) if options.secret_file else None
    try:
        expires_at = now + timedelta(days=options.days) if options.days else None
    except OverflowError as error:
        raise SettingsError(f"{options.days} days", where="--days", allowed="0 to 100000") from error
    with get_store().require().write() as db:
        row, made = create_key(
            db, options.name, _scopes(options.scopes), options.by, now, expires_at=expires_at,
            use_case=options.use_case, text=text,
        )  # fmt: skip
    until = f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "without end"
    print(f"key {row.id} of {row.name!r} is good {until}", file=sys.stderr)
    if text is None:
        print("next: keep it now, it is not shown again; send it as 'Authorization: Bearer KEY'", file=sys.stderr)  # fmt: skip
        print(made)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the key cannot be read: {type(error).__name__}", where=str(path), allowed="a file with one key"
        ) from error


def _scopes(text: str) -> list[Any]:
    from include.kreislauf.store.api_keys import Scope

    named = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in named if name not in list(Scope)]:
        raise SettingsError(f"no scope is called {unknown[0]!r}", where="--scopes", allowed=list(Scope))
    return [Scope(name) for name in named]


def _list(_options: argparse.Namespace) -> int:
    from include.kreislauf.store.api_keys import list_keys
    from include.kreislauf.store.database import get_store

    now = get_settings().now()
    with get_store().require().read() as db:
        for one in list_keys(db):
            until = f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "never"
            scopes = ",".join(sorted(one.scopes))
            print(
                f"{one.id}  {one.state(now):<8} {one.name}  scopes={scopes}  use_case={one.use_case or 'all'}  "
                f"made={one.created_at:%Y-%m-%d} by {one.created_by}  expires={until}"
            )
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from include.kreislauf.store.api_keys import revoke
    from include.kreislauf.store.database import get_store

    with get_store().require().write() as db:
        row = revoke(db, options.id, get_settings().now())
    print(f"key {row.id} of {row.name!r} is revoked", file=sys.stderr)
    return 0
