"""What the service's workers hold: the release that is tried, and the one that answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from include.kreislauf.deployment.found import Found
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.store import workers
from include.kreislauf.store.database import Store
from include.kreislauf.store.rollouts import Rollout
from include.kreislauf.store.workers import Worker

WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.1
NOT_CONFIRMED = "not confirmed"
"""How the answer begins when a worker answers with another release."""
LOAD_SECONDS = 600.0
"""A worker that is alive and has not loaded a release after so long will not."""


def judge_loading(db: Connection, rollout: Rollout, now: datetime) -> Found:
    """Whether every worker that is alive holds a release in its candidate slot; one that cannot is a failure."""
    alive = workers.alive(db, now)
    if not alive:
        return Found(Verdict.PASS, "no worker of the service is alive: it is loaded when one starts")
    for worker in alive:
        problem = worker.problems.get(rollout.use_case, "")
        if f"release {rollout.version} " in problem:
            return Found(Verdict.FAIL, f"worker {_name(worker)}: {problem}")
    lacking = [
        one for one in alive if one.serving.get(rollout.use_case, {}).get("candidate") != rollout.version
    ]
    if not lacking:
        return Found(Verdict.PASS, f"loaded by {_count(alive)}")
    text = f"{len(lacking)} of {_count(alive)} still to load it: {', '.join(map(_name, lacking[:3]))}"
    if (now - rollout.state_at).total_seconds() > LOAD_SECONDS:
        return Found(Verdict.FAIL, f"{text}; given up after {LOAD_SECONDS:.0f} s")
    return Found(Verdict.INCONCLUSIVE, text, final=False)


def confirm(store: Store, use_case: str, version: int, now: Callable[[], datetime]) -> str:
    """Wait until every worker that is alive answers with a release: ``confirmed``, or why it could not be.

    A release that nobody serves yet is no failure of the release: the service takes it up when it comes back.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with store.read() as db:
            alive = workers.alive(db, now())
        lacking = [one for one in alive if one.serving.get(use_case, {}).get("champion") != version]
        if not alive:
            return "not asked: no worker of the service is alive"
        if not lacking:
            return f"confirmed by {_count(alive)}"
        if time.monotonic() >= deadline:
            return f"{NOT_CONFIRMED} after {WAIT_SECONDS:.0f} s: {'; '.join(_said(one, use_case) for one in lacking[:3])}"
        time.sleep(PAUSE_SECONDS)


def _said(worker: Worker, use_case: str) -> str:
    version = worker.serving.get(use_case, {}).get("champion")
    problem = worker.problems.get(use_case, "")
    return " ".join(
        filter(None, [_name(worker), f"answers with {version or 'nothing'}", problem and f"({problem})"])
    )


def _name(worker: Worker) -> str:
    return f"{worker.host}:{worker.pid}"


def _count(alive: list[Worker]) -> str:
    return f"{len(alive)} worker{'s' if len(alive) > 1 else ''}"
