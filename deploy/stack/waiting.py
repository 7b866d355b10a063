"""Waiting until every container is healthy, or one of them shows that it will not be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from deploy.stack.errors import Failed
from deploy.stack.stack import Container, Stack, say

LOOK_SECONDS = 2.0
TELL_SECONDS = 15.0
RESTARTS = 3
"""A container that was started anew so often does not come up."""
LAST_LINES = 30


def wait_until_healthy(stack: Stack, seconds: float, services: Sequence[str] = ()) -> float:
    """Wait, and tell what is still awaited; the seconds it took.

    Parameters
    ----------
    services: only these must be healthy; empty: all. None may be broken.

    Raises
    ------
    Failed: a container ended badly, is started again and again, or is unhealthy or not yet healthy at the end of the time.
    """
    began = told_at = time.monotonic()
    told: list[str] = []
    before = {one.name: one.restarts for one in stack.containers() if one.ready}
    while True:
        containers, passed = stack.containers(), time.monotonic() - began
        awaited = [one for one in containers if not one.ready and one.service in (services or {one.service})]
        if containers and not awaited:
            return passed
        if guilty := broken(containers, before) or (awaited if passed > seconds else []):
            raise Failed(
                _account(stack, guilty, passed),
                where=f"stack {stack.project}",
                next_step=_next(stack, guilty[0]),
            )
        if passed > seconds:
            raise Failed(
                "no container was made", where=f"stack {stack.project}", next_step="look at what Compose told"
            )
        shown = [f"{one.service} ({one.health or one.state})" for one in awaited]
        if shown != told or time.monotonic() - told_at >= TELL_SECONDS:
            say(f"{passed:5.0f} s  waiting for {', '.join(shown) or 'the first container'}")
            told, told_at = shown, time.monotonic()
        time.sleep(LOOK_SECONDS)


def broken(containers: Sequence[Container], before: Mapping[str, int] | None = None) -> list[Container]:
    """Containers from which nothing is to be expected any more.

    Parameters
    ----------
    before: container -> how often it had been started anew before; that does not count.
    """
    known = before or {}
    return [
        one for one in containers
        if (one.state in ("exited", "dead") and one.exit_code)
        or (not one.ready and one.restarts - known.get(one.name, 0) >= RESTARTS)
    ]  # fmt: skip


def last_lines(stack: Stack, container: Container) -> str:
    """The end of a container's log, without secrets."""
    done = stack.run(["docker", "logs", "--tail", str(LAST_LINES), container.name], check=False)
    return stack.redact((done.stdout + done.stderr).strip())


def _account(stack: Stack, guilty: Sequence[Container], passed: float) -> str:
    lines = [
        f"not healthy after {passed:.0f} s: " + ", ".join(f"{one.service} ({_state(one)})" for one in guilty)
    ]
    for one in guilty[:2]:
        lines += [f"--- the last lines of {one.name}", last_lines(stack, one) or "(it wrote nothing)"]
    return "\n".join([*lines, "---"])


def _state(one: Container) -> str:
    if one.state == "running":
        return one.health or "running"
    return f"{one.state}, exit code {one.exit_code}, restarted {one.restarts} times"


def _next(stack: Stack, one: Container) -> str:
    compose = " ".join(stack.compose)
    return f"{compose} logs {one.service}; when the cause is gone, make up again. What runs stays; make down stops it"
