"""Processes with one owner and one home folder: start, wait, watch, stop, end what a dead owner left."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from include.kreislauf.embedded.environment import write_private
from include.kreislauf.embedded.ports import LOCK_PATIENCE, try_lock
from include.kreislauf.embedded.processes import MARK, Component, StackError, kill_marked, stop_components

_POLL = 0.1
_EARLY_GRACE = 2.0


class ProcessSet:
    """The processes of one stack; `home/stack.json` names them, the living owner holds `home/stack.lock`."""

    def __init__(self, home: Path, cwd: Path, say: Callable[[str], None]) -> None:
        self.stack_id = uuid.uuid4().hex
        self.log_dir = home / "logs"
        self.stopping = False
        self._home = home
        self._cwd = cwd
        self._say = say
        self._components: list[Component] = []
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Take possession of the home and end the processes of an owner that was killed.

        Raises
        ------
        StackError: the home belongs to a living stack, or a left-over process cannot be ended.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = try_lock(self._home / "stack.lock", LOCK_PATIENCE)
        if self._lock is None:
            raise StackError(
                "another stack is using this home",
                where=str(self._home),
                next_step="stop it (stack.json names its processes), or use another home",
            )
        try:
            earlier = str(json.loads((self._home / "stack.json").read_text())["stack_id"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return
        if killed := kill_marked(earlier):
            self._say(f"Ended {len(killed)} processes that an earlier run had left behind")

    def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        ready: Callable[[], bool],
        timeout: float,
    ) -> Component:
        """Start a process and wait until `ready` answers True.

        Raises
        ------
        StackError: this or another process of the set died, or it was not ready in time.
        """
        component = self._spawn(name, argv, env)
        self._components.append(component)
        self._write_state()
        self.wait(name, ready, timeout)
        return component

    def run(self, name: str, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> None:
        """Run a process to its end.

        Raises
        ------
        StackError: it failed, took too long, or another process of the set died meanwhile.
        """
        component = self._spawn(name, argv, env)
        self.wait(name, lambda: component.exit_code is not None, timeout)
        if component.exit_code != 0:
            raise component.died()

    def wait(self, what: str, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready` answers True; raises :class:`StackError` when a process died or time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{what} was not ready after {timeout:g} s", next_step=f"read the logs in {self.log_dir}"
                )
            time.sleep(_POLL)

    def check(self) -> None:
        """Raise the :class:`StackError` of a process that ended, if there is one."""
        for component in self._components:
            if component.exit_code is not None:
                raise component.died()

    def stop(self, grace: float, first: str = "") -> None:
        """Stop all processes, `first` before the rest, and whatever they started; harmless when repeated.

        Raises
        ------
        StackError: a process survives SIGKILL; the next :meth:`acquire` of this home will try again.
        """
        if self._lock is None:
            return
        begin, self.stopping = time.monotonic(), True
        try:
            early = [component for component in self._components if component.name == first]
            stop_components(early, min(grace, _EARLY_GRACE), kill=False)
            forced = stop_components(self._components, grace)
            orphans = kill_marked(self.stack_id)
            (self._home / "stack.json").unlink(missing_ok=True)
        finally:
            self._components.clear()
            self._lock.close()
            self._lock, self.stopping = None, False
        details = f"; killed: {', '.join(forced)}" if forced else ""
        details += f"; {len(orphans)} left-over processes ended" if orphans else ""
        self._say(f"Stopped after {time.monotonic() - begin:.1f} s{details}")

    def _spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Component:
        marked = {**env, MARK: self.stack_id}
        return Component.spawn(name, argv, env=marked, cwd=self._cwd, log_dir=self.log_dir)

    def _write_state(self) -> None:
        pids = {component.name: component.pid for component in self._components}
        state = {"stack_id": self.stack_id, "owner": os.getpid(), "pids": pids}
        write_private(self._home / "stack.json", json.dumps(state, indent=2))
