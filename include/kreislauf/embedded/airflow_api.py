"""A small client for Airflow's public API: what ring tests, `make run` and scripts need of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import quote

from include.kreislauf.embedded.transport import AirflowApiError, Json, Transport

__all__ = ["FINISHED", "UNFINISHED", "AirflowApi", "AirflowApiError", "Json"]

FINISHED = ("success", "failed")
UNFINISHED = ("queued", "running")


class AirflowApi:
    """Logs in with SimpleAuthManager, again when the token expires, and repeats what a busy server refused.

    Parameters
    ----------
    base_url: address of the API server, for example `http://127.0.0.1:8080`.
    username, password: credentials of SimpleAuthManager.
    patience: seconds during which connection errors and 500, 502, 503 and 504 are retried.

    All methods raise :class:`AirflowApiError`, and return Airflow's JSON objects as they are.
    """

    def __init__(self, base_url: str, username: str, password: str, *, patience: float = 30.0) -> None:
        self._http = Transport(base_url, username, password, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- health and DAGs

    def health(self) -> Json:
        """Status and last heartbeat of database, scheduler, DAG processor and triggerer."""
        return self._http.object("GET", "/api/v2/monitor/health")

    def dags(self) -> list[Json]:
        """All DAGs that are parsed now, paused or not."""
        return list(self._http.pages("/api/v2/dags", "dags", {"exclude_stale": True}))

    def pause(self, dag_id: str, paused: bool) -> Json:
        """Pause or unpause a DAG. A paused consumer loses asset events for good."""
        return self._http.object("PATCH", f"/api/v2/dags/{_q(dag_id)}", json={"is_paused": paused})

    def import_errors(self) -> list[Json]:
        """Files that could not be parsed, with `filename` and `stack_trace`."""
        return list(self._http.pages("/api/v2/importErrors", "import_errors"))

    # --- runs

    def trigger(
        self,
        dag_id: str,
        *,
        run_id: str | None = None,
        conf: Mapping[str, Any] | None = None,
        partition_key: str | None = None,
        note: str | None = None,
    ) -> Json:
        """Start a run. Its id is fixed before the first attempt: a repeated request starts no second run."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run_id = run_id or f"manual__{now}__{uuid.uuid4().hex[:8]}"
        body = {
            "dag_run_id": run_id,
            "logical_date": None,
            "conf": dict(conf or {}),
            "note": note,
            "partition_key": partition_key,
        }
        return self._http.object(
            "POST",
            f"/api/v2/dags/{_q(dag_id)}/dagRuns",
            json=body,
            on_repeated=lambda: self.run(dag_id, run_id),
        )

    def run(self, dag_id: str, run_id: str) -> Json:
        """One run."""
        return self._http.object("GET", _run(dag_id, run_id))

    def runs(
        self,
        dag_id: str = "~",
        *,
        partition_key: str | None = None,
        states: Iterable[str] | None = None,
        limit: int = 1000,
    ) -> list[Json]:
        """Runs, newest first, of one DAG or of all (`~`), of one partition key, in some states."""
        query: Json = {"order_by": "-id"}
        if states is not None:
            query["state"] = list(states)
        if partition_key is not None:
            query["partition_key_pattern"] = partition_key  # a LIKE: the exact match is made below
        found: list[Json] = []
        for run in self._http.pages(f"/api/v2/dags/{_q(dag_id)}/dagRuns", "dag_runs", query):
            if len(found) >= limit:
                break
            if partition_key is None or run["partition_key"] == partition_key:
                found.append(run)
        return found

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float = 120.0,
        expect: str | None = None,
        poll: float = 0.3,
    ) -> Json:
        """Wait until a run has finished and return it; with `expect`, its final state has to be that one."""
        deadline = time.monotonic() + timeout
        while (run := self.run(dag_id, run_id))["state"] not in FINISHED:
            if time.monotonic() > deadline:
                raise self._unexpected(f"still {run['state']} after {timeout:g} s", dag_id, run_id)
            time.sleep(poll)
        if expect is not None and run["state"] != expect:
            raise self._unexpected(f"ended as {run['state']}, expected {expect}", dag_id, run_id)
        return run

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str] | None = None,
        *,
        only_failed: bool = False,
        downstream: bool = True,
    ) -> list[Json]:
        """Run tasks of a run again, by default all, and return them; their asset events are emitted again."""
        body: Json = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream and task_ids is not None,
        }
        if task_ids is not None:
            body["task_ids"] = list(task_ids)
        answer = self._http.object("POST", f"/api/v2/dags/{_q(dag_id)}/clearTaskInstances", json=body)
        return cast(list[Json], answer["task_instances"])

    # --- tasks

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """The task instances of a run."""
        return list(self._http.pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances"))

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int | None = None, map_index: int = -1
    ) -> str:
        """The log of a task's attempt (by default the last) as text, one event per line."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{_q(task_id)}"
        if try_number is None:
            try_number = max(int(self._http.object("GET", f"{path}/{map_index}")["try_number"]), 1)
        query = {"full_content": True, "map_index": map_index}
        content = self._http.object("GET", f"{path}/logs/{try_number}", params=query)["content"]
        return "\n".join(_log_line(event) for event in content)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task has told under a key, as JSON; ``None``: nothing."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{_q(task_id)}/xcomEntries/{_q(key)}"
        try:
            return self._http.object("GET", path)["value"]
        except AirflowApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    # --- assets

    def assets(self) -> list[Json]:
        """All assets, with the DAGs that produce and consume them."""
        return list(self._http.pages("/api/v2/assets", "assets"))

    def asset_events(self, name: str | None = None, *, source_dag_id: str | None = None) -> list[Json]:
        """Asset events, newest first, of one asset name and of one producing DAG when given."""
        query: Json = {"order_by": "-timestamp"}
        if name is not None:
            query["name_pattern"] = name  # a LIKE: the exact match is made below
        if source_dag_id is not None:
            query["source_dag_id"] = source_dag_id
        events = self._http.pages("/api/v2/assets/events", "asset_events", query)
        return [event for event in events if name is None or event["name"] == name]

    # --- human in the loop

    def hitl_details(
        self, dag_id: str = "~", run_id: str = "~", *, answered: bool | None = False
    ) -> list[Json]:
        """Questions to people: the open ones, the answered ones, or all (None)."""
        query = {} if answered is None else {"response_received": answered}
        return list(self._http.pages(f"{_run(dag_id, run_id)}/hitlDetails", "hitl_details", query))

    def answer_hitl(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        options: Sequence[str],
        params: Mapping[str, Any] | None = None,
        *,
        map_index: int = -1,
        settle: float = 2.5,
    ) -> Json:
        """Answer a question, not before it is `settle` seconds old: an earlier answer can fail the task."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{_q(task_id)}/{map_index}/hitlDetails"
        asked = datetime.fromisoformat(self._http.object("GET", path)["created_at"])
        time.sleep(max(0.0, settle - (datetime.now(UTC) - asked).total_seconds()))
        body = {"chosen_options": list(options), "params_input": dict(params or {})}
        return self._http.object("PATCH", path, json=body, on_repeated=lambda: self._http.object("GET", path))

    def _unexpected(self, what: str, dag_id: str, run_id: str) -> AirflowApiError:
        """An error about a run with the state of its tasks, and the end of the logs of those that failed."""
        tasks = self.task_instances(dag_id, run_id)
        parts = [what, "tasks: " + ", ".join(f"{task['task_id']}={task['state']}" for task in tasks)]
        for task in tasks:
            if task["state"] in ("failed", "up_for_retry"):
                log = self.task_log(dag_id, run_id, task["task_id"], map_index=task["map_index"])
                parts += [f"end of the log of {task['task_id']}:", *log.splitlines()[-20:]]
        return AirflowApiError("\n  ".join(parts), where=f"run {run_id} of {dag_id}")


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_q(dag_id)}/dagRuns/{_q(run_id)}"


def _q(part: str) -> str:
    """One path segment; `~`, Airflow's wildcard, stays as it is."""
    return quote(part, safe="~")


def _log_line(event: Json | str) -> str:
    if isinstance(event, str):
        return event
    head = " ".join(str(event[key]) for key in ("timestamp", "level", "event") if event.get(key))
    causes = event.get("error_detail") or ()
    return head + "".join(f"\n    {cause.get('exc_type')}: {cause.get('exc_value')}" for cause in causes)
