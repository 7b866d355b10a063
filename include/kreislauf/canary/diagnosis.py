"""Why a canary does not go on, as Airflow's API shows it: what is broken may be what the canary itself runs by."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from include.kreislauf.canary.watching import CanaryError
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import KEY_SEPARATOR, Role
from include.kreislauf.settings import CANARY

Json = dict[str, Any]

DAG_ID = "canary"
PARTS = {
    "metadatabase": "postgres",
    "scheduler": "scheduler",
    "dag_processor": "dag-processor",
    "triggerer": "triggerer",
}
"""What Airflow's health is told of, by the name of its service in Compose."""
REFUSED = ("Signature verification failed", "Invalid auth token")
"""What the log of a task says whose token the API server does not take."""
SECRETS = (
    "give api-server, scheduler and workers the same AIRFLOW__API_AUTH__JWT_SECRET and JWT_ISSUER, start them again, and "
    "read the log of the worker"
)


class Airflow(Protocol):
    """What is needed of Airflow's API."""

    def health(self) -> Json:
        """Status and last heartbeat of each component."""

    def runs(self, dag_id: str = ..., *, limit: int = ...) -> list[Json]:
        """Runs, newest first."""

    def run(self, dag_id: str, run_id: str) -> Json:
        """One run."""

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """The tasks of a run."""

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = ...) -> str:
        """The log of a task."""

    def import_errors(self) -> list[Json]:
        """Files that cannot be parsed."""


def ring_runs(airflow: Airflow, began: datetime) -> dict[Role, Json]:
    """The newest run of each role's DAG that works for a canary which began then, in the order of the ring."""
    found: dict[Role, Json] = {}
    for run in airflow.runs(limit=100):
        with suppress(ValueError):
            role = Role(run["dag_id"])
            if _is_own(run) and datetime.fromisoformat(run["run_after"]) >= began:
                found.setdefault(role, run)
    return {role: found[role] for role in Role if role in found}


def _is_own(run: Json) -> bool:
    key = str(run.get("partition_key") or "")
    return key.startswith(f"{CANARY}{KEY_SEPARATOR}") or run["dag_run_id"].startswith("canary__")


def no_dag(airflow: Airflow) -> CanaryError:
    """Why there is no canary to start."""
    errors = [error["filename"] for error in airflow.import_errors()]
    if errors:
        return CanaryError(
            f"there is no DAG {DAG_ID}, and files cannot be imported: {', '.join(errors)}", where="start",
            next_step="read the import errors in Airflow's UI",
        )  # fmt: skip
    return CanaryError(
        f"there is no DAG {DAG_ID}", where="start",
        next_step="set KREISLAUF_CANARY=true at the dag-processor, the scheduler, the workers and the triggerer, and read "
        "the log of the dag-processor",
    )  # fmt: skip


def diagnose(airflow: Airflow, run_id: str, began: datetime, waited: float) -> CanaryError:
    """What to look at, of a canary that has failed without saying why, or does not end.

    Parameters
    ----------
    run_id: the canary's run.
    waited: seconds so far.
    """
    if away := _away(airflow.health()):
        names = ", ".join(away)
        return CanaryError(
            f"Airflow misses {names}", where="airflow", next_step=f"start {names}, or read why in its log"
        )
    runs = ring_runs(airflow, began)
    own = airflow.run(DAG_ID, run_id)
    stages = [(DAG_ID, own)] if not runs or own["state"] == "failed" else []
    stages += [(role.value, run) for role, run in reversed(runs.items())]
    for dag_id, run in stages:
        if fault := _fault_of(airflow, dag_id, run, waited):
            return fault
    return _between(runs, waited)


def _away(health: Json) -> list[str]:
    return [name for part, name in PARTS.items() if (health.get(part) or {}).get("status") != "healthy"]


def _fault_of(airflow: Airflow, dag_id: str, run: Json, waited: float) -> CanaryError | None:
    """What is wrong with a run, by the state of its tasks."""
    tasks = airflow.task_instances(dag_id, run["dag_run_id"])
    of_run = f"run {run['dag_run_id']} of {dag_id}"
    for task in _in(tasks, "failed", "up_for_retry"):
        return _failed(task, of_run, _log(airflow, dag_id, run, task))
    if waiting := _in(tasks, "queued"):
        return CanaryError(
            f"task {waiting[0]['task_id']} of {of_run} is queued after {waited:.0f} s: nobody takes it", where=dag_id,
            next_step="start a worker, or read its log: does it reach the broker (redis), and is its password right?",
        )  # fmt: skip
    if run["state"] == "queued" or _in(tasks, "scheduled") or (tasks and not _in(tasks, *_STATES)):
        return CanaryError(
            f"{of_run} waits for the scheduler after {waited:.0f} s", where=dag_id,
            next_step="read the log of the scheduler; are there free slots (AIRFLOW__CORE__PARALLELISM, pools)?",
        )  # fmt: skip
    if working := _in(tasks, "running", "restarting"):
        return CanaryError(
            f"task {working[0]['task_id']} of {of_run} still runs after {waited:.0f} s", where=dag_id,
            next_step="read its log in Airflow; or wait longer: --wait",
        )  # fmt: skip
    return None


_STATES = ("success", "skipped", "running", "restarting", "deferred", "up_for_reschedule", "awaiting_input")
"""States of tasks that somebody has begun."""


def _failed(task: Json, of_run: str, log: str) -> CanaryError:
    what = f"task {task['task_id']} of {of_run} failed"
    if any(sign in log for sign in REFUSED):
        return CanaryError(
            f"{what}: the API server refuses the token of tasks",
            where=of_run.rpartition(" ")[2],
            next_step=SECRETS,
        )
    if not task["start_date"]:
        return CanaryError(
            f"{what} before it began: the worker could not start it, most often because the API server refuses its token",
            where=of_run.rpartition(" ")[2], next_step=SECRETS,
        )  # fmt: skip
    lines = [line for line in log.splitlines() if "error" in line.lower()]
    return CanaryError(
        f"{what}: {lines[-1][:300] if lines else 'its log tells of no error'}", where=of_run.rpartition(" ")[2],
        next_step="read the log of the task in Airflow",
    )  # fmt: skip


def _log(airflow: Airflow, dag_id: str, run: Json, task: Json) -> str:
    """The log of a task; empty where it cannot be had: then the states must say enough."""
    with suppress(KreislaufError):
        return airflow.task_log(dag_id, run["dag_run_id"], task["task_id"], map_index=task["map_index"])
    return ""


def _between(runs: dict[Role, Json], waited: float) -> CanaryError:
    """All runs that there are have ended well, and nothing follows."""
    following = next((role for role in Role if role not in runs), None)
    if following is None:
        return CanaryError(
            f"every DAG is through, and the canary still waits after {waited:.0f} s", where="airflow",
            next_step="read the log of the triggerer: it waits for the ring, and needs KREISLAUF_STORE_URL",
        )  # fmt: skip
    return CanaryError(
        f"no run of {following} follows after {waited:.0f} s: its asset event started nothing", where=following.value,
        next_step=f"is {following} paused in Airflow? Else read the log of the scheduler, which makes runs of events",
    )  # fmt: skip


def _in(tasks: Iterable[Json], *states: str) -> list[Json]:
    return [task for task in tasks if task["state"] in states]
