"""Child processes that leave nothing behind: start, watch, stop, and find what outlived its parent.

Airflow's children open process groups of their own (tasks, parsers, triggers), so a group signal does not
reach all of them. Every process of a stack therefore inherits one mark in its environment, and what still
carries the mark at the end is killed (Linux; elsewhere the process groups have to do).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from include.kreislauf.errors import KreislaufError

MARK = "KREISLAUF_STACK_ID"
_PROC = Path("/proc")
_POLL = 0.05
# Airflow's scheduler can lose a SIGTERM that arrives while it forks its workers (a SystemExit raised inside
# an at-fork hook is swallowed), so the signal is repeated.
_REPEAT_TERM = 1.5
_KILL_GRACE = 5.0


class StackError(KreislaufError):
    """The embedded stack cannot start, a part of it died, or it did not get ready in time.

    Parameters
    ----------
    what, where, next_step: see :class:`KreislaufError`.
    component: name of the process the error is about, empty when it is about the whole stack.
    exit_code: its exit code, negative for a signal, or None while it runs.
    log_path: file with its output.
    log_tail: last lines of that file.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        next_step: str = "",
        component: str = "",
        exit_code: int | None = None,
        log_path: Path | None = None,
        log_tail: Sequence[str] = (),
    ) -> None:
        self.component = component
        self.exit_code = exit_code
        self.log_path = log_path
        self.log_tail = tuple(log_tail)
        super().__init__(what, where=where, next_step=next_step)

    @property
    def text(self) -> str:
        """The message, followed by the end of the log."""
        return "\n".join([super().text, *(f"  | {line}" for line in self.log_tail)])


class Component:
    """A started process with a name and a log file, leader of its own session and process group."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self.log_path = log_path
        self._popen = popen

    @classmethod
    def spawn(
        cls, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log_dir: Path
    ) -> Component:
        """Start `argv`; its output goes to `<log_dir>/<name>.log`, the log of the run before to `.log.1`."""
        log_dir.mkdir(parents=True, exist_ok=True)
        log_path = log_dir / f"{name}.log"
        with suppress(FileNotFoundError):
            log_path.replace(log_path.with_suffix(".log.1"))
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                list(argv),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, popen, log_path)

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its group, unless it has already ended."""
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, unless it has already ended."""
        self._popen.send_signal(number)

    def reap(self, timeout: float) -> None:
        """Wait for the end of a process that was killed."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)

    def died(self) -> StackError:
        """The error that tells how this process ended, with the last 20 lines it wrote."""
        code = self.exit_code
        how = f"exit code {code}" if code is None or code >= 0 else f"killed by signal {-code}"
        return StackError(
            f"{self.name} ended unexpectedly ({how})",
            next_step=f"read {self.log_path}",
            component=self.name,
            exit_code=code,
            log_path=self.log_path,
            log_tail=tail(self.log_path),
        )


def tail(path: Path, lines: int = 20) -> list[str]:
    """The last lines of a log file; empty when it does not exist."""
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            return [line.rstrip("\n") for line in deque(log, maxlen=lines)]
    except FileNotFoundError:
        return []


def stop_components(components: Iterable[Component], grace: float, *, kill: bool = True) -> list[str]:
    """SIGTERM the groups of all components, last started first; SIGKILL those that outstay `grace` seconds.

    Returns the names of the components that had to be killed, or without `kill` of those still running.
    """
    alive = [component for component in reversed(list(components)) if component.exit_code is None]
    for component in alive:
        component.signal_group(signal.SIGTERM)
    deadline, repeat = time.monotonic() + grace, time.monotonic() + _REPEAT_TERM
    while alive and (now := time.monotonic()) < deadline:
        if now >= repeat:
            for component in alive:
                component.signal(signal.SIGTERM)
            repeat = now + _REPEAT_TERM
        time.sleep(_POLL)
        alive = [component for component in alive if component.exit_code is None]
    for component in alive if kill else ():
        component.signal_group(signal.SIGKILL)
        component.reap(_KILL_GRACE)
    return [component.name for component in alive]


def marked_pids(stack_id: str) -> list[int]:
    """Processes that carry this stack's mark, this process excepted; empty where there is no /proc."""
    needle, own = f"{MARK}={stack_id}".encode(), os.getpid()
    found = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        with suppress(OSError):  # it ended meanwhile, or belongs to somebody else
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def kill_marked(stack_id: str) -> list[int]:
    """Kill everything that carries the mark, until nothing is left; returns the process ids.

    Raises
    ------
    StackError: a process survives SIGKILL, which happens when it hangs in the kernel.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_GRACE
    while pids := marked_pids(stack_id):
        if time.monotonic() > deadline:
            raise StackError(
                f"processes {pids} survive SIGKILL", next_step="look at them with `ps -o pid,stat,wchan`"
            )
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(pids)
        time.sleep(_POLL)
    return sorted(killed)
