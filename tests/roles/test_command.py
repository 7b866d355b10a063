"""``python -m plugins.roles`` on a real database: idempotent, owns its roles wholly, shows no password."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from include.kreislauf.settings import ROOT
from plugins.roles.__main__ import main
from plugins.roles.declaration import ROLES, WATCHER
from plugins.roles.permissions import permissions_of
from tests.roles.server import PASSWORD, TIMEOUT, environment

pytestmark = pytest.mark.ring

BY_NAME = {role.name: role for role in ROLES}
Run = Callable[..., "subprocess.CompletedProcess[str]"]

GIVEN = """
SELECT a.name, r.name FROM ab_role o JOIN ab_permission_view_role l ON l.role_id = o.id
JOIN ab_permission_view p ON p.id = l.permission_view_id JOIN ab_permission a ON a.id = p.permission_id
JOIN ab_view_menu r ON r.id = p.view_menu_id WHERE o.name = :role
"""
GIVE = """
INSERT INTO ab_permission_view_role (permission_view_id, role_id)
SELECT p.id, (SELECT id FROM ab_role WHERE name = 'Watcher') FROM ab_permission_view p
JOIN ab_permission a ON a.id = p.permission_id JOIN ab_view_menu r ON r.id = p.view_menu_id
WHERE a.name = 'can_delete' AND r.name = 'DAGs'
"""
TAKE = "DELETE FROM ab_permission_view_role WHERE role_id = (SELECT id FROM ab_role WHERE name = 'Data Engineer')"
HASHES = "SELECT username, password FROM ab_user"
ROLES_OF = (
    "SELECT r.name FROM ab_user u JOIN ab_user_role l ON l.user_id = u.id JOIN ab_role r ON r.id = l.role_id "
    "WHERE u.username = :user"
)


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A database right after `airflow db migrate`."""
    made = environment(tmp_path_factory.mktemp("command"), ROOT, 1) | {PASSWORD: "the-first-of-two"}
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=made, check=True, capture_output=True, timeout=TIMEOUT)
    return made


@pytest.fixture(scope="module")
def run(env: dict[str, str]) -> Run:
    """The command, with some variables changed."""

    def made(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "plugins.roles", *arguments]
        return subprocess.run(
            command, env=env | variables, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT
        )

    return made


@pytest.fixture
def db(env: dict[str, str]) -> Iterator[Connection]:
    engine = create_engine(env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def user(name: str, role: str, variable: str = PASSWORD) -> list[str]:
    return ["--user", name, "--role", role, "--password-variable", variable]


def permissions_in(db: Connection, role: str) -> set[tuple[str, ...]]:
    return {tuple(row) for row in db.execute(text(GIVEN), {"role": role})}


def hashes_in(db: Connection) -> dict[str, str]:
    return {row.username: row.password for row in db.execute(text(HASHES))}


@pytest.fixture(scope="module")
def first(run: Run) -> subprocess.CompletedProcess[str]:
    """What the command says the first time."""
    return run(*user("admin", "Admin"), *user("watcher", "Watcher"))


def test_roles_and_users_are_made_as_declared(
    first: subprocess.CompletedProcess[str], db: Connection
) -> None:
    assert (first.returncode, "user watcher: made, Watcher" in first.stdout) == (0, True), first.stderr
    assert {role.name: permissions_in(db, role.name) for role in ROLES} == {
        role.name: permissions_of(role) for role in ROLES
    }
    assert db.execute(text(ROLES_OF), {"user": "admin"}).scalars().all() == ["Admin"]
    assert "-of-two" not in first.stdout + first.stderr
    assert "Added Permission" not in first.stdout + first.stderr


@pytest.mark.usefixtures("first")
def test_the_second_time_changes_nothing(run: Run, db: Connection) -> None:
    before = hashes_in(db)
    db.commit()
    said = run(*user("admin", "Admin"), *user("watcher", "Watcher")).stdout
    own = [line for line in said.splitlines() if line.startswith(("role ", "user "))]
    assert (len(own), {line.rpartition(": ")[2] for line in own}) == (len(ROLES) + 2, {"unchanged"})
    assert hashes_in(db) == before


@pytest.mark.usefixtures("first")
def test_drift_is_undone_and_a_changed_user_changed(run: Run, db: Connection) -> None:
    before = hashes_in(db)
    assert db.execute(text(GIVE)).rowcount == 1
    assert db.execute(text(TAKE)).rowcount > 10
    db.commit()
    done = run(*user("watcher", "Data Engineer"), **{PASSWORD: "the-second-of-two"})
    assert "role Watcher: 0 permissions given, 1 taken away" in done.stdout
    # FAB itself had given the website back before
    missing = len(permissions_of(BY_NAME["Data Engineer"])) - 1
    assert f"role Data Engineer: {missing} permissions given, 0 taken away" in done.stdout
    assert "user watcher: now Data Engineer, new password" in done.stdout
    assert permissions_in(db, "Watcher") == permissions_of(WATCHER)
    assert db.execute(text(ROLES_OF), {"user": "watcher"}).scalars().all() == ["Data Engineer"]
    after = hashes_in(db)
    assert {name for name in after if after[name] != before[name]} == {"watcher"}
    assert "-of-two" not in done.stdout + done.stderr


@pytest.mark.parametrize(("arguments", "variables", "said"), [
    (user("ada", "Emperor"), {}, "user ada: there is no role 'Emperor'; allowed: Admin, Data Engineer, "),
    ([], {"AIRFLOW__CORE__AUTH_MANAGER": "airflow.SimpleAuthManager"},
     "AIRFLOW__CORE__AUTH_MANAGER: airflow.SimpleAuthManager keeps no roles; allowed: airflow.providers.fab."),
    ([], {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db"},
     "Airflow's database: cannot be read: unable to open database file; next: check AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
    ([], {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:///{empty}"},
     "Airflow's database: is not of this version; next: run `airflow db migrate`"),
])  # fmt: skip
def test_what_cannot_be_done_is_said(
    run: Run, tmp_path: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    done = run(
        *arguments, **{name: value.format(empty=tmp_path / "empty.db") for name, value in variables.items()}
    )
    assert (done.returncode, said in done.stderr) == (1, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "said"), [
    (user("ada", "Admin", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE: is empty; next: set it to the user's password"),
    (["--user", "ada"], "options: 1 users, 0 roles and 0 password variables; allowed: as many of each"),
])  # fmt: skip
def test_what_is_missing_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
