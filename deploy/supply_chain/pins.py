"""The pinned requirements, and what of them is installed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One line of a requirements file: a version, where it applies, and the files that may be installed for it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def normal(name: str) -> str:
    """A project's name as PEP 503 writes it, so that ``PyYAML`` and ``pyyaml`` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(path: Path) -> list[Pin]:
    """The pins of a hash-pinned requirements file.

    Raises
    ------
    ValueError: a requirement has no exact version or no hash; names file and line.
    """
    return [_pin(path, entry) for entry in _entries(path.read_text())]


def _entries(text: str) -> Iterator[str]:
    entry = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry += " " + line.rstrip("\\").strip()
        if not line.rstrip().endswith("\\"):
            yield entry.strip()
            entry = ""


def _pin(path: Path, entry: str) -> Pin:
    found, hashes = _PIN.match(entry), tuple(sorted(_HASH.findall(entry)))
    if found is None or not hashes:
        raise ValueError(
            f"{path}: {entry[:80]!r} is not allowed; allowed: NAME==VERSION with at least one --hash=sha256:…; "
            "next: make requirements"
        )
    marker = entry.partition(";")[2].partition("--hash")[0].strip()
    return Pin(normal(found["name"]), found["version"], marker, hashes)


def installed_pins(path: Path) -> dict[Pin, metadata.Distribution]:
    """The pins that this environment has installed; a pin for another system or Python is not among them.

    Raises
    ------
    ValueError: another version than a pinned one is installed.
    """
    pins = read_pins(path)
    here = {normal(one.metadata["Name"]): one for one in metadata.distributions()}
    found = {
        pin: here[pin.name] for pin in pins if pin.name in here and here[pin.name].version == pin.version
    }
    names = {pin.name for pin in found}
    if other := sorted({pin.name for pin in pins if pin.name in here} - names):
        raise ValueError(
            f"{path}: {', '.join(other)}: installed in another version than pinned; next: make setup"
        )
    return found
