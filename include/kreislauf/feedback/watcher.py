"""Looks again and again whether a verdict tips, and has Airflow check at once; outlives whatever is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from include.kreislauf.errors import KreislaufError
from include.kreislauf.feedback.monitor import due_orders, judge_live
from include.kreislauf.feedback.tipping import Tipped, Watch
from include.kreislauf.handovers import Role
from include.kreislauf.monitoring.queries import observer
from include.kreislauf.settings import Settings
from include.kreislauf.store.database import Store

SLOT_SECONDS = 600
"""A check of the same metric is asked for once in so long, however often the look comes to the same."""
LONGEST_PAUSE = 60.0
MOST_BUSY = 0.5
"""Share of the time that looking may take: where a look is slow, it becomes rarer."""
QUERY_SECONDS = 5.0
"""Other systems have so long: the look at one use case must not keep the others waiting for long."""
CONFLICT = 409
"""Status with which Airflow answers when there is a run of this id."""

log = logging.getLogger("kreislauf.watch")


class Airflow(Protocol):
    """What is needed of Airflow's API."""

    def trigger(self, dag_id: str, *, run_id: str, conf: dict[str, str]) -> Any:
        """Start a run."""


def make_watch(settings: Settings) -> Watch:
    """A watch over the store that the settings name; other systems are asked by the environment's connections."""
    store, observe = Store(settings.store), observer(settings, seconds=QUERY_SECONDS)
    return Watch(
        store,
        lambda now: due_orders(store, settings.use_cases, "watch", now),
        lambda order: judge_live(order, store, observe, settings.use_cases),
    )


@dataclass
class Watcher:
    """One look after the other, and what follows from them.

    Parameters
    ----------
    now: the wall clock.
    seconds: between two looks.
    stopwatch: tells seconds.
    """

    watch: Watch
    now: Callable[[], datetime]
    seconds: float
    stopwatch: Callable[[], float] = time.monotonic
    _pause: float = field(default=0.0, init=False)
    _said: tuple[str, ...] = field(default=(), init=False)

    def step(self, airflow: Airflow) -> float:
        """Look once, ask for the checks that are needed; returns how long to wait. Raises nothing that can pass."""
        began, now = self.stopwatch(), self.now()
        try:
            tipped, faults = self.watch.look(now)
            self._ask(tipped, airflow, now)
        except (KreislaufError, SQLAlchemyError) as error:
            self._pause = min(max(2 * self._pause, self.seconds), LONGEST_PAUSE)
            said = " ".join(str(error).split())[:500]
            self._say([f"{said}; again in {self._pause:.0f} s"])
            return self._pause
        self._pause = 0.0
        self._say(faults)
        return max(self.seconds, (self.stopwatch() - began) * (1 / MOST_BUSY - 1))

    def _ask(self, tipped: Sequence[Tipped], airflow: Airflow, now: datetime) -> None:
        for one in tipped:
            run_id = check_id(one, now)
            reason = f"{one.metric} of release {one.release}: {one.text}"
            conf = {"use_case": one.use_case, "reason": reason[:2000], "by": "kreislauf watch"}
            try:
                airflow.trigger(Role.MONITORING, run_id=run_id, conf=conf)
            except KreislaufError as error:
                if getattr(error, "status", 0) != CONFLICT:  # this check has been asked for already
                    raise
            else:
                log.info("%s: %s; asked for the check %s", one.use_case, reason, run_id)

    def _say(self, lines: Sequence[str]) -> None:
        """Say what is new."""
        for line in lines:
            if line not in self._said:
                log.warning("%s", line)
        self._said = tuple(lines)


def check_id(tipped: Tipped, now: datetime) -> str:
    """Id of the run that is to check a metric: whoever asks again within the same ten minutes asks for the same run."""
    slot = int(now.timestamp()) // SLOT_SECONDS
    return f"watch__{tipped.use_case}__{tipped.release}__{tipped.metric}__{slot}"
