"""The ports that the stack publishes: whether they are free, and who has them."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.stack.errors import Fault
from deploy.stack.stack import LABEL, Stack

_PUBLISHED = re.compile(r"(\d+\.\d+\.\d+\.\d+|\$\{[A-Z_]+:-[\d.]+\}):\$\{([A-Z_]+):-(\d+)\}:\d+")
LISTENING = "0A"


@dataclass(frozen=True)
class Port:
    """A port that the Compose file publishes, and the variable that sets it."""

    address: str
    variable: str
    text: str

    @property
    def number(self) -> int:
        """The port; 0 when the variable holds none."""
        return int(self.text) if re.fullmatch(r"\d{1,5}", self.text) and int(self.text) < 65_536 else 0


def published(stack: Stack) -> list[Port]:
    """Every port of the Compose files of the form `address:${VARIABLE:-default}:port`."""
    found = []
    for address, variable, default in _PUBLISHED.findall(stack.compose_text):
        if named := re.match(r"\$\{([A-Z_]+):-([\d.]+)\}", address):
            address = stack.value(named[1], named[2])
        found.append(Port(address, variable, stack.value(variable, default)))
    return found


def port_faults(stack: Stack) -> list[Fault]:
    """Ports that are none, that are set twice, or that somebody else has. Needs Docker to know its own."""
    found: list[Fault] = []
    seen: dict[int, str] = {}
    own = stack.docker(
        "ps", "--filter", f"label={LABEL}project={stack.project}", "--format", "{{.Ports}}", check=False
    )
    for port in published(stack):
        where = f"{port.variable}={port.text}"
        if not port.number:
            found.append(
                Fault(
                    "is no port",
                    where=where,
                    allowed="1 to 65535",
                    next_step=f"change it in {stack.env_file}",
                )
            )
        elif port.number in seen:
            found.append(Fault(f"is the port of {seen[port.number]} too", where=where, allowed="a port for each",
                               next_step=f"change one of them in {stack.env_file}"))  # fmt: skip
        elif f":{port.number}->" not in own and not is_free(port.address, port.number):
            found.append(Fault(f"is in use{_by(stack, port.number)}", where=where, allowed="a free port",
                               next_step=f"stop what uses it, or set {port.variable} to another port in {stack.env_file}"))  # fmt: skip
        seen.setdefault(port.number, port.variable)
    return found


def is_free(address: str, number: int) -> bool:
    """Whether nothing listens on a port of an address."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address, number))
        except OSError as error:
            # a low port may be Docker's to take and not ours, and an address may be one that comes later
            return error.errno != errno.EADDRINUSE
        return True


def _by(stack: Stack, number: int) -> str:
    """` by …`, if this computer tells who it is."""
    named = stack.docker("ps", "--filter", f"publish={number}", "--format", "{{.Names}}", check=False).split()
    if named:
        return f" by the container {named[0]}"
    holders = sorted(set(holders_of(number)))
    return f" by {', '.join(holders)}" if holders else ""


def holders_of(number: int) -> Iterator[str]:
    """Processes that listen on a port; only those that this user may look at."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(number)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):  # it ended, or is another user's
            if any(str(one.readlink()) in sockets for one in (process / "fd").iterdir()):
                yield f"{(process / 'comm').read_text().strip()} (process {process.name})"


def _inodes(number: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.is_file() else ():
            words = line.split()
            if words[3] == LISTENING and int(words[1].rpartition(":")[2], 16) == number:
                yield words[9]
