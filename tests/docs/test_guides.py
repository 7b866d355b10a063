"""Guides are tried by following them: what is marked ``tried`` is done, in its order, in a copy of the repository.

A fence says what to do with its block: ``bash tried`` runs it, ``diff tried PATH`` changes a file, ``python tried PATH`` (or
another language) writes one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from include.kreislauf.settings import ROOT
from tests.docs.pages import PAGES, Block, blocks, name_of

LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    "var",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    "benchmarks",
)
TRIED = {page: [one for one in blocks(page.read_text("utf-8")) if "tried" in one.marks] for page in PAGES}
AFTER = dict.fromkeys(
    (f"docs/how-to/{name}.md" for name in ("run-a-step-alone", "add-a-metric", "add-a-source")),
    "docs/how-to/write-a-contract.md",
)
"""Guides that take up where another ends."""
GUIDES = [page for page, found in TRIED.items() if found]


def run(text: str, copy: Path, home: Path) -> None:
    """Run a block in a shell of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KREISLAUF_")}
    environment |= {"KREISLAUF_HOME": str(home), "KREISLAUF_TRACKING_URL": "none", "PYTHONPATH": str(copy)}
    command = ["bash", "-euo", "pipefail", "-c", text]
    found = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"{text}\n{found.stdout}\n{found.stderr}"


def change(text: str, path: Path) -> None:
    """Apply the hunks of a diff, which need no line numbers: what is replaced must be there once."""
    for hunk in text.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        content = path.read_text("utf-8")
        assert content.count(old) == 1, f"{path}: to be there once:\n{old}"
        path.write_text(content.replace(old, new), "utf-8")


def test_the_guides_that_can_be_tried_are_found() -> None:
    assert {name_of(page) for page in GUIDES} >= {
        "docs/how-to/add-a-metric.md",
        "docs/how-to/add-a-model-family.md",
        "docs/how-to/add-a-source.md",
        "docs/how-to/run-a-step-alone.md",
        "docs/how-to/write-a-contract.md",
    }


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_a_guide_leads_where_it_says(page: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    before = AFTER.get(name_of(page), "")
    for block in [*(TRIED[ROOT / before] if before else []), *TRIED[page]]:
        follow(block, copy, tmp_path / "home")


def follow(block: Block, copy: Path, home: Path) -> None:
    """Do what a block says."""
    if block.language == "bash":
        return run(block.text, copy, home)
    path = copy / block.marks[1]
    if block.language == "diff":
        return change(block.text, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, "utf-8")
    return None


def test_a_change_that_does_not_fit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    change(" one\n+one and a half\n", path)
    assert path.read_text() == "one\none and a half\ntwo\n"
    with pytest.raises(AssertionError, match=r"to be there once:\s+three"):
        change("-three\n+four\n", path)
