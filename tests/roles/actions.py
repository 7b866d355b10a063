"""What people do to DAGs over REST, each action with the right that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plugins.roles.declaration import Right


@dataclass(frozen=True)
class Place:
    """A run with one task whose question is open: what an action is done to.

    Parameters
    ----------
    asset_id: some asset that the DAG's tasks emit.
    """

    dag_id: str
    run_id: str
    task_id: str
    asset_id: int

    @property
    def dag(self) -> str:
        return f"/api/v2/dags/{self.dag_id}"

    @property
    def run(self) -> str:
        return f"{self.dag}/dagRuns/{self.run_id}"

    @property
    def task(self) -> str:
        return f"{self.run}/taskInstances/{self.task_id}"


@dataclass(frozen=True)
class Action:
    """One request.

    Parameters
    ----------
    needs: the right in the DAG; ``None``: only the administrator may.
    path, body: with the fields of a :class:`Place` in braces.
    people: whether machines may not, whatever their rights.
    """

    name: str
    needs: Right | None
    method: str
    path: str
    body: dict[str, Any] | None = None
    people: bool = False

    def request(self, place: Place) -> dict[str, Any]:
        """The arguments of the request."""
        made: dict[str, Any] = {"method": self.method, "path": _filled(self.path, place)}
        return made if self.body is None else {**made, "json": _filled(self.body, place)}


def _filled(value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, place) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, place) for one in value]
    if value == "{asset_id}":
        return place.asset_id
    return value.format(p=place) if isinstance(value, str) else value


SEE, START, WORK = Right
ANSWER = {"chosen_options": ["Yes"], "params_input": {}}
BULK = {"actions": [{"action": "update", "entities": [{"dag_run_id": "{p.run_id}", "note": "all of them"}]}]}

IN_A_DAG = (
    Action("read the DAG", SEE, "GET", "{p.dag}"),
    Action("read its details", SEE, "GET", "{p.dag}/details"),
    Action("read a run", SEE, "GET", "{p.run}"),
    Action("read tasks", SEE, "GET", "{p.run}/taskInstances"),
    Action("read a log", SEE, "GET", "{p.task}/logs/1"),
    Action("read XComs", SEE, "GET", "{p.task}/xcomEntries"),
    Action("read the code", SEE, "GET", "/api/v2/dagSources/{p.dag_id}", people=True),
    Action("read questions", SEE, "GET", "{p.run}/hitlDetails", people=True),
    Action("read events of a run", SEE, "GET", "{p.run}/upstreamAssetEvents", people=True),
    Action("start a run", START, "POST", "{p.dag}/dagRuns", {"logical_date": None}),
    Action("pause", START, "PATCH", "{p.dag}", {"is_paused": False}),
    Action("note on a run", WORK, "PATCH", "{p.run}", {"note": "a note"}),
    Action("note on many runs", WORK, "PATCH", "{p.dag}/dagRuns", BULK),
    Action("note on a task", WORK, "PATCH", "{p.task}", {"note": "a note"}),
    Action("answer", WORK, "PATCH", "{p.task}/-1/hitlDetails", ANSWER),
    Action("set a task's state", WORK, "PATCH", "{p.task}", {"new_state": "success"}),
    Action(
        "clear a task", WORK, "POST", "{p.dag}/clearTaskInstances",
        {"dry_run": False, "dag_run_id": "{p.run_id}", "task_ids": ["{p.task_id}"], "only_failed": False},
    ),
    Action("clear a run", WORK, "POST", "{p.run}/clear", {"dry_run": False}),
    Action("set a run's state", WORK, "PATCH", "{p.run}", {"state": "failed"}),
    Action("write an XCom", None, "POST", "{p.task}/xcomEntries", {"key": "order", "value": "forged"}),
    Action("delete a run", None, "DELETE", "{p.run}"),
)  # fmt: skip
"""In the order in which they can be done to one run: the last ones end it."""

POOL = {"name": "of_{p.run_id}", "slots": 1, "include_deferred": False}
VARIABLE = {"key": "of_{p.run_id}", "value": "1"}
CONNECTION = {"connection_id": "of_{p.run_id}", "conn_type": "http"}
USER = {
    "username": "of_{p.run_id}", "first_name": "a", "last_name": "b", "email": "{p.run_id}@localhost",
    "password": "of-a-new-user", "roles": [{"name": "Admin"}],
}  # fmt: skip

ELSEWHERE = (
    Action("read assets", SEE, "GET", "/api/v2/assets", people=True),
    Action("read asset events", SEE, "GET", "/api/v2/assets/events", people=True),
    Action("read plugins", SEE, "GET", "/api/v2/plugins", people=True),
    Action("read pools", SEE, "GET", "/api/v2/pools", people=True),
    Action("create an asset event", None, "POST", "/api/v2/assets/events", {"asset_id": "{asset_id}"}),
    Action("materialise an asset", None, "POST", "/api/v2/assets/{p.asset_id}/materialize", {}),
    Action("make a pool", None, "POST", "/api/v2/pools", POOL),
    Action(
        "change a pool",
        None,
        "PATCH",
        "/api/v2/pools/of_{p.run_id}",
        {"pool": "of_{p.run_id}", "slots": 2, "include_deferred": False},
    ),
    Action("read variables", None, "GET", "/api/v2/variables"),
    Action("make a variable", None, "POST", "/api/v2/variables", VARIABLE),
    Action("read connections", None, "GET", "/api/v2/connections"),
    Action("make a connection", None, "POST", "/api/v2/connections", CONNECTION),
    Action("read users", None, "GET", "/auth/fab/v1/users"),
    Action("read roles", None, "GET", "/auth/fab/v1/roles"),
    Action("make an administrator", None, "POST", "/auth/fab/v1/users", USER),
    Action("read the audit log", None, "GET", "/api/v2/eventLogs"),
)
"""What belongs to no DAG."""

UPDATED = {"dag_id": "{p.dag_id}", "dag_run_id": "{p.run_id}", "note": "through a side door"}
CLEARED = {"dag_runs": [{"dag_id": "{p.dag_id}", "dag_run_id": "{p.run_id}"}], "dry_run": False}
DAYS = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-03T00:00:00Z"}


def side_doors(own: str) -> tuple[Action, ...]:
    """Requests that name a DAG of one's own, or none, and mean another one."""
    at_own, anywhere = f"/api/v2/dags/{own}", "/api/v2/dags/~"
    tasks = {"actions": [{"action": "update", "entities": [{**UPDATED, "task_id": "{p.task_id}"}]}]}
    runs = {"actions": [{"action": "update", "entities": [UPDATED]}]}
    return (
        Action("pause by pattern", START, "PATCH", f"/api/v2/dags?dag_id_pattern={{p.dag_id}}&dag_id={own}",
               {"is_paused": True}),
        Action("tasks of any DAG", WORK, "PATCH", f"{anywhere}/dagRuns/~/taskInstances", tasks),
        Action("tasks below one's own", WORK, "PATCH", f"{at_own}/dagRuns/~/taskInstances", tasks),
        Action("runs of any DAG", WORK, "PATCH", f"{anywhere}/dagRuns", runs),
        Action("runs below one's own", WORK, "PATCH", f"{at_own}/dagRuns", runs),
        Action("clear runs of any DAG", WORK, "POST", f"{anywhere}/clearDagRuns", CLEARED),
        Action("clear runs below one's own", WORK, "POST", f"{at_own}/clearDagRuns", CLEARED),
        Action("clear tasks below one's own", WORK, "POST", f"{at_own}/clearTaskInstances",
               {"dry_run": False, "dag_run_id": "{p.run_id}", "only_failed": False}),
        Action("answer below one's own", WORK, "PATCH",
               f"{at_own}/dagRuns/{{p.run_id}}/taskInstances/{{p.task_id}}/-1/hitlDetails", ANSWER),
        Action("answer anywhere", WORK, "PATCH",
               f"{anywhere}/dagRuns/{{p.run_id}}/taskInstances/{{p.task_id}}/-1/hitlDetails", ANSWER),
        Action("backfill", START, "POST", f"/api/v2/backfills?dag_id={own}", {"dag_id": "{p.dag_id}", **DAYS}),
        Action("forget events", None, "DELETE", "{p.dag}/assets/queuedEvents"),
    )  # fmt: skip
