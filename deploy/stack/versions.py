"""Versions that the data of a stack depend on: what the code has, and what a volume was last used with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from include.kreislauf import __version__

MARK = "deployment.json"
"""File in the volume `kreislauf`, written by `python -m deploy.stack.mark`."""
PARTS = ("bundle", "airflow", "schema")


def of_code(root: Path) -> dict[str, str]:
    """Versions of the bundle, of Airflow, and of the workflow store's schema."""
    migrations = (root / "include/kreislauf/store/migrations/versions").glob("[0-9]*.py")
    locked = root / "requirements.txt"
    if locked.is_file():
        (airflow,) = re.findall(r"^apache-airflow==([\w.]+)", locked.read_text("utf-8"), re.MULTILINE)
    else:  # inside the image
        airflow = version("apache-airflow")
    return {
        "bundle": __version__,
        "airflow": airflow,
        "schema": max(one.stem.split("_")[0] for one in migrations),
    }


def parse_mark(text: str | None) -> dict[str, str] | None:
    """The versions of a volume; ``None`` where there is no file, or none that can be understood."""
    try:
        found = json.loads(text or "")
        return {part: str(found[part]) for part in PARTS}
    except (ValueError, KeyError, TypeError):
        return None


def compare(data: Mapping[str, str], code: Mapping[str, str]) -> str:
    """`older`, `same` or `newer`: how data stand to code. One newer part is enough: that code cannot read it."""
    pairs = [(_numbers(data[part]), _numbers(code[part])) for part in PARTS]
    if any(left > right for left, right in pairs):
        return "newer"
    return "older" if any(left < right for left, right in pairs) else "same"


def shown(versions: Mapping[str, str]) -> str:
    """For people."""
    return ", ".join(f"{part} {versions[part]}" for part in PARTS)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", text))
