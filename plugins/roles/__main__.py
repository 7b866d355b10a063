"""``python -m plugins.roles``: the roles of the ring, and users that have them.

Runs in Airflow's environment, after ``airflow db migrate``, as often as wanted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from include.kreislauf.errors import KreislaufError
from plugins.roles.accounts import User, make_role, make_user
from plugins.roles.declaration import ROLES

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the roles and the users; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        users = asked_users(options, os.environ)
        require_fab()
        hush()
        require_migrated()
        make(users)
    except KreislaufError as error:
        print(error.text, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    names = ", ".join(role.name for role in ROLES)
    made = argparse.ArgumentParser(
        prog="python -m plugins.roles",
        description=f"Make the roles {names} as they are declared, then the users that are named. "
        "The three options belong together, and may be repeated for several users.",
    )
    made.add_argument("--user", action="append", default=[], metavar="NAME", help="name of the login")
    made.add_argument("--role", action="append", default=[], metavar="ROLE", help="the user's only role")
    made.add_argument(
        "--password-variable", action="append", default=[], metavar="NAME",
        help="environment variable with the user's password",
    )  # fmt: skip
    return made


def asked_users(options: argparse.Namespace, environ: Any) -> list[User]:
    """The users of the options.

    Raises
    ------
    KreislaufError: an option is missing, or a variable is empty.
    """
    names, roles, variables = options.user, options.role, options.password_variable
    if not len(names) == len(roles) == len(variables):
        raise KreislaufError(
            f"{len(names)} users, {len(roles)} roles and {len(variables)} password variables",
            where="options", allowed="as many of each",
        )  # fmt: skip
    for variable in variables:
        if not environ.get(variable):
            raise KreislaufError("is empty", where=variable, next_step="set it to the user's password")
    triples = zip(names, roles, variables, strict=True)
    return [User(name, role, environ[variable]) for name, role, variable in triples]


def require_fab() -> None:
    """Only the FAB auth manager keeps roles.

    Raises
    ------
    KreislaufError: Airflow is set to another auth manager.
    """
    from airflow.configuration import conf

    found = conf.get("core", "auth_manager")
    if found != FAB:
        raise KreislaufError(
            f"{found} keeps no roles", where="AIRFLOW__CORE__AUTH_MANAGER", allowed=FAB,
            next_step="set it, run `airflow db migrate`, then this command again",
        )  # fmt: skip


def require_migrated() -> None:
    """FAB makes missing tables itself, but not as a migration does.

    Raises
    ------
    KreislaufError: the database is away, empty or of another version.
    """
    from airflow.utils.db import check_migrations
    from sqlalchemy.exc import SQLAlchemyError

    try:
        check_migrations(timeout=0)  # type: ignore[no-untyped-call]
    except SQLAlchemyError as error:
        raise KreislaufError(
            f"cannot be read: {getattr(error, 'orig', error)}", where="Airflow's database",
            next_step="check AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, and whether the database runs",
        ) from error  # fmt: skip
    except TimeoutError as error:
        raise KreislaufError(
            "is not of this version", where="Airflow's database", next_step="run `airflow db migrate`"
        ) from error


def make(users: list[User]) -> None:
    """Make roles and users in Airflow's database; says of each what was changed."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        for role in ROLES:
            print(make_role(builder.sm, role))
        for user in users:
            print(make_user(builder.sm, user))


def hush() -> None:
    """Leave out what FAB tells of itself: each of its 200 permissions on an empty database, and old libraries."""
    for talkative in ("airflow.providers.fab", "alembic.runtime.migration"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
