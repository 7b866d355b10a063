"""From the outcome that tips a verdict to the data engineer's first task, in a real embedded stack.

Each time another use case: its release is live, its users' outcomes are good, then a batch of bad ones comes to the
prediction service. The clock of the monitoring DAG is switched off, so that only ``watch`` can find the fall.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median
from typing import Any, Protocol

import httpx
import yaml

from benchmarks import service_model
from benchmarks.parts import ENVIRONMENT, WORK
from benchmarks.service_world import World
from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Edge, Role
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.settings import ROOT
from include.kreislauf.store import contracts, cycles, live, messages
from include.kreislauf.store.cycles import State

GOOD, BAD, HITS, TOLERANCE = 200, 100, 0.8, 1.0
"""Outcomes before the fall and in it; the share of hits before, which is also the contract's reference."""
PATIENCE = 120.0
QUIET = 3.0


class Size(Protocol):
    """So many verdicts are tipped."""

    reactions: int


def reaction(size: Size) -> dict[str, Any]:
    """Seconds, and what they are spent on: median and each."""
    home = WORK / "reaction"
    world = World.new(home)
    names = [f"reaction_{number}" for number in range(size.reactions)]
    for name in names:
        _go_live(world, name)
    env = {**ENVIRONMENT, "KREISLAUF_HOME": str(home), "KREISLAUF_USE_CASES": str(home / "use_cases")}
    with (
        EmbeddedStack(home / "stack", ROOT, env=env, with_watcher=True, start_timeout=240) as stack,
        stack.api() as api,
        httpx.Client(
            base_url=stack.service_url, headers=world.headers, timeout=30, trust_env=False
        ) as client,
    ):
        stack.wait_for_dags([str(role) for role in Role])
        found = [_react(world, stack, api, client, name) for name in names]
    parts = {part: round(median(one[part] for one in found), 2) for part in found[0]}
    every = [round(one["data_engineering"], 2) for one in found]
    return {"reaction_seconds": parts["data_engineering"], "reaction": {"every": every, "until": parts}}


def _go_live(world: World, name: str) -> None:
    """A use case with a signed contract and a live release."""
    path = world.settings.home / "use_cases" / name / "contract.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(_contract(name)))
    contract, now = load_contract(path), world.settings.now()
    release = world.release(service_model.fitted(), name)
    with world.store.write() as db:
        contracts.record_contract(db, contract, now)
        contracts.record_sign_off(
            db, name, contract.hash, contracts.SignOff("signed", "benchmark", "automatic"), now
        )
        live.promote(
            db, name, release.version, expected=None, cycle_id=release.cycle_id, reason="benchmark", as_of=now, now=now
        )  # fmt: skip


def _contract(name: str) -> dict[str, Any]:
    columns = {"entity": {"type": "text"}, "period": {"type": "date"}}
    return {
        "version": 1, "name": name, "title": "Reaction", "purpose": "Benchmark.", "owner": "benchmark",
        "sign_off": "automatic",
        "problem": {"kind": "regression", "entity": "entity", "time": "period", "period": "month"},
        "sources": [{"kind": "table", "name": "panel", "url": "panel.csv", "columns": columns}],
        "training": {"candidates": [{"family": "ridge"}], "held_out_periods": 4},
        "performance": {"metric": "mae", "baseline": "persistence", "min_gain": 0.0},
        "business_metrics": [
            {"kind": "outcomes", "name": "hits", "measure": "hit", "tolerance": TOLERANCE, "threshold": 0.7,
             "test": {"bounds": [0, 1], "reference": HITS}},
            {"kind": "portfolio_uplift", "name": "uplift", "top": 2, "gate_threshold": 0.0, "threshold": 0.0,
             "window_periods": 2},
        ],
        "governor": {"cool_down_days": 0, "max_hops": 2},
    }  # fmt: skip


def _react(
    world: World, stack: EmbeddedStack, api: AirflowApi, client: httpx.Client, name: str
) -> dict[str, float]:
    """Let a use case fall; seconds until each step of what follows."""
    answers = _predict(client, name, GOOD + BAD)
    misses = [number for number in range(GOOD) if number % 5 == 0]  # one in five
    _tell(client, name, [one | {"miss": number in misses} for number, one in enumerate(answers[:GOOD])])
    time.sleep(QUIET)  # the look at the good ones is over
    began = datetime.now(UTC)
    _tell(client, name, [one | {"miss": True} for one in answers[GOOD:]])
    told = datetime.now(UTC)
    task = _first_task(world, stack, api, name)
    check = next(run for run in api.runs(Role.MONITORING) if run["dag_run_id"].startswith(f"watch__{name}__"))
    moments = {
        "told": told, "asked_for_check": _moment(check["queued_at"]), "check": _moment(check["start_date"]),
        "data_engineering": task,
    }  # fmt: skip
    _rest(world, api, name)
    return {part: (at - began).total_seconds() for part, at in moments.items()}


def _predict(client: httpx.Client, name: str, count: int) -> list[dict[str, Any]]:
    """Ask for entities only: without features no challenger can be fitted, and the default way back is taken."""
    rows = [{"entity": f"row{number % service_model.ASKED}"} for number in range(count)]
    answer = client.post(f"/v1/{name}/predictions", json={"rows": rows}).raise_for_status().json()
    return list(answer["predictions"])


def _tell(client: httpx.Client, name: str, answers: list[dict[str, Any]]) -> None:
    """Send outcomes: as predicted, or far from it."""
    now = datetime.now(UTC).isoformat()
    sent = [
        {"prediction_id": one["prediction_id"], "value": one["value"] + 10 * TOLERANCE * one["miss"], "observed_at": now}
        for one in answers
    ]  # fmt: skip
    client.post(f"/v1/{name}/outcomes", json={"outcomes": sent}).raise_for_status()


def _first_task(world: World, stack: EmbeddedStack, api: AirflowApi, name: str) -> datetime:
    """When the first task of the data-engineering run began that the fall has started."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        stack.check()
        with world.store.read() as db:
            raised = messages.loops_of(db, name, edges=(Edge.MONITORING_TO_DATA_ENGINEERING,))
        for run in api.runs(Role.DATA_ENGINEERING, partition_key=raised[0].loop.key) if raised else ():
            tasks = api.task_instances(Role.DATA_ENGINEERING, run["dag_run_id"])
            if began := [_moment(one["start_date"]) for one in tasks if one["start_date"]]:
                return min(began)
        time.sleep(0.5)
    runs = [(run["dag_id"], run["dag_run_id"], run["state"]) for run in api.runs()]
    raise RuntimeError(f"no data-engineering run of {name} after {PATIENCE:g} s: {runs}")


def _rest(world: World, api: AirflowApi, name: str) -> None:
    """Wait until nothing is at work, so that the next use case meets a quiet stack; it has no data to read."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with world.store.read() as db:
            busy = cycles.in_state(db, name, State.ACTIVE, State.PROPOSED)
        asked = {one["task_instance"]["dag_run_id"] for one in api.hitl_details()}
        runs = {run["dag_run_id"] for run in api.runs(states=("queued", "running"))} - asked
        if not busy and not runs:
            return
        time.sleep(0.5)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
