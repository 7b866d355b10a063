"""The environment of an embedded stack: all Airflow settings as variables, secrets in private files."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from include.kreislauf.embedded.ports import LOOPBACK
from include.kreislauf.embedded.processes import StackError

USERNAME = "admin"
# Connections and variables are data for the DAGs; every other AIRFLOW setting of the caller's shell, such as
# the database of a production Airflow, must not reach the stack.
_KEPT_PREFIXES = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
# Compiled bytecode halves the import time of every component and task.
_DROPPED = {"PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Secrets:
    """Random keys of one stack, the same after a restart."""

    fernet_key: str
    jwt_secret: str
    secret_key: str


def load_secrets(home: Path) -> Secrets:
    """Read the keys from `<home>/secrets.json` (mode 0600), making them at the first start.

    Raises
    ------
    StackError: the file is damaged.
    """
    path = home / "secrets.json"
    if not path.exists():
        fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        fresh = Secrets(fernet_key, secrets.token_urlsafe(48), secrets.token_urlsafe(48))
        write_private(path, json.dumps(asdict(fresh)))
    try:
        return Secrets(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise StackError(
            f"the keys cannot be read ({error})",
            where=str(path),
            next_step="delete the file; passwords stored in Airflow connections have to be entered again",
        ) from error


def load_password(path: Path) -> str:
    """The administrator's password, from the file (mode 0600) of SimpleAuthManager, made at the first start.

    Raises
    ------
    StackError: the file is damaged.
    """
    if not path.exists():
        write_private(path, json.dumps({USERNAME: secrets.token_urlsafe(16)}))
    try:
        return str(json.loads(path.read_text())[USERNAME])
    except (ValueError, TypeError, KeyError) as error:
        raise StackError(
            f"no password for {USERNAME} can be read ({error!r})",
            where=str(path),
            next_step="delete the file; a new password is made at the next start",
        ) from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    temporary.replace(path)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What the stack takes over from the caller's environment."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _DROPPED and (not name.startswith("AIRFLOW") or name.startswith(_KEPT_PREFIXES))
    }
    local = f"{LOOPBACK},localhost"
    for name in ("NO_PROXY", "no_proxy"):  # tasks talk to the API server on loopback, never through a proxy
        kept[name] = f"{kept[name]},{local}" if kept.get(name) else local
    return kept


def airflow_settings(airflow_home: Path, root: Path, port: int, keys: Secrets) -> dict[str, str]:
    """Airflow's configuration for one computer: LocalExecutor, SQLite, everything on loopback."""
    url = f"http://{LOOPBACK}:{port}"
    bundle = {
        "name": "kreislauf",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(root)},
    }
    sections: dict[str, dict[str, object]] = {
        "core": {
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "dags_folder": root,
            "execution_api_server_url": f"{url}/execution/",
            "executor": "LocalExecutor",
            "fernet_key": keys.fernet_key,
            "hostname_callable": "socket.gethostname",  # the default asks the name server
            "load_examples": False,
            "min_serialized_dag_update_interval": 5,
            "parallelism": 4,
            "plugins_folder": root / "plugins",
            "simple_auth_manager_passwords_file": airflow_home / "passwords.json",
            "simple_auth_manager_users": f"{USERNAME}:admin",
        },
        "database": {
            # the stack migrates before it starts anything, so five components need not check: 0.7 CPU-s each
            "check_migrations": False,
            "sql_alchemy_conn": f"sqlite:///{airflow_home}/airflow.db?timeout=30",
        },
        "api": {"base_url": url, "host": LOOPBACK, "port": port, "secret_key": keys.secret_key, "workers": 1},
        "api_auth": {"jwt_secret": keys.jwt_secret},
        "scheduler": {
            "enable_health_check": False,
            # tasks of a stack that was killed run again after half a minute instead of five
            "orphaned_tasks_check_interval": 30,
            "scheduler_idle_sleep_time": 0.1,
        },
        "dag_processor": {
            "dag_bundle_config_list": json.dumps([bundle]),
            "min_file_process_interval": 30,  # changed files are parsed at once all the same
            "print_stats_interval": 300,
            "refresh_interval": 10,  # new files
        },
        # on a busy computer an answer can take longer than the default of 5 s
        "workers": {"execution_api_timeout": 30},
        "metrics": {"otel_on": False, "statsd_on": False},
        "traces": {"otel_on": False},
    }
    return {
        f"AIRFLOW__{section}__{option}".upper(): str(value)
        for section, options in sections.items()
        for option, value in options.items()
    }


def stack_environment(
    *, airflow_home: Path, root: Path, port: int, keys: Secrets, overrides: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a stack's processes; `overrides` win."""
    return {
        **inherited(os.environ),
        "AIRFLOW_HOME": str(airflow_home),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
        # setproctitle would overwrite the environment shown in /proc, and with it the mark
        "SPT_NOENV": "1",
        **airflow_settings(airflow_home, root, port, keys),
        **overrides,
    }
