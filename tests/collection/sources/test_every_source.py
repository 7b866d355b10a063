"""The checks that every declared source passes, derived from the declarations."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from include.kreislauf.collection.registry import DECLARED, Declared
from include.kreislauf.requirements.contract import json_schema
from include.kreislauf.requirements.sources import Counted
from include.kreislauf.settings import ROOT
from tests.support import source_checks
from tests.support.source_checks import Example

CHECKS = [name for name in vars(source_checks) if name.startswith("check_")]
BY_KIND = pytest.mark.parametrize("declared", DECLARED, ids=lambda one: one.kind)


@pytest.fixture
def example(declared: Declared, tmp_path: Path) -> Example:
    """The example that stands beside this file."""
    made: Example = import_module(f"tests.collection.sources.example_{declared.kind}").example(tmp_path)
    return made


@BY_KIND
@pytest.mark.parametrize("check", CHECKS)
def test_a_source_keeps_its_promises(example: Example, check: str) -> None:
    getattr(source_checks, check)(example)


@BY_KIND
def test_a_source_is_declared_as_it_is(declared: Declared) -> None:
    source = declared.load()
    assert source.kind == declared.kind
    assert re.search(rf"``{declared.kind}``", sys.modules[source.__module__].__doc__ or "")
    assert declared.gives


def test_every_counted_source_of_the_contract_is_declared() -> None:
    kinds = {model.model_fields["kind"].annotation.__args__[0] for model in Counted.__subclasses__()}  # type: ignore[union-attr]
    assert kinds == {one.kind for one in DECLARED}
    mapping = json_schema()["properties"]["sources"]["items"]["discriminator"]["mapping"]
    assert kinds <= set(mapping)


@BY_KIND
def test_reading_imports_nothing_heavy(declared: Declared) -> None:
    module = f"include.kreislauf.collection.sources.{declared.module}"
    code = f"import sys, {module}; print([m for m in ('numpy', 'pandas', 'pyarrow', 'deltalake', 'sqlalchemy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
