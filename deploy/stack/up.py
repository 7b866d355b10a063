"""Starting the stack, and not calling it started before its canary came through; and stopping it."""

from __future__ import annotations

import time

from deploy.stack import computer
from deploy.stack.errors import CanaryFailed, Failed, Fault, Refused
from deploy.stack.ports import published
from deploy.stack.preflight import FLOOR_GIB, preflight
from deploy.stack.stack import Stack, say
from deploy.stack.waiting import broken, last_lines, wait_until_healthy

HEALTHY_SECONDS = 300.0
CANARY_SECONDS = 240
FIRST = ("api-server",)
CANARY_IN = "watcher"
"""The service that has what logging in to Airflow needs."""


def up(
    stack: Stack, *, build: bool = True, workers: int = 0, canary: bool = True, seconds: float = HEALTHY_SECONDS,
    floor_gib: float = FLOOR_GIB,
) -> None:  # fmt: skip
    """Check, build, start, wait, try.

    Raises
    ------
    Refused: the preflight found faults; nothing was changed.
    Failed: the stack did not come up.
    CanaryFailed: it came up, and does not work.
    """
    preflight(stack, build=build, floor_gib=floor_gib).require()
    if build:
        build_images(stack)
    began = time.monotonic()
    start(stack, workers=workers)
    prove(stack, canary=canary, seconds=seconds)
    say(f"{time.monotonic() - began:5.0f} s  from start to end{'' if canary else ', without a canary'}")
    say(addresses(stack))


def build_images(stack: Stack) -> None:
    """Build both images, with the commit of the code in them.

    Raises
    ------
    Failed: an image cannot be built.
    """
    commit = (
        stack.value("KREISLAUF_CODE_VERSION")
        or stack.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"], check=False
        ).stdout.strip()
    )
    say("building the images")
    if stack.watch(stack.compose_command("build"), {"KREISLAUF_CODE_VERSION": commit} if commit else None):
        raise Failed(
            "an image cannot be built", where="docker build", next_step="see above; what ran before runs on"
        )


def start(stack: Stack, *, workers: int = 0) -> None:
    """Start all that the settings ask for.

    Raises
    ------
    Failed: something did not start; with its last lines.
    """
    computer.data_folder(stack).mkdir(parents=True, exist_ok=True)
    scale = ["--scale", f"worker={workers}"] if workers else []
    if stack.watch(stack.compose_command("up", "-d", *scale), parallelism(stack, workers)):
        guilty = broken(stack.containers())
        ends = [f"--- the last lines of {one.name}\n{last_lines(stack, one)}\n---" for one in guilty]
        raise Failed("\n".join(["Compose could not start everything", *ends]), where=f"stack {stack.project}",
                     next_step="see above; when the cause is gone, make up again")  # fmt: skip


def parallelism(stack: Stack, workers: int) -> dict[str, str]:
    """Tasks at a time: as many as the workers take, so that what waits does so in the scheduler's order."""
    if stack.value("AIRFLOW_PARALLELISM"):
        return {}
    return {"AIRFLOW_PARALLELISM": str(max(workers, 1) * int(stack.value("WORKER_SLOTS", "4")))}


def prove(stack: Stack, *, canary: bool, seconds: float) -> None:
    """Wait until the stack works: every container is healthy, and the canary came through.

    The canary starts as soon as it can be asked for: it needs more than health checks tell, and they come once a minute.

    Raises
    ------
    Failed: a container did not become healthy.
    CanaryFailed: all else works.
    """
    if canary:
        wait_until_healthy(stack, seconds, FIRST)
        run_canary(stack)
    passed = wait_until_healthy(stack, seconds)
    say(f"{passed:5.0f} s  every container is healthy")


def run_canary(stack: Stack) -> None:
    """Send the tiny use case through the whole ring.

    Raises
    ------
    CanaryFailed: it did not come through; what it says of the cause stands above.
    """
    say("the canary: a tiny use case through the whole ring")
    command = ("python", "-m", "include.kreislauf", "canary", "--airflow", "http://api-server:8080")
    words = ("exec", "-T", CANARY_IN, *command, "--wait", str(CANARY_SECONDS))
    if stack.watch(stack.compose_command(*words)):
        raise CanaryFailed("the containers run, but the canary did not come through", where=f"stack {stack.project}",
                           next_step="do what the canary says above, then make up again (CANARY=0 leaves it away)")  # fmt: skip


def addresses(stack: Stack) -> str:
    """What is published, and where."""
    return "\n".join(f"  {one.variable.partition('_PORT')[0].lower():<12} http://{one.address}:{one.number}"
                     for one in published(stack))  # fmt: skip


def down(stack: Stack, *, volumes: bool = False, confirm: str = "") -> None:
    """Stop the stack; its volumes stay, unless their deletion is confirmed by the project's name.

    Raises
    ------
    Refused: the deletion is not confirmed.
    Failed: Docker did not do it.
    """
    told = computer.docker_faults(stack)
    if volumes and confirm != stack.project:
        told.append(Fault("deletes every volume of the stack: data, models, history", where="VOLUMES=1",
                          allowed=f"CONFIRM={stack.project}", next_step="make backup TO=folder first"))  # fmt: skip
    if told:
        raise Refused(told)
    options = ["--volumes"] if volumes else []
    # Compose stops only what the given profiles name
    if stack.watch(stack.compose_command("down", *options, profiles=stack.profiles)):
        raise Failed("not everything could be stopped", where=f"stack {stack.project}", next_step="see above")
    say(
        "stopped; all volumes are deleted"
        if volumes
        else "stopped; every volume is kept, make up goes on with them"
    )
