"""The figures of the page on scale are those of the benchmarks' result files, or follow from them.

The last cell of a row of its tables says how: ``sizing:checks.checks`` is a key of ``benchmarks/results/sizing.json``.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from include.kreislauf.settings import ROOT

PAGE = (ROOT / "docs" / "how-to" / "scale.md").read_text("utf-8")
KEY = re.compile(r"\b([a-z_]+):([a-z0-9_.-]+[a-z0-9_])")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`|]*:[^`|]+)` \|$", PAGE, re.MULTILINE)
NEAR = 0.03
"""A figure may be rounded by so much, if not by its last digit."""
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


@cache
def results(name: str) -> Any:
    """The figures of a benchmark."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def of(name: str, path: str) -> float:
    """One of them."""
    found = results(name)
    for part in path.split("."):
        found = found[part]
    return float(found)


def worth(calculation: str) -> float:
    """What a calculation gives."""
    plain = KEY.sub(lambda key: repr(of(*key.groups())), calculation)
    return _worth(ast.parse(plain, mode="eval").body)


def _worth(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_worth(node.left), _worth(node.right))
    assert isinstance(node, ast.Constant), ast.dump(node)
    return float(node.value)


def agrees(written: str, calculated: float) -> bool:
    """Whether a cell's first number is a calculated one, rounded."""
    found = re.search(r"\d[\d,]*(?:\.(\d+))?", written)
    assert found, written
    last = 10.0 ** -len(found[1] or "")
    number = float(found[0].replace(",", ""))
    return abs(number - calculated) <= max(last / 2 * 1.001, NEAR * calculated * ("." not in found[0]))


def test_the_page_has_figures() -> None:
    assert len(ROWS) > 30
    keyed = re.findall(r"^\|.*`[^`|]*[a-z]:[a-z][^`|]*` \|$", PAGE, re.MULTILINE)
    assert len(keyed) == len(ROWS), "a row with a key that is not read"


@pytest.mark.parametrize(("what", "written", "calculation"), ROWS, ids=[row[0] for row in ROWS])
def test_a_figure_is_the_measured_one(what: str, written: str, calculation: str) -> None:
    assert agrees(written, worth(calculation)), f"{what}: {written}, measured {worth(calculation):.4g}"


@pytest.mark.parametrize(
    ("written", "calculated", "right"),
    [("1.1 s", 1.149, True), ("1.1 s", 1.151, False), ("1,900 MB", 1883, True), ("1,900 MB", 1800, False), ("0 B", 0.6, False)],
)  # fmt: skip
def test_a_wrong_figure_is_seen(written: str, calculated: float, right: bool) -> None:
    assert agrees(written, calculated) == right
