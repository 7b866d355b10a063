"""A use case's own code: what it must offer, and how it is told what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.errors import PreparationError
from include.kreislauf.preparation.features import columns_of, load_features, may_be_missing
from tests.support.use_cases import EXAMPLE

COMPLETE = """
NUMERIC = ("level", "change")
CATEGORICAL = ("kind",)
def build(raw, as_of): return raw
def outcomes(raw, as_of): return raw
"""


def write(folder: Path, code: str) -> Path:
    path = folder / "radar" / "features.py"
    path.parent.mkdir()
    path.write_text(code)
    return path


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("NUMERIC = ()\n\nraise ValueError('no such thing')\n", 3, "ValueError: no such thing"),
        ("import nowhere_to_be_found\n", 1, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("NUMERIC = ()\ndef build(:\n", 2, "SyntaxError"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
)
def test_code_that_raises_is_named_with_its_line(tmp_path: Path, code: str, line: int, said: str) -> None:
    path = write(tmp_path, code)
    with pytest.raises(PreparationError) as error:
        load_features(tmp_path, "radar")
    assert error.value.where == f"{path}, line {line}"
    assert f"cannot be imported: {said}" in error.value.text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NUMERIC = ()\n", "lacks CATEGORICAL, build, outcomes"),
        (COMPLETE + "NUMERIC = 'level'\n", "NUMERIC is 'level'; allowed: a tuple of column names"),
        (COMPLETE + "CATEGORICAL = (1,)\n", "CATEGORICAL is (1,); allowed: a tuple of column names"),
        (COMPLETE + "NUMERIC = ('kind',)\n", "kind cannot be a feature; allowed: each name once"),
        (COMPLETE + "NUMERIC = ('level', 'target')\n", "target cannot be a feature"),
        (COMPLETE + "MAY_BE_MISSING = ('kind',)\n", "MAY_BE_MISSING names kind; allowed: level, change"),
        (COMPLETE + "build = None\n", "build and outcomes are not both functions"),
    ],
)
def test_code_that_offers_the_wrong_things_is_told_which(tmp_path: Path, code: str, said: str) -> None:
    path = write(tmp_path, code)
    with pytest.raises(PreparationError) as error:
        load_features(tmp_path, "radar")
    assert said in error.value.text
    assert error.value.where == str(path)


def test_a_use_case_without_code_is_told_to_add_it(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"has no features\.py; next: add one"):
        load_features(tmp_path, "radar")


def test_missing_numbers_must_be_declared(tmp_path: Path) -> None:
    write(tmp_path, COMPLETE + "MAY_BE_MISSING = ('change',)\n")
    assert may_be_missing(load_features(tmp_path, "radar")) == ("change",)
    assert may_be_missing(load_features(EXAMPLE.parent, EXAMPLE.name)) == ()


def test_columns_are_those_that_the_version_holds(tmp_path: Path) -> None:
    write(tmp_path, COMPLETE)
    module = load_features(tmp_path, "radar")
    frame = pd.DataFrame(columns=["entity", "period", "change", "kind", "level", "target"])
    assert columns_of(frame, module) == (("level", "change"), ("kind",))
    assert columns_of(frame.drop(columns="level"), module) == (("change",), ("kind",))
