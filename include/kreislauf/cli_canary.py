"""``canary``: sends a tiny use case through the running ring, shows how far it comes, and says what does not work."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from include.kreislauf.cli_airflow import PASSWORD, USER, add_airflow_options, airflow_login
from include.kreislauf.cli_options import span

if TYPE_CHECKING:
    from include.kreislauf.canary.watching import CanaryError
    from include.kreislauf.embedded.airflow_api import AirflowApi

MOST_SECONDS = 3600
PAUSE = 1.0


def add_canary(commands: Any) -> None:
    """Add ``canary`` to the command line's parser."""
    text = "send a tiny use case through the running ring, and say what does not work"
    parser = commands.add_parser(
        "canary",
        help=text,
        description=f"{text}. Logs in as {USER} (default: admin) with {PASSWORD}, or the password of --passwords.",
    )
    add_airflow_options(parser)
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=240.0,
        metavar="SECONDS",
        help="for the result (default: %(default)g)",
    )
    parser.set_defaults(command=_canary)


def _seconds(text: str) -> float:
    return span(text, "seconds", MOST_SECONDS)


def _canary(options: argparse.Namespace) -> int:
    from include.kreislauf.embedded.airflow_api import AirflowApi

    user, password = airflow_login(options.passwords)
    with AirflowApi(options.airflow, user, password) as airflow:
        print(_Run(airflow, options.wait).result())
    return 0


@dataclass
class _Run:
    """One canary, from its start to its result."""

    airflow: AirflowApi
    wait: float
    _began: float = field(default_factory=time.monotonic)
    _told: set[str] = field(default_factory=set)

    def result(self) -> str:
        """The canary's line.

        Raises
        ------
        CanaryError: what does not work.
        """
        from include.kreislauf.canary.diagnosis import DAG_ID, diagnose
        from include.kreislauf.canary.result import ASK

        started = self._start()
        run_id, at = started["dag_run_id"], datetime.fromisoformat(started["run_after"])
        while True:
            tasks = {task["task_id"]: task for task in self.airflow.task_instances(DAG_ID, run_id)}
            self._tell(tasks, at)
            if tasks.get(ASK, {}).get("state") == "success":
                return str(self.airflow.xcom(DAG_ID, run_id, ASK))
            if self.airflow.run(DAG_ID, run_id)["state"] == "failed":
                raise self._told_fault(run_id) or diagnose(self.airflow, run_id, at, self._waited)
            if self._waited > self.wait:
                raise diagnose(self.airflow, run_id, at, self._waited)
            time.sleep(PAUSE)

    def _start(self) -> dict[str, Any]:
        """Start the canary's DAG; one that is not parsed yet is waited for."""
        from include.kreislauf.canary.diagnosis import DAG_ID, no_dag
        from include.kreislauf.embedded.airflow_api import AirflowApiError

        while True:
            try:
                return self.airflow.trigger(DAG_ID, note="asked for by the command canary")
            except AirflowApiError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                if self._waited > self.wait:
                    raise no_dag(self.airflow) from error
            time.sleep(PAUSE)

    def _tell(self, tasks: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
        """One line for each step that has ended since."""
        from include.kreislauf.canary.diagnosis import ring_runs
        from include.kreislauf.canary.result import ASK, START

        ended = {str(role): run["state"] for role, run in ring_runs(self.airflow, at).items()}
        ended = {START: tasks.get(START, {}).get("state"), **ended, ASK: tasks.get(ASK, {}).get("state")}
        for name, state in ended.items():
            if state in ("success", "failed") and name not in self._told:
                self._told.add(name)
                print(f"{self._waited:6.1f} s  {name}: {state}", file=sys.stderr, flush=True)

    def _told_fault(self, run_id: str) -> CanaryError | None:
        """What the canary itself says of its failure."""
        from include.kreislauf.canary.diagnosis import DAG_ID
        from include.kreislauf.canary.result import ASK, FAULT, WAIT
        from include.kreislauf.canary.watching import CanaryError

        found = (self.airflow.xcom(DAG_ID, run_id, task, FAULT) for task in (WAIT, ASK))
        told = next(filter(None, found), None)
        return CanaryError(str(told)) if told else None

    @property
    def _waited(self) -> float:
        return time.monotonic() - self._began
