"""Everything that can be known before the stack is started. It changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.stack import computer, env_file, ports, versions, volumes
from deploy.stack.errors import Failed, Fault, Refused
from deploy.stack.stack import Stack, say

FLOOR_GIB = 10.0


@dataclass
class Findings:
    """What the preflight found: faults keep the stack from being started, warnings do not."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def require(self) -> None:
        """Tell the warnings.

        Raises
        ------
        Refused: there are faults.
        """
        for one in self.warnings:
            say(f"warning: {one}")
        if self.faults:
            raise Refused(self.faults)


def preflight(
    stack: Stack, *, upgrading: bool = False, build: bool = True, floor_gib: float = FLOOR_GIB
) -> Findings:
    """Look at secrets, Docker, ports, disk, the folder of data and the volumes; all faults at once.

    Parameters
    ----------
    upgrading: data of an older version are what is expected.
    build: the images are made; otherwise they must be there.
    floor_gib: so much disk must be free.
    """
    found = Findings(env_faults(stack) + computer.data_faults(stack))
    if stack.env_file.is_file():
        found.faults += profile_faults(stack) + number_faults(stack)
    told = computer.docker_faults(stack)
    found.faults += told
    if told:
        found.warnings.append(
            "ports, disk, images and volumes were not checked, because Docker cannot be asked"
        )
        return found
    if not found.faults:  # it would only say again what was said above, and less well
        found.faults += computer.config_faults(stack)
    faults, warnings = computer.resources(stack, floor_gib)
    found.faults += [*ports.port_faults(stack), *faults]
    found.warnings += warnings
    _images(stack, found, build)
    _volumes(stack, found, upgrading)
    return found


def env_faults(stack: Stack) -> list[Fault]:
    """What is wrong with `.env`, its mode and its secrets."""
    faults = env_file.mode_faults(stack.env_file)
    if not stack.env_file.is_file():
        return faults
    return faults + env_file.secret_faults(stack.values, stack.required, str(stack.env_file))


def profile_faults(stack: Stack) -> list[Fault]:
    """Profiles that nothing has, and whether somebody does the tasks: without workers, CeleryExecutor's wait for ever."""
    chosen = [one.strip() for one in stack.value("COMPOSE_PROFILES").split(",")]
    if unknown := sorted({*chosen} - {*stack.profiles, "", "*"}):
        return [
            Fault(
                f"no service has {', '.join(unknown)}", where=f"COMPOSE_PROFILES={','.join(chosen)}",
                allowed=", ".join(stack.profiles), next_step=f"correct it in {stack.env_file}",
            )
        ]  # fmt: skip
    if "CeleryExecutor" not in stack.value("AIRFLOW_EXECUTOR", "CeleryExecutor") or {"celery", "*"} & {
        *chosen
    }:
        return []
    return [
        Fault(
            "has no celery, so there are no workers, and AIRFLOW_EXECUTOR is CeleryExecutor",
            where=f"COMPOSE_PROFILES={','.join(chosen)}",
            allowed="celery among them, or AIRFLOW_EXECUTOR=LocalExecutor",
            next_step=f"change one of them in {stack.env_file}",
        )
    ]


def number_faults(stack: Stack) -> list[Fault]:
    """Settings that must be whole numbers, and are none."""
    return [
        Fault(
            "is no whole number from 1 on",
            where=f"{name}={value}",
            next_step=f"correct it in {stack.env_file}",
        )
        for name in ("WORKER_SLOTS", "AIRFLOW_PARALLELISM", "API_WORKERS")
        if (value := stack.value(name)) and not (value.isdecimal() and int(value))
    ]


def _images(stack: Stack, found: Findings, build: bool) -> None:
    for image in () if build else (stack.airflow_image, stack.service_image):
        if not stack.has_image(image):
            found.faults.append(Fault("is not on this computer", where=f"image {image}",
                                      next_step="leave BUILD=0 away, load the image, or correct KREISLAUF_TAG"))  # fmt: skip


def _volumes(stack: Stack, found: Findings, upgrading: bool) -> None:
    if not stack.has_image(stack.airflow_image):
        if stack.existing(volumes.OWNERS):
            found.warnings.append(
                f"there are volumes, but no image {stack.airflow_image} to look into them: not checked"
            )
        return
    try:
        seen = volumes.contents(stack, volumes.OWNERS)
    except Failed as error:
        found.faults.append(Fault(f"the volumes cannot be looked into: {error.what}", where="volumes",
                                  next_step=f"docker run --rm {stack.airflow_image} true tells more"))  # fmt: skip
        return
    found.faults += volumes.volume_faults(stack, seen, versions.of_code(stack.root), upgrading=upgrading)
