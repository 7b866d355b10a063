"""The page that lists every package of the images with its licence."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy.supply_chain.licences import EXCEPTIONS, is_allowed, licence_of
from deploy.supply_chain.pins import Pin, installed_pins, read_pins

_HEAD = """# Licences

Every package that `requirements.txt` pins, with its licence as an [SPDX](https://spdx.org/licenses/) expression; written
by `make licences` from what the packages say of themselves. Kreislauf itself is under Apache-2.0. What the base images
bring is not listed here. What is allowed, and why the exceptions are: `deploy/supply_chain/licences.py`; a test holds it.
"""


def page(airflow: Path, service: Path) -> str:
    """The page in Markdown, for the requirements of both images.

    Raises
    ------
    ValueError: a package has a licence that is not allowed, or says none; names them all.
    """
    found = {
        pin.name: (pin, licence_of(pin.name, package)) for pin, package in installed_pins(airflow).items()
    }
    if wrong := [
        f"{name} ({text or 'none'})" for name, (_, text) in found.items() if not is_allowed(name, text)
    ]:
        raise ValueError(
            f"{airflow}: licences that are not allowed: {', '.join(wrong)}; allowed: those in "
            "deploy/supply_chain/licences.py; next: another package, or an exception there with its reason"
        )
    served = {pin.name for pin in read_pins(service)}
    rows = [_row(pin, text, pin.name in served) for pin, text in (found[name] for name in sorted(found))]
    reasons = [f"- `{name}`, {text}: {why}." for name, (text, why) in EXCEPTIONS.items() if name in found]
    return "\n".join([
        _HEAD, *_table("package | version | licence | in the service's image", rows),
        "\n## Exceptions\n", *reasons, *_elsewhere(read_pins(airflow), set(found)), "",
    ])  # fmt: skip


def _row(pin: Pin, licence: str, served: bool) -> str:
    return f"| `{pin.name}` | {pin.version} | {licence} | {'yes' if served else ''} |"


def _table(head: str, rows: Iterable[str]) -> list[str]:
    return [f"| {head} |", "|---" * (head.count("|") + 1) + "|", *rows]


def _elsewhere(pins: Iterable[Pin], here: set[str]) -> list[str]:
    """What is pinned for other systems or Pythons only."""
    rest = {pin.name: pin for pin in pins if pin.name not in here}
    rows = [f"- `{name}` {pin.version}: where `{pin.marker}`." for name, pin in sorted(rest.items())]
    return ["\n## Not in the images\n", *rows] if rows else []
