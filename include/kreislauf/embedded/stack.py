"""The embedded stack: Airflow and the prediction service on one computer, started and stopped as one.

`airflow standalone` leaves orphans when it is terminated, opens its log servers to the network and cannot run
twice. This stack starts the components itself. It has no log servers, since all logs are on this computer's
disk, and no triggerer unless asked to: since Airflow 3.3 human-in-the-loop tasks wait without one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.database import is_migrated, record_migrated
from include.kreislauf.embedded.environment import USERNAME, load_password, load_secrets, stack_environment
from include.kreislauf.embedded.ports import LOOPBACK, PortReservation, reserve_port
from include.kreislauf.embedded.processes import Component, StackError
from include.kreislauf.embedded.readiness import airflow_is_healthy, answers, missing_dags
from include.kreislauf.embedded.signals import stop_on_signals
from include.kreislauf.embedded.supervision import ProcessSet

__all__ = ["EmbeddedStack", "StackError", "stop_on_signals"]

AIRFLOW_PORT = 8080
SERVICE_PORT = 8000
_OWN_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# `python -m airflow`, with a garbage collector that does not search the many schema objects again and again:
# 2 of 9 CPU-s less until it is ready, 3 s less to its end. Not for the scheduler, whose forks are the tasks.
_API_SERVER = (
    "import atexit, gc, runpy; gc.set_threshold(50_000, 20, 10); atexit.register(gc.freeze); "
    "runpy.run_module('airflow', run_name='__main__', alter_sys=True)"
)


class EmbeddedStack:
    """Airflow (API server, scheduler with LocalExecutor, DAG processor) and the prediction service.

    A context manager: entering starts everything and waits until it is healthy, leaving stops everything.

    Parameters
    ----------
    home: folder for all state: database, logs, keys, password. One stack at a time per home.
    root: bundle root with `dags/`, `plugins/` and `include/`.
    env: further environment variables for all processes; they win over the stack's own settings.
    with_service: start the prediction service too.
    with_triggerer: start Airflow's triggerer, which deferrable operators need.
    with_watcher: start what has a live metric checked as soon as it falls, instead of when a check is due.
    airflow_port: of Airflow's UI, if it is free; else any other.
    start_timeout: seconds within which each step of the start has to succeed.
    say: receives one line per step.
    """

    def __init__(
        self,
        home: Path,
        root: Path,
        *,
        env: Mapping[str, str] = {},
        with_service: bool = True,
        with_triggerer: bool = False,
        with_watcher: bool = False,
        airflow_port: int = AIRFLOW_PORT,
        start_timeout: float = 120.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home.resolve()
        self.root = root.resolve()
        self.airflow_home = self.home / "airflow"
        self.airflow_url = ""
        self.service_url = ""
        self.username = USERNAME
        self.password = ""
        self.env: dict[str, str] = {}
        self._overrides = dict(env)
        self._with_service = with_service
        self._with_triggerer = with_triggerer
        self._with_watcher = with_watcher
        self._airflow_port = airflow_port
        self._timeout = start_timeout
        self._say = say
        self._processes = ProcessSet(self.home, self.root, say)
        self._ports: list[PortReservation] = []
        self._service_port = 0
        self._started_at = datetime.now(UTC)

    @property
    def stack_id(self) -> str:
        """The mark that every process of this stack carries in its environment."""
        return self._processes.stack_id

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` is at work."""
        return self._processes.stopping

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def up(self) -> None:
        """Start everything and wait until it is healthy.

        Raises
        ------
        StackError: another stack uses this home, a component died or did not get ready; nothing stays.
        """
        begin = time.monotonic()
        try:
            self._processes.acquire()
            self._prepare()
            self._start_airflow()
            if self._with_service:
                self._start_service()
            self._processes.wait("Airflow", self._is_healthy, self._timeout)
            if self._with_watcher:
                self._start_watcher()
        except BaseException:
            self.stop(grace=4.0)
            raise
        self._say(f"Airflow is ready after {time.monotonic() - begin:.1f} s: {self.airflow_url}")
        if self._with_service:
            self._say(f"The prediction service is ready: {self.service_url}")

    def start(
        self,
        name: str,
        argv: Sequence[str],
        ready: Callable[[], bool] = lambda: True,
        *,
        timeout: float | None = None,
    ) -> Component:
        """Start a further process as part of the stack and wait until `ready` answers True.

        Raises
        ------
        StackError: this or another component died, or it was not ready in time.
        """
        self._say(f"Starting {name}")
        return self._processes.start(
            name, argv, self.env, ready, self._timeout if timeout is None else timeout
        )

    def api(self) -> AirflowApi:
        """A client of Airflow's API, logged in as the administrator; to be closed by the caller."""
        return AirflowApi(self.airflow_url, self.username, self.password)

    def wait_for_dags(self, dag_ids: Iterable[str], *, timeout: float = 60.0, unpause: bool = False) -> None:
        """Wait until this start of the stack has parsed the DAGs and none is paused.

        Raises
        ------
        StackError: a file cannot be imported (with its stack trace), a DAG is paused, or not found in time.
        """
        wanted, deadline = set(dag_ids), time.monotonic() + timeout
        with self.api() as api:
            while missing := missing_dags(api, wanted, self._started_at, unpause):
                self.check()
                if time.monotonic() > deadline:
                    raise StackError(
                        f"DAGs not found after {timeout:g} s: {', '.join(sorted(missing))}",
                        where=str(self.root),
                        next_step=f"check .airflowignore, read {self._processes.log_dir}/dag-processor.log",
                    )
                time.sleep(0.2)

    def check(self) -> None:
        """Raise the :class:`StackError` of a component that ended, if there is one."""
        self._processes.check()

    def watch(self, poll: float = 1.0, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Block while all components run; ends by an exception, a signal's or the one of :meth:`check`.

        Parameters
        ----------
        meanwhile: called at each look.
        """
        while True:
            self.check()
            meanwhile()
            time.sleep(poll)

    def stop(self, grace: float = 10.0) -> None:
        """Stop every process of the stack and whatever they have started; harmless when repeated.

        Tasks that are running receive a SIGTERM and run again after the next start, retries or not: with the
        API server stopped first, they cannot report themselves as failed.
        """
        try:
            self._processes.stop(grace, first="api-server")
        finally:
            while self._ports:
                self._ports.pop().release()

    def _prepare(self) -> None:
        """Choose ports, load or make the keys, and write down the environment."""
        self._started_at = datetime.now(UTC)
        self.airflow_home.mkdir(parents=True, exist_ok=True)
        # With a file in place Airflow does not write its own, which two components would do at the same time.
        (self.airflow_home / "airflow.cfg").touch()
        port = self._reserve(self._airflow_port)
        self.airflow_url = f"http://{LOOPBACK}:{port}"
        if self._with_service:
            self._service_port = self._reserve(SERVICE_PORT)
            self.service_url = f"http://{LOOPBACK}:{self._service_port}"
        self.password = load_password(self.airflow_home / "passwords.json")
        self.env = stack_environment(
            airflow_home=self.airflow_home,
            root=self.root,
            port=port,
            keys=load_secrets(self.home),
            overrides={"KREISLAUF_SERVICE_URL": self.service_url, **self._overrides},
        )

    def _reserve(self, preferred: int) -> int:
        self._ports.append(reserve_port(preferred))
        return self._ports[-1].port

    def _start_airflow(self) -> None:
        """Migrate the database when needed, and start the components as early as possible."""
        database, record = self.airflow_home / "airflow.db", self.home / "migrated.json"
        is_own = _OWN_DATABASE not in self._overrides
        is_new = is_own and not database.exists()
        if is_new:  # the API server imports for longer than it takes to make the tables it will need
            self._start_airflow_component("api-server")
        if not (is_own and is_migrated(database, record)):
            self._say("Creating Airflow's database" if is_new else "Updating Airflow's database")
            self._processes.run("db-migrate", _airflow("db", "migrate"), self.env, self._timeout)
            if is_own:
                record_migrated(database, record)
        if not is_new:
            self._start_airflow_component("api-server")
        self._start_airflow_component("scheduler", "--skip-serve-logs")
        self._start_airflow_component("dag-processor")
        if self._with_triggerer:
            self._start_airflow_component("triggerer", "--skip-serve-logs", "--capacity", "20")

    def _start_airflow_component(self, name: str, *options: str) -> None:
        self.start(name, _airflow(name, *options))

    def _start_service(self) -> None:
        argv = [sys.executable, "-m", "include.kreislauf.service", "--host", LOOPBACK]
        argv += ["--port", str(self._service_port)]
        self._say("Starting service")
        self._processes.start(
            "service",
            argv,
            self._without_airflow(),
            lambda: answers(f"{self.service_url}/live"),
            self._timeout,
        )

    def _start_watcher(self) -> None:
        argv = [sys.executable, "-m", "include.kreislauf", "watch", "--airflow", self.airflow_url]
        alive = self.home / "watcher.alive"
        alive.unlink(missing_ok=True)
        argv += ["--passwords", str(self.airflow_home / "passwords.json"), "--alive", str(alive)]
        self._say("Starting watcher")
        self._processes.start("watcher", argv, self._without_airflow(), alive.exists, self._timeout)

    def _without_airflow(self) -> dict[str, str]:
        """The environment of what is no part of Airflow."""
        return {name: value for name, value in self.env.items() if not name.startswith("AIRFLOW")}

    def _is_healthy(self) -> bool:
        components = ["scheduler", "dag_processor"] + ["triggerer"] * self._with_triggerer
        healthy = airflow_is_healthy(self.airflow_url, components, self._started_at)
        # The first request builds all versions of the task API: 4 CPU-s that the first task would wait for.
        return healthy and answers(f"{self.airflow_url}/execution/health", timeout=self._timeout)


def _airflow(*arguments: str) -> list[str]:
    start = ["-c", _API_SERVER] if arguments[0] == "api-server" else ["-m", "airflow"]
    return [sys.executable, *start, *arguments]
