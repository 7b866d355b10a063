"""Driving the ring through Airflow's API, and telling what happens in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from include.kreislauf.embedded.airflow_api import UNFINISHED, AirflowApi
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Handover, Role, cycle_id_for, partition_key
from include.kreislauf.store import cycles, live, messages
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.database import Store

LAP_TIMEOUT = 300.0
QUIET_TIMEOUT = 45.0
"""Seconds without any run while a cycle is at work, after which a handover must be lost."""
PAUSE = 0.25


class RingError(KreislaufError):
    """The ring did not do in time what was waited for."""


class Ring:
    """One use case going round in a running stack.

    Parameters
    ----------
    say: receives one line per thing that happened.
    """

    def __init__(
        self, stack: EmbeddedStack, api: AirflowApi, store: Store, use_case: str, say: Callable[[str], None]
    ) -> None:
        self.stack, self.api, self.store, self.use_case, self._say = stack, api, store, use_case, say
        self._told: set[str] = set()
        self._begun: list[tuple[Role, str]] = []

    def begin(self, as_of: datetime, reason: str) -> None:
        """Have the requirements DAG open the first cycle; :meth:`settle` waits until it is live."""
        key = partition_key(self.use_case, cycle_id_for(1, as_of))
        self._trigger(Role.REQUIREMENTS, as_of, reason, key)

    def check(self, as_of: datetime) -> None:
        """Have the monitoring DAG judge the live release; :meth:`settle` waits until all that follows has come to rest.

        Raises
        ------
        RingError: nothing is live.
        """
        with self.store.read() as db:
            release = live.live_release(db, self.use_case)
        if release is None:
            raise RingError("nothing is live that could be checked", where=self.use_case)
        self._trigger(
            Role.MONITORING, as_of, "a period ended", partition_key(self.use_case, release.cycle_id)
        )

    def take_up(self) -> None:
        """After an interruption: run again what had failed because its processes were stopped."""
        failed = self.api.runs(states=["failed"])
        for run in (one for one in failed if str(one["partition_key"]).startswith(f"{self.use_case}|")):
            self._say(f"  {run['partition_key']}  {run['dag_id']} had failed and runs again")
            self.api.clear(run["dag_id"], run["dag_run_id"], only_failed=True)

    def settle(self, timeout: float = LAP_TIMEOUT) -> None:
        """Wait until what was begun is over, no run is unfinished and no cycle at work.

        A question to a person is answered with a rejection. Other use cases may be at work beside it: then it is waited
        for their runs as well.

        Raises
        ------
        RingError: something is still at work after ``timeout`` seconds; says what.
        """
        while self._begun:
            role, run_id = self._begun[0]
            self.api.wait_for_run(role, run_id, timeout=LAP_TIMEOUT, expect="success")
            self._begun.pop(0)
        deadline = time.monotonic() + timeout
        quiet_since: float | None = None
        while True:
            self.stack.check()
            self.tell()
            busy = self._busy_cycles()
            runs = self.api.runs(states=UNFINISHED)
            if busy and not runs:
                quiet_since = quiet_since or time.monotonic()
            else:
                quiet_since = None
            if quiet_since and time.monotonic() - quiet_since > QUIET_TIMEOUT:
                raise RingError(f"no DAG run works on it: {self._describe(busy)}", where=self.use_case,
                                next_step=f"look at the failed runs in Airflow ({self.stack.airflow_url})")  # fmt: skip
            if not busy and not self._answered(runs) and not runs:
                return
            if time.monotonic() > deadline:
                raise RingError(
                    f"not at rest after {timeout:.0f} s: {self._describe(busy)}", where=self.use_case,
                    next_step=f"look at the runs in Airflow ({self.stack.airflow_url}) and at the logs below {self.stack.home}",
                )  # fmt: skip
            time.sleep(PAUSE)

    def tell(self) -> None:
        """One line for every handover, loop and promotion that is new."""
        with self.store.read() as db:
            known = cycles.all_cycles(db, self.use_case)
            loops = messages.loops_of(db, self.use_case)
            handed = [
                one for cycle in known for one in messages.handovers_of(db, self.use_case, cycle.cycle_id)
            ]
        for handover in handed:
            self._tell_once(handover.id, _line(handover))
        for row in loops:
            self._tell_once(row.loop.id, f"  {row.loop.cycle_id}  loop/{row.loop.edge}: {row.loop.text}")
            self._tell_once(f"{row.loop.id}/{row.state}", _fate(row))
        for cycle in known:
            if cycle.state in (State.FAILED, State.WAITING, State.CLOSED):
                self._tell_once(
                    f"{cycle.key}/{cycle.state}", f"  {cycle.cycle_id}  {cycle.state}: {cycle.note}"
                )

    def _trigger(self, role: Role, as_of: datetime, reason: str, key: str) -> None:
        run_id = f"replay__{self.use_case}__{as_of:%Y-%m-%d}"
        conf = {
            "use_case": self.use_case,
            "reason": reason,
            "by": "kreislauf run",
            "as_of": as_of.isoformat(),
        }
        if not any(run["dag_run_id"] == run_id for run in self.api.runs(role, partition_key=key)):
            self.api.trigger(role, run_id=run_id, conf=conf, partition_key=key, note=reason)
        self._begun.append((role, run_id))

    def _busy_cycles(self) -> list[Cycle]:
        with self.store.read() as db:
            return cycles.in_state(db, self.use_case, State.ACTIVE, State.PROPOSED)

    def _answered(self, runs: list[dict[str, Any]]) -> bool:
        """Nobody sits at the inbox of a replay: what waits for a person is rejected, so that time can go on."""
        waiting = [run for run in runs if run["dag_id"] == Role.REQUIREMENTS]
        if not waiting:
            return False
        open_questions = self.api.hitl_details(Role.REQUIREMENTS)
        for question in open_questions:
            task = question["task_instance"]
            self._say(f"  question to the product owner: {question['subject']}; the replay answers: Reject")
            self.api.answer_hitl(
                task["dag_id"], task["dag_run_id"], task["task_id"], ["Reject"],
                {"note": "replay: nobody is there to decide; the live release stays"},
            )  # fmt: skip
        return bool(open_questions)

    def _describe(self, busy: list[Cycle]) -> str:
        runs = [
            f"{run['dag_id']} {run['dag_run_id']} {run['state']}" for run in self.api.runs(states=UNFINISHED)
        ]
        return "; ".join([*(f"cycle {cycle.cycle_id} is {cycle.state}" for cycle in busy), *runs])

    def _tell_once(self, name: str, line: str) -> None:
        if line and name not in self._told:
            self._told.add(name)
            self._say(line)


def _fate(row: messages.LoopRow) -> str:
    """What became of a loop; nothing while it is only raised."""
    if row.state == "raised":
        return ""
    if row.state != "closed" or row.value_before is None or row.value_after is None:
        return f"  {row.loop.cycle_id}  governor: {row.state}, {row.decision}"
    helped = "helped" if row.helped else "did not help"
    return f"  {row.loop.cycle_id}  ledger: the loop {helped}, {row.loop.metric} {row.value_before:+.4g} → {row.value_after:+.4g}"


def _line(handover: Handover) -> str:
    shown = (
        handover.output
        if len(handover.output) < 40
        else f"{handover.output[:24]}…{handover.output.partition('#')[2]}"
    )
    return f"  {handover.cycle_id}  {handover.stage:<12} {shown}"


def utc(day: str) -> datetime:
    """A date as the start of that day in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
