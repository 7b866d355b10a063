"""Going on with newer code: all that takes long or can fail comes before anything is stopped."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from deploy.stack.backup import backup
from deploy.stack.errors import Failed, Fault
from deploy.stack.preflight import FLOOR_GIB, preflight
from deploy.stack.restore import start_server
from deploy.stack.stack import Stack, say
from deploy.stack.up import HEALTHY_SECONDS, addresses, build_images, prove, start

STAYS = "postgres"


def upgrade(
    stack: Stack, folder: Path, now: datetime, *, build: bool = True, workers: int = 0, canary: bool = True,
    seconds: float = HEALTHY_SECONDS, floor_gib: float = FLOOR_GIB,
) -> None:  # fmt: skip
    """Keep the old images, build the new ones, back up, stop all but PostgreSQL, migrate, start, try.

    Raises
    ------
    Refused: there is nothing to upgrade, or the preflight found faults; nothing was changed.
    Failed: it did not work; the text says how to go back.
    """
    found = preflight(stack, upgrading=True, build=build, floor_gib=floor_gib)
    if not stack.existing([STAYS]):
        found.faults.append(
            Fault("there is no stack to upgrade", where=f"volume {stack.volume(STAYS)}", next_step="make up")
        )
    found.require()
    before = f"before-{now:%Y%m%dT%H%M%SZ}"
    kept = keep_images(stack, before)
    if build:
        build_images(stack)
    if stack.container(STAYS) is None:
        start_server(stack)
    saved = backup(stack, folder, now)
    try:
        _stop(stack)
        start(stack, workers=workers)
        prove(stack, canary=canary, seconds=seconds)
    except Failed:
        say(way_back(stack, kept, before, saved))
        raise
    say(
        f"upgraded; the old images are kept as {', '.join(kept) or '(there were none)'}, the old data as {saved}"
    )
    say(addresses(stack))


def keep_images(stack: Stack, tag: str) -> list[str]:
    """Give the images that run now, or else those of the present tag, another tag that no build takes away."""
    running = {one.service: one.image for one in stack.containers(running=True)}
    kept = []
    for name, service in ((stack.airflow_image, "scheduler"), (stack.service_image, "prediction-service")):
        old = running.get(service) or name
        if stack.has_image(old):
            other = f"{name.rpartition(':')[0]}:{tag}"
            stack.docker("tag", old, other)
            kept.append(other)
    return kept


def _stop(stack: Stack) -> None:
    services = stack.run(stack.compose_command("config", "--services")).stdout.split()
    say(f"stopping all but {STAYS}")
    if stack.watch(stack.compose_command("stop", *(one for one in services if one != STAYS))):
        raise Failed("not everything could be stopped", where=f"stack {stack.project}", next_step="see above")


def way_back(stack: Stack, kept: list[str], tag: str, saved: Path) -> str:
    """What to do when an upgrade did not work, word for word."""
    old = (
        [f"  3. in {stack.env_file}: KREISLAUF_TAG={tag}"]
        if kept
        else ["  3. build the images of that code: make up does"]
    )
    return "\n".join([
        f"to go back to what was there before (what was recorded since the backup {saved} is lost):",
        "  1. check out the code that ran before",
        f"  2. make down VOLUMES=1 CONFIRM={stack.project}",
        *old,
        f"  4. make restore FROM={saved}",
        f"  5. make up{' BUILD=0' if kept else ''}",
        "to try again instead, when the cause is gone: make up",
    ])  # fmt: skip
