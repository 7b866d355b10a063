"""One Compose stack: its project, its settings, and the commands that reach it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Union

from deploy.stack import env_file
from deploy.stack.errors import Failed

COMPOSE = (("docker", "compose"), ("docker-compose",))
LABEL = "com.docker.compose."
QUICK = 120.0
"""Seconds for a command that only asks, or moves little."""
Input = Union[str, IO[bytes], None]


@dataclass(frozen=True)
class Container:
    """What Docker tells about one container of the stack."""

    name: str
    service: str
    state: str
    health: str
    exit_code: int
    restarts: int
    image: str

    @property
    def ready(self) -> bool:
        """Whether it is healthy; without a health check: whether it runs, or has ended well."""
        if self.state == "running":
            return self.health in ("", "healthy")
        return self.state == "exited" and self.exit_code == 0


@dataclass(frozen=True)
class Stack:
    """A stack, running or not.

    Parameters
    ----------
    root: folder of the Compose file.
    project: name before those of all containers and volumes.
    environ: variables of the shell, which for Compose stand above those of the file.
    files: Compose files, when not those that Compose finds itself.
    """

    root: Path
    project: str
    env_file: Path
    environ: Mapping[str, str]
    files: tuple[Path, ...] = ()

    @classmethod
    def here(
        cls, root: Path, environ: Mapping[str, str], *, project: str = "", file: Path | None = None,
        files: Sequence[Path] = (),
    ) -> Stack:  # fmt: skip
        """The stack of a folder, with the name that Compose would give it."""
        path = file or root / ".env"
        values = env_file.parse(path.read_text("utf-8")) if path.is_file() else {}
        name = (
            project or environ.get("COMPOSE_PROJECT_NAME") or values.get("COMPOSE_PROJECT_NAME") or root.name
        )
        return cls(root, re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-"), path, environ, tuple(files))

    @cached_property
    def values(self) -> dict[str, str]:
        """Every variable as Compose sees it: the shell's value, or else the file's."""
        text = self.env_file.read_text("utf-8") if self.env_file.is_file() else ""
        return {**env_file.parse(text), **self.environ}

    def value(self, name: str, default: str = "") -> str:
        """One variable; the default where it is missing or empty."""
        return self.values.get(name) or default

    @cached_property
    def compose_text(self) -> str:
        """The Compose files, one behind the other."""
        own = [self.root / name for name in ("docker-compose.yaml", "docker-compose.override.yaml")]
        return "\n".join(one.read_text("utf-8") for one in self.files or own if one.is_file())

    @cached_property
    def required(self) -> list[str]:
        """Names of the secrets."""
        return env_file.required_in(self.compose_text)

    @cached_property
    def compose(self) -> tuple[str, ...]:
        """The Compose command of this computer, v2 before 1.29; empty: there is none."""
        for command in COMPOSE:
            if shutil.which(command[0], path=self.environ.get("PATH")):
                answer = self.run([*command, "version"], check=False)
                if answer.returncode == 0 and "compose" in answer.stdout.lower():
                    return command
        return ()

    @property
    def profiles(self) -> list[str]:
        """Every profile that the Compose files name."""
        lists = re.findall(r"^\s*profiles:\s*\[([^\]]*)\]", self.compose_text, re.MULTILINE)
        return sorted({one.strip(" \"'") for found in lists for one in found.split(",")})

    @property
    def airflow_image(self) -> str:
        """The image that is built here, for Airflow's components."""
        return f"kreislauf-airflow:{self.value('KREISLAUF_TAG', 'dev')}"

    @property
    def service_image(self) -> str:
        """The image that is built here, for the prediction service."""
        return f"kreislauf-service:{self.value('KREISLAUF_TAG', 'dev')}"

    def volume(self, name: str) -> str:
        """Docker's name of a volume."""
        return f"{self.project}_{name}"

    def compose_command(self, *words: str, profiles: Sequence[str] = ()) -> list[str]:
        """The words of a Compose command on this stack."""
        files = [word for one in self.files for word in ("-f", str(one))]
        named = [word for one in profiles for word in ("--profile", one)]
        return [*self.compose, *files, "-p", self.project, "--env-file", str(self.env_file), *named, *words]

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout: float = QUICK, given: Input = None,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command in the stack's folder; its output as text.

        Raises
        ------
        Failed: it cannot be started, takes too long, or (unless told otherwise) ends badly.
        """
        source = {"input": given} if isinstance(given, str) else {"stdin": given or subprocess.DEVNULL}
        shown = self.redact(" ".join(command[:6]))
        try:
            done = subprocess.run(
                list(command), cwd=self.root, env={**self.environ, **(variables or {})}, timeout=timeout,
                capture_output=True, text=True, check=False, **source,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Failed(f"took longer than {timeout:.0f} s", where=shown,
                         next_step="look at Docker's own log, and at how busy this computer is") from error  # fmt: skip
        except OSError as error:
            raise Failed(f"cannot be started: {error.strerror}", where=shown) from error
        if check and done.returncode:
            raise Failed(self.redact((done.stderr or done.stdout).strip()[-2000:]) or f"ended with {done.returncode}",
                         where=shown)  # fmt: skip
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, done.stderr)

    def watch(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
        """Run a command whose output the person sees at once; its exit code."""
        return subprocess.run(
            list(command), cwd=self.root, env={**self.environ, **(variables or {})}, check=False,
            stdin=subprocess.DEVNULL,
        ).returncode  # fmt: skip

    def docker(self, *words: str, check: bool = True, timeout: float = QUICK, given: Input = None) -> str:
        """What a Docker command prints; empty when it failed and that is allowed."""
        done = self.run(["docker", *words], check=check, timeout=timeout, given=given)
        return done.stdout if done.returncode == 0 else ""

    def has_image(self, name: str) -> bool:
        """Whether this computer has an image."""
        return bool(self.docker("image", "inspect", "--format", "{{.Id}}", name, check=False))

    def existing(self, names: Iterable[str]) -> list[str]:
        """Those of some volumes that were ever made."""
        known = set(self.docker("volume", "ls", "--format", "{{.Name}}").split())
        return [name for name in names if self.volume(name) in known]

    def containers(self, *, running: bool = False) -> list[Container]:
        """The stack's containers, without those of one command."""
        every = [] if running else ["-a"]
        ids = self.docker(
            "ps", *every, "-q", "--no-trunc", "--filter", f"label={LABEL}project={self.project}"
        ).split()
        if not ids:
            return []
        # one that went away in between is an error of the command, and no matter here
        found = self.run(["docker", "inspect", *ids], check=False).stdout
        return sorted(
            (_container(one) for one in json.loads(found or "[]") if one["Config"]["Labels"].get(f"{LABEL}oneoff") != "True"),
            key=lambda one: one.name,
        )  # fmt: skip

    def container(self, service: str) -> Container | None:
        """The running container of a service, if there is one."""
        return next((one for one in self.containers(running=True) if one.service == service), None)

    def redact(self, text: str) -> str:
        """A text without the stack's secrets."""
        for name in self.required:
            if len(value := self.values.get(name, "")) >= 6:
                text = text.replace(value, f"<{name}>")
        return text


def _container(found: Mapping[str, Any]) -> Container:
    state = found["State"]
    return Container(
        name=found["Name"].lstrip("/"), service=found["Config"]["Labels"].get(f"{LABEL}service", ""),
        state=state["Status"], health=(state.get("Health") or {}).get("Status", ""), exit_code=state["ExitCode"],
        restarts=found.get("RestartCount", 0), image=found["Image"],
    )  # fmt: skip


def say(text: str = "") -> None:
    """Tell the person, at once also where output goes to a file."""
    print(text, flush=True)
