"""What `make start` tells at a terminal: where each use case stands, and what happens to it."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from functools import partial

from include.kreislauf.embedded.airflow_api import FINISHED, UNFINISHED, AirflowApi, AirflowApiError
from include.kreislauf.embedded.choosing import Chosen
from include.kreislauf.embedded.ring import Ring
from include.kreislauf.embedded.session import say_named
from include.kreislauf.embedded.stack import EmbeddedStack
from include.kreislauf.embedded.standing import Addresses, is_at_work, is_begun, standing
from include.kreislauf.errors import StoreError
from include.kreislauf.handovers import Role
from include.kreislauf.store.database import Store

CLOCK_SECONDS = 6.0
"""So long after the DAGs are there, the requirements DAG's own look has begun, if one is due."""
Say = Callable[[str], None]


class Desk:
    """Tells at a terminal what happens in a stack to the use cases in it.

    Parameters
    ----------
    schedule: when the requirements DAG looks for new contracts by itself.
    say: receives one line per thing that happened.
    """

    def __init__(
        self, stack: EmbeddedStack, api: AirflowApi, store: Store, chosen: Chosen, schedule: str, say: Say
    ) -> None:
        self._stack, self._api, self._store, self._chosen, self._say = stack, api, store, chosen, say
        self._at = Addresses(stack.airflow_url, stack.service_url, schedule)
        self._rings: dict[str, Ring] = {}
        self._told: dict[str, str] = {}
        self._pending: dict[str, str] = {}  # use cases to begin, and the run that does it
        self._clock_looks_until = time.monotonic() + CLOCK_SECONDS
        self._quiet = False

    def begin(self, name: str) -> None:
        """Have the requirements DAG open the first cycle, unless there is one; :meth:`look` carries it out."""
        with self._store.read() as db:
            if is_begun(db, name):
                say_named(self._say, name, "--begin: it has begun already")
                return
        self._pending[name] = ""

    def look(self) -> None:
        """Follow the folder, and tell what is new; a store or an Airflow that is away for a while ends nothing."""
        try:
            names = self._chosen.link()
            self._begin_pending()
            self._tell_of_folder(names)
            for name in names:
                self._tell_of(name)
        except (StoreError, AirflowApiError) as error:
            self._once("", error.text)

    def _begin_pending(self) -> None:
        """At a start the clock's look may find the same contract: only what it has left is begun by hand."""
        if not self._pending:
            return
        clock_may_find_it = time.monotonic() < self._clock_looks_until or self._looking()
        for name, run_id in list(self._pending.items()):
            with self._store.read() as db:
                begun = is_begun(db, name)
            if begun or (run_id and self._api.run(Role.REQUIREMENTS, run_id)["state"] in FINISHED):
                del self._pending[name]
            elif not run_id and not clock_may_find_it:
                self._pending[name] = self._trigger(name)

    def _looking(self) -> bool:
        """Whether the requirements DAG is at work; what waits for a person's answer does not count."""
        asked = {one["task_instance"]["dag_run_id"] for one in self._api.hitl_details(Role.REQUIREMENTS)}
        runs = self._api.runs(Role.REQUIREMENTS, states=UNFINISHED)
        return any(run["dag_run_id"] not in asked for run in runs)

    def _trigger(self, name: str) -> str:
        conf = {"use_case": name, "reason": "the first model", "by": getpass.getuser()}
        return str(self._api.trigger(Role.REQUIREMENTS, conf=conf, note="the first model")["dag_run_id"])

    def _tell_of_folder(self, names: list[str]) -> None:
        if not names:
            self._once(
                "",
                "none yet: python -m include.kreislauf new-use-case NAME --data FILE --target COLUMN drafts one",
            )
        for name in sorted(self._rings.keys() - names):
            say_named(self._say, name, "is no longer there")
            del self._rings[name]
            self._told.pop(name, None)

    def _tell_of(self, name: str) -> None:
        with self._store.read() as db:
            line = standing(db, self._chosen.folder, name, self._at)
            busy = is_at_work(db, name)
        if name in self._pending:
            line = "its first cycle begins"
        if name not in self._rings:
            self._rings[name] = self._ring(name)
        elif busy or line != self._told.get(name):
            self._rings[name].tell()
        self._once(name, line)

    def _ring(self, name: str) -> Ring:
        """One that has told all there was before this start."""
        ring = Ring(self._stack, self._api, self._store, name, partial(self._loud, name))
        self._quiet = True
        try:
            ring.tell()
        finally:
            self._quiet = False
        return ring

    def _loud(self, name: str, line: str) -> None:
        if not self._quiet:
            say_named(self._say, name, line)

    def _once(self, name: str, line: str) -> None:
        if self._told.get(name) != line:
            self._told[name] = line
            say_named(self._say, name, line)
