"""Roles and users in FAB's tables, made to be as they are declared. Repeating it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from include.kreislauf.errors import KreislaufError
from plugins.roles.declaration import AirflowRole
from plugins.roles.permissions import permissions_of


@dataclass(frozen=True)
class User:
    """Somebody, or something, that logs in with a password.

    Parameters
    ----------
    name: of the login.
    role: name of the only role.
    password: never shown; ``repr`` leaves it out.
    """

    name: str
    role: str
    password: str

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role!r})"


def make_role(manager: Any, role: AirflowRole) -> str:
    """Give a role exactly its permissions, in one transaction; returns what was changed.

    Parameters
    ----------
    manager: FAB's security manager.
    """
    known = manager.find_role(role.name)
    before = {(one.action.name, one.resource.name) for one in known.permissions} if known else set()
    wanted = permissions_of(role)
    if known and before == wanted:
        return f"role {role.name}: unchanged"
    made = known or manager.add_role(role.name)
    made.permissions = [manager.create_permission(*pair) for pair in sorted(wanted)]
    manager.session.commit()
    return f"role {role.name}: {len(wanted - before)} permissions given, {len(before - wanted)} taken away"


def make_user(manager: Any, user: User) -> str:
    """Make a user, or give a known one the role and the password; returns what was changed.

    Raises
    ------
    KreislaufError: there is no such role, or FAB could not write.
    """
    role = manager.find_role(user.role)
    if role is None:
        raise KreislaufError(
            f"there is no role {user.role!r}", where=f"user {user.name}",
            allowed=sorted(one.name for one in manager.get_all_roles()),
        )  # fmt: skip
    known = manager.find_user(username=user.name)
    if known is None:
        made = manager.add_user(user.name, user.name, "", _address(user), role, user.password)
        _require(made, user)
        return f"user {user.name}: made, {user.role}"
    changes = list(_changes(manager, known, role, user))
    return f"user {user.name}: {', '.join(changes) or 'unchanged'}"


def _changes(manager: Any, known: Any, role: Any, user: User) -> Iterable[str]:
    if [one.id for one in known.roles] != [role.id]:
        known.roles = [role]
        _require(manager.update_user(known), user)
        yield f"now {user.role}"
    if not manager.check_password(user.name, user.password):
        _require(manager.reset_password(known.id, user.password), user)
        yield "new password"
    if not known.is_active:
        yield "deactivated by a person, and stays so"


def _address(user: User) -> str:
    """FAB wants an address, another one for each user; nothing is ever sent to it."""
    return f"{user.name}@localhost"


def _require(done: Any, user: User) -> None:
    if not done:
        raise KreislaufError(
            "cannot be written", where=f"user {user.name}", next_step="read the lines above: FAB says why"
        )
