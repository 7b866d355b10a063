"""Airflow's API server under the FAB auth manager, with a user of every role: real, but without anything that runs tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from include.kreislauf.embedded.environment import load_secrets, stack_environment
from include.kreislauf.embedded.ports import reserve_port
from include.kreislauf.embedded.readiness import airflow_is_healthy
from include.kreislauf.embedded.supervision import ProcessSet
from include.kreislauf.settings import ROOT
from include.kreislauf.store.database import Store
from plugins.roles.__main__ import FAB
from plugins.roles.declaration import ROLES

TIMEOUT = 150.0  # seconds on a busy machine
ADMIN, NOBODY = "Admin", "Public"
PASSWORD = "KREISLAUF_TEST_PASSWORD"
EVERYBODY = (*(role.name for role in ROLES), ADMIN, NOBODY)

ELSEWHERE = """
from datetime import datetime
from airflow.sdk import DAG, task

with DAG("elsewhere", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=False):
    @task
    def work():
        return "of another team"
    work()
"""


@dataclass
class Server:
    """A running API server; users are named like their only role."""

    url: str
    home: Path
    env: dict[str, str]
    client: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> str:
        """URL of Airflow's database."""
        return self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]

    def ask(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """A request of a user; of nobody at all, without a login."""
        headers = {"Authorization": f"Bearer {self.token(who)}"} if who else {}
        return self.client.request(method, path, headers=headers, **options)

    def token(self, who: str) -> str:
        """The user's token; logs in at first."""
        if who not in self.tokens:
            body = {"username": who, "password": self.env[PASSWORD]}
            answer = self.client.post("/auth/token", json=body)
            assert answer.status_code == 201, answer.text
            self.tokens[who] = answer.json()["access_token"]
        return self.tokens[who]


def bundle(root: Path) -> Path:
    """The project's own bundle, with one DAG more."""
    (root / "dags").mkdir(parents=True)
    for path in (ROOT / "dags").iterdir():
        (root / "dags" / path.name).symlink_to(path)
    for name in ("include", "plugins", ".airflowignore"):
        (root / name).symlink_to(ROOT / name)
    (root / "dags" / "elsewhere.py").write_text(ELSEWHERE)
    return root


def environment(home: Path, root: Path, port: int) -> dict[str, str]:
    """The variables of a server under FAB on a database of its own."""
    own = {
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "KREISLAUF_HOME": str(home),
        "KREISLAUF_CANARY": "true",
        PASSWORD: "one-for-all-of-them",
    }
    (home / "airflow").mkdir(parents=True, exist_ok=True)
    (home / "airflow" / "airflow.cfg").touch()
    return stack_environment(
        airflow_home=home / "airflow", root=root, port=port, keys=load_secrets(home), overrides=own
    )


def roles_command(*names: str) -> list[str]:
    """The command that makes the roles, and a user for each of some."""
    users = [
        part for name in names for part in ("--user", name, "--role", name, "--password-variable", PASSWORD)
    ]
    return [sys.executable, "-m", "plugins.roles", *users]


@contextmanager
def running(home: Path) -> Iterator[Server]:
    """Database, roles, users and DAGs made as in a deployment, and the server over them."""
    reserved = reserve_port(0)
    root = bundle(home / "bundle")
    env = environment(home, root, reserved.port)
    Store(f"sqlite:///{home / 'kreislauf.db'}").upgrade()
    processes = ProcessSet(home, root, lambda _: None)
    url = f"http://127.0.0.1:{reserved.port}"
    airflow = [sys.executable, "-m", "airflow"]
    processes.acquire()
    try:
        processes.run("db-migrate", [*airflow, "db", "migrate"], env, TIMEOUT)
        processes.run("roles", roles_command(*EVERYBODY), env, TIMEOUT)
        processes.run("reserialize", [*airflow, "dags", "reserialize"], env, TIMEOUT)
        processes.start("api-server", [*airflow, "api-server"], env, lambda: _ready(url), TIMEOUT)
        with httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False) as client:
            yield Server(url, home, env, client)
    finally:
        processes.stop(10.0)
        reserved.release()


def _ready(url: str) -> bool:
    return airflow_is_healthy(url, [], datetime.now(UTC))
