"""A use case with other sources: the same contract over recorded data, or over a simulated world.

A variant is a use case of its own folder, with a hash of its own; nothing of it is hidden in settings.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.loading import CATALOGUE_NAME, FILE_NAME

RECORDED = "recorded.yaml"
"""Beside a contract: its ``sources`` over recorded data (``{data}``)."""
_WITHOUT_PERSONS = {
    re.compile(r"^sign_off: \w+$", re.MULTILINE): "sign_off: automatic",
    re.compile(r"^  approval: \w+$", re.MULTILINE): "  approval: none",
    re.compile(r"^  on_inconclusive: (?:ask|wait)$", re.MULTILINE): "  on_inconclusive: promote",
}
_SOURCES = re.compile(r"^sources:\n(?:(?:[ \-].*)?\n)*", re.MULTILINE)


def with_sources(contract: str, sources: str) -> str:
    """The text of a contract with another ``sources`` section, its other lines and comments kept.

    Raises
    ------
    ContractError: one of the two texts has no ``sources`` section.
    """
    section = _SOURCES.search(sources)
    changed, count = _SOURCES.subn(
        lambda _: f"{section.group(0).rstrip()}\n\n" if section else "", contract, count=1
    )
    if section is None or not count:
        raise ContractError("has no section sources", where=RECORDED if section is None else FILE_NAME)
    return changed


def recorded_variant(use_case: Path, target: Path) -> Path:
    """Write a use case over recorded data to ``target/<name>``; returns its contract.

    Raises
    ------
    ContractError: the use case says nothing of recorded data.
    """
    if not (use_case / RECORDED).exists():
        raise ContractError(
            "cannot be replayed over recorded data", where=str(use_case / RECORDED),
            next_step="write a section sources over recorded data there",
        )  # fmt: skip
    folder = _copy(use_case, target)
    (folder / CATALOGUE_NAME).unlink(missing_ok=True)
    path = folder / FILE_NAME
    path.write_text(with_sources(path.read_text("utf-8"), (use_case / RECORDED).read_text("utf-8")), "utf-8")
    return path


def catalogue_variant(use_case: Path, target: Path, catalogue: dict[str, Any]) -> Path:
    """Write a use case with another catalogue to ``target/<name>``; returns its contract."""
    folder = _copy(use_case, target)
    # JSON is YAML
    (folder / CATALOGUE_NAME).write_text(json.dumps(catalogue, indent=1), encoding="utf-8")
    return folder / FILE_NAME


def unattended_variant(use_case: Path, target: Path) -> Path:
    """Write a use case as it is to ``target/<name>``, but that nobody needs to sign or to agree; returns its contract."""
    return _copy(use_case, target) / FILE_NAME


def _copy(use_case: Path, target: Path) -> Path:
    """The use case in another folder, signed and promoted automatically: nobody sits at the inbox of a replay."""
    folder = target / use_case.name
    shutil.copytree(use_case, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    path = folder / FILE_NAME
    text = path.read_text("utf-8")
    for asks, does_not in _WITHOUT_PERSONS.items():
        text = asks.sub(does_not, text)
    path.write_text(text, "utf-8")
    return folder
