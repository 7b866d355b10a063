"""What is said of a canary that does not end, by what Airflow's API shows; the texts are what people act by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from include.kreislauf.canary.diagnosis import PARTS, diagnose, no_dag
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Role
from include.kreislauf.settings import CANARY

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
KEY = f"{CANARY}|c0001"
SECRETS = (
    "; next: give api-server, scheduler and workers the same AIRFLOW__API_AUTH__JWT_SECRET and JWT_ISSUER, "
    "start them again, and read the log of the worker"
)


@dataclass
class Airflow:
    """An Airflow in which runs and tasks stand as a test says.

    Parameters
    ----------
    tasks: by DAG the state of each task of its run, in the order of the ring; the run's own state stands under "".
    """

    tasks: Mapping[str, Mapping[str, str]]
    log: str | None = None
    sick: Sequence[str] = ()
    errors: Sequence[str] = ()
    begun: bool = True
    strangers: list[dict[str, Any]] = field(default_factory=list)

    def health(self) -> dict[str, Any]:
        return {part: {"status": None if part in self.sick else "healthy"} for part in PARTS}

    def runs(self, dag_id: str = "~", *, limit: int = 1000) -> list[dict[str, Any]]:
        return [*self.strangers, *(self.run(dag, f"run_{dag}") for dag in self.tasks)]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return {"dag_id": dag_id, "dag_run_id": run_id, "state": self.tasks[dag_id][""], "partition_key": KEY,
                "run_after": BEGAN.isoformat()}  # fmt: skip

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        start = BEGAN.isoformat() if self.begun else None
        states = {name: state for name, state in self.tasks[dag_id].items() if name}
        return [{"task_id": name, "state": state or None, "start_date": start, "map_index": -1}
                for name, state in states.items()]  # fmt: skip

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> str:
        if self.log is None:
            raise KreislaufError("the log cannot be had")
        return self.log

    def import_errors(self) -> list[dict[str, Any]]:
        return [{"filename": name} for name in self.errors]


def running(**tasks: str) -> dict[str, str]:
    return {"": "running", **tasks}


WAITING = {"canary": running(start="success", wait_for_the_ring="deferred", ask_the_service="")}
THROUGH = {"": "success", "some": "success"}


def said(airflow: Airflow) -> str:
    return diagnose(airflow, "run_canary", BEGAN, 240).text


def test_parts_of_airflow_that_are_away_are_named() -> None:
    assert said(Airflow(WAITING, sick=["scheduler", "triggerer"])) == (
        "airflow: Airflow misses scheduler, triggerer; next: start scheduler, triggerer, or read why in its log"
    )


def test_tasks_that_stay_queued_lack_a_worker() -> None:
    text = said(Airflow({"canary": running(start="queued")}))
    assert text == (
        "canary: task start of run run_canary of canary is queued after 240 s: nobody takes it; next: start a worker, or "
        "read its log: does it reach the broker (redis), and is its password right?"
    )
    ring = {**WAITING, "requirements": THROUGH, "data_engineering": running(plan="success", read="queued")}
    assert said(Airflow(ring)).startswith(
        "data_engineering: task read of run run_data_engineering of data_engineering is queued"
    )


@pytest.mark.parametrize("sign", ["Signature verification failed", "ServerResponseError: Invalid auth token"])
def test_a_task_whose_token_is_refused_points_to_the_secret(sign: str) -> None:
    text = said(Airflow({"canary": {"": "failed", "start": "failed"}}, log=f"began\nerror {sign}\n"))
    assert (
        text
        == f"canary: task start of run run_canary of canary failed: the API server refuses the token of tasks{SECRETS}"
    )


def test_a_task_that_failed_before_it_began_points_to_the_secret_too() -> None:
    text = said(Airflow({"canary": {"": "failed", "start": "failed"}}, begun=False))
    assert text == (
        "canary: task start of run run_canary of canary failed before it began: the worker could not start it, most often "
        f"because the API server refuses its token{SECRETS}"
    )


def test_a_task_that_failed_by_itself_is_told_with_its_error() -> None:
    ring = {
        **WAITING,
        "requirements": THROUGH,
        "data_engineering": running(plan="success", collect="up_for_retry"),
    }
    assert said(Airflow(ring, log="begin\nOSError: no space left on device\nend\n")) == (
        "data_engineering: task collect of run run_data_engineering of data_engineering failed: "
        "OSError: no space left on device; next: read the log of the task in Airflow"
    )
    assert "failed: its log tells of no error; next: " in said(Airflow(ring))


@pytest.mark.parametrize("tasks", [{"": "queued"}, running(start="scheduled"), running(start="")])
def test_a_run_on_which_nothing_is_done_waits_for_the_scheduler(tasks: dict[str, str]) -> None:
    assert said(Airflow({"canary": tasks})) == (
        "canary: run run_canary of canary waits for the scheduler after 240 s; next: read the log of the scheduler; "
        "are there free slots (AIRFLOW__CORE__PARALLELISM, pools)?"
    )


def test_what_still_runs_may_need_more_time() -> None:
    ring = {**WAITING, "requirements": THROUGH, "data_engineering": running(plan="running")}
    assert said(Airflow(ring)) == (
        "data_engineering: task plan of run run_data_engineering of data_engineering still runs after 240 s; "
        "next: read its log in Airflow; or wait longer: --wait"
    )


def test_an_event_that_starts_nothing_points_to_the_receiver_and_the_scheduler() -> None:
    assert said(Airflow({**WAITING, "requirements": THROUGH})) == (
        "data_engineering: no run of data_engineering follows after 240 s: its asset event started nothing; next: is "
        "data_engineering paused in Airflow? Else read the log of the scheduler, which makes runs of events"
    )


def test_a_ring_that_is_through_while_the_canary_waits_points_to_the_triggerer() -> None:
    assert said(Airflow({**WAITING, **{role.value: THROUGH for role in Role}})) == (
        "airflow: every DAG is through, and the canary still waits after 240 s; next: read the log of the triggerer: it "
        "waits for the ring, and needs KREISLAUF_STORE_URL"
    )


def test_runs_of_others_and_of_earlier_canaries_do_not_count() -> None:
    other = {
        "dag_id": "requirements",
        "dag_run_id": "manual__1",
        "partition_key": None,
        "run_after": BEGAN.isoformat(),
    }
    earlier = {**other, "partition_key": KEY, "run_after": "2025-12-31T00:00:00Z"}
    strangers = [other, earlier, {**other, "dag_id": "somebody_s"}]
    assert said(Airflow({"canary": running(start="queued")}, strangers=strangers)).startswith(
        "canary: task start"
    )


def test_without_a_dag_the_setting_or_the_import_errors_are_named() -> None:
    assert no_dag(Airflow({})).text == (
        "start: there is no DAG canary; next: set KREISLAUF_CANARY=true at the dag-processor, the scheduler, the workers "
        "and the triggerer, and read the log of the dag-processor"
    )
    assert no_dag(Airflow({}, errors=["dags/canary.py"])).text == (
        "start: there is no DAG canary, and files cannot be imported: dags/canary.py; "
        "next: read the import errors in Airflow's UI"
    )
