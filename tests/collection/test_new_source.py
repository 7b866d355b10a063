"""``make add-source``: what it writes passes the checks of every source at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.kreislauf.collection.new_source import REGISTRY, add_source
from include.kreislauf.errors import SourceError
from include.kreislauf.settings import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code and of the tests."""
    for folder in ("include", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "ring")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_skeleton_passes_the_checks_of_every_source(checkout: Path) -> None:
    written = add_source(checkout, "package_downloads")
    assert all(path.exists() for path in written)
    options = ["-q", "-p", "no:cacheprovider", "-k", "package_downloads or every_counted_source"]
    command = [sys.executable, "-m", "pytest", "tests/collection/sources", *options]
    found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert "passed" in found.stdout
    assert "failed" not in found.stdout
    assert "skipped" not in found.stdout
    formatted = [sys.executable, "-m", "ruff", "format", "--check", "include", "tests/collection/sources"]
    assert subprocess.run(formatted, cwd=checkout, capture_output=True, check=False).returncode == 0
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "include", "tests/collection/sources"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    "name", ["", "Downloads", "../x", "9lives", "a" * 40, "with-dash", "class", "import"]
)
def test_a_name_that_is_none_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(SourceError, match="allowed: lower-case letters"):
        add_source(checkout, name)


def test_nothing_is_written_over(checkout: Path) -> None:
    before = (checkout / REGISTRY).read_text()
    for name in ("job_ads", "table", "sql"):
        with pytest.raises(SourceError, match="is there already"):
            add_source(checkout, name)
    assert (checkout / REGISTRY).read_text() == before
