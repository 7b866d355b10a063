"""Three tables that ship with scikit-learn, each from ``new-use-case`` to a live, monitored release, in the real ring.

No Python is written for them: the contract is drafted by the command, signed automatically, and goes through the five
DAGs of a real embedded stack. Clients then send full rows to the prediction service and tell what happened, and the
monitoring DAG gives its first verdict.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from benchmarks.parts import ENVIRONMENT, WORK
from include.kreislauf.embedded.airflow_api import AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.handovers import Role, Stage
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.settings import ROOT
from include.kreislauf.store import cycles, live, messages, observations
from include.kreislauf.store.cycles import State
from include.kreislauf.store.database import Store

TABLES: Mapping[str, Callable[..., Any]] = {
    "diabetes": load_diabetes, "breast_cancer": load_breast_cancer, "wine": load_wine,
}  # fmt: skip
TARGET = "target"
SENT = 300
"""Rows that clients ask about and know the outcome of: more than a first level is learnt from."""
BATCH = 100
PATIENCE = 600.0
PAUSE = 0.5
Found = TypeVar("Found")


@dataclass(frozen=True)
class Ground:
    """Where the tables go round."""

    home: Path
    env: dict[str, str]
    stack: EmbeddedStack
    api: AirflowApi
    store: Store

    def until(self, what: str, look: Callable[[], Found | None]) -> Found:
        """Wait for something; a component that died ends it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.stack.check()
            if (found := look()) is not None:
                return found
            if failed := self.api.runs(states=("failed",)):
                raise RuntimeError(
                    f"not {what}: {[(run['dag_id'], run['partition_key']) for run in failed]} failed"
                )
            time.sleep(PAUSE)
        raise RuntimeError(f"not {what} after {PATIENCE:g} s")

    def trigger(self, role: Role, name: str) -> None:
        """As a person would, by hand."""
        conf = {"use_case": name, "reason": "a new use case", "by": "benchmark"}
        self.api.trigger(role, conf=conf)


def tables(_size: object = None) -> dict[str, Any]:
    """By table the seconds from ``new-use-case`` to the first verdict, and what the gates said."""
    home = WORK / "tables"
    shutil.rmtree(home, ignore_errors=True)
    (home / "data").mkdir(parents=True)
    env = {
        **ENVIRONMENT, "KREISLAUF_HOME": str(home / "run"), "KREISLAUF_USE_CASES": str(home / "use_cases"),
        "KREISLAUF_DATA": str(home / "data"),
    }  # fmt: skip
    (home / "use_cases").mkdir()
    with EmbeddedStack(home / "stack", ROOT, env=env, start_timeout=240) as stack, stack.api() as api:
        stack.wait_for_dags([str(role) for role in Role])
        ground = Ground(home, env, stack, api, Store(f"sqlite:///{home / 'run' / 'kreislauf.db'}"))
        ground.store.upgrade()
        return {"tables": {name: _whole_way(ground, name) for name in TABLES}}


def _whole_way(ground: Ground, name: str) -> dict[str, Any]:
    frame = TABLES[name](as_frame=True).frame
    frame.to_csv(ground.home / "data" / f"{name}.csv", index=False)
    moments = [time.monotonic()]
    _draft(ground, name)
    moments.append(time.monotonic())
    ground.trigger(Role.REQUIREMENTS, name)
    release = ground.until(f"live: {name}", lambda: _live(ground, name))
    moments.append(time.monotonic())
    with httpx.Client(
        base_url=f"{ground.stack.service_url}/v1/{name}", timeout=30, trust_env=False
    ) as client:
        ground.until(f"served: {name}", lambda: client.get("/release").is_success or None)
        _live_through(ground, name, client, frame)
    asked = datetime.now(UTC)
    ground.trigger(Role.MONITORING, name)
    verdict = ground.until(f"judged: {name}", lambda: _verdict(ground, name, asked))
    moments.append(time.monotonic())
    parts = dict(zip(("draft", "ring", "live"), map(_seconds, moments, moments[1:]), strict=False))
    return {
        "seconds": _seconds(moments[0], moments[-1]), "gate": _gate(ground, name), "release": release,
        "verdict": f"{verdict.metric}: {verdict.verdict}", "parts": parts,
    }  # fmt: skip


def _draft(ground: Ground, name: str) -> None:
    command = [
        sys.executable, "-m", "include.kreislauf", "new-use-case", name, "--data", str(ground.home / "data" / f"{name}.csv"),
        "--target", TARGET, "--purpose", "Show that a contract is enough.", "--owner", "benchmark",
        "--sign-off", "automatic", "--yes",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ground.env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"new-use-case {name}: {done.stderr}")


def _live(ground: Ground, name: str) -> int | None:
    """The live release; a cycle that came to an end without one is told."""
    with ground.store.read() as db:
        release = live.live_release(db, name)
        ended = cycles.in_state(db, name, State.FAILED, State.WAITING, State.CLOSED)
        loops = messages.loops_of(db, name)
    if release is None and (ended or loops):
        raise RuntimeError(f"{name}: {[one.note for one in ended]} {[one.loop.text for one in loops]}")
    return release.version if release else None


def _live_through(ground: Ground, name: str, client: httpx.Client, frame: pd.DataFrame) -> None:
    """Ask about rows with all their features, and tell afterwards what happened."""
    problem = load_contract(contract_path(ground.home / "use_cases", name)).problem
    rows = frame.sample(SENT, replace=len(frame) < SENT, random_state=0)
    happened = [str(int(one)) if problem.classes else float(one) for one in rows[TARGET]]
    features = [
        {column: None if isinstance(value, float) and math.isnan(value) else value for column, value in row.items()}
        for row in rows.drop(columns=TARGET).to_dict("records")
    ]  # fmt: skip
    for start in range(0, SENT, BATCH):
        body = {"rows": [{"features": one} for one in features[start : start + BATCH]]}
        answers = client.post("/predictions", json=body).raise_for_status().json()["predictions"]
        now = datetime.now(UTC).isoformat()
        outcomes = [
            {"prediction_id": one["prediction_id"], "value": value, "observed_at": now}
            for one, value in zip(answers, happened[start : start + BATCH], strict=True)
        ]
        client.post("/outcomes", json={"outcomes": outcomes}).raise_for_status()


def _verdict(ground: Ground, name: str, asked: datetime) -> observations.Verdict | None:
    with ground.store.read() as db:
        found = [one for one in observations.verdicts_of(db, name) if one.as_of >= asked]
    return found[-1] if found else None


def _gate(ground: Ground, name: str) -> str:
    with ground.store.read() as db:
        evaluated = messages.latest_handover(db, name, Stage.EVALUATION)
    return str(evaluated.summary["decision"]) if evaluated else ""


def _seconds(begin: float, end: float) -> float:
    return round(end - begin, 1)


if __name__ == "__main__":
    print(tables())
