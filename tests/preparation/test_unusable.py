"""Identifiers and empty columns: found, told apart from measurements, and left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.kreislauf.preparation.declared import DeclaredFeatures
from include.kreislauf.preparation.unusable import COUNTS, EMPTY, NAMES, unusable_features
from tests.preparation.tables import table_contract
from tests.preparation.worlds import module

ROWS = 60
RNG = np.random.default_rng(3)
RUNNING = np.arange(1000.0, 1000 + ROWS)


def found(values: Any) -> dict[str, str]:
    """What is found of one column ``x``."""
    kind = "text" if isinstance(values[0], str) else "number"
    declared = DeclaredFeatures(table_contract({"x": kind, "y": "number"}, {"target": "y"}))
    frame = pd.DataFrame({"entity": "", "x": values, "target": 0.0})
    return unusable_features(frame, declared)


@pytest.mark.parametrize(
    "values",
    [
        RUNNING, RUNNING[::-1], RNG.permutation(RUNNING), np.where(RUNNING == 1005, np.nan, RUNNING),
        np.sort(RNG.choice(100, ROWS, replace=False)).astype(float),
    ],
    ids=["up", "down", "shuffled", "one missing", "with gaps"],
)  # fmt: skip
def test_a_running_number_is_an_identifier(values: Any) -> None:
    assert found(values) == {"x": COUNTS}


@pytest.mark.parametrize(
    "values",
    [
        RUNNING[:29], RUNNING + 0.5, RNG.normal(size=ROWS), np.repeat(RUNNING[:30], 2), RUNNING**2,
        RNG.choice(100, ROWS, replace=False).astype(float), np.ones(ROWS),
    ],
    ids=["few", "no whole numbers", "measured", "repeated", "sorted by size", "all different", "constant"],
)  # fmt: skip
def test_a_measurement_is_none(values: Any) -> None:
    assert found(values) == {}


def test_a_text_of_which_each_row_has_its_own_is_an_identifier() -> None:
    names = [f"row {number}" for number in range(ROWS)]
    assert found(names) == {"x": NAMES}
    assert found([*names[:-2], "again", "again"]) == {"x": NAMES}
    assert found(["missing", *names[1:]]) == {"x": NAMES}
    assert found(names[:29]) == {}
    assert found([*names[:50], *names[:10]]) == {}


def test_a_column_in_which_nothing_stands_is_told() -> None:
    assert found(np.full(ROWS, np.nan)) == {"x": EMPTY}
    assert found(["missing"] * ROWS) == {"x": EMPTY}


def test_numbers_that_code_computes_are_not_looked_at() -> None:
    frame = pd.DataFrame({"level": RUNNING, "change": np.nan, "kind": [f"row {one}" for one in RUNNING]})
    assert unusable_features(frame, module(lambda rows, _: rows)) == {"kind": NAMES}
